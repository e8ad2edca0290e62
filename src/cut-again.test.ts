import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from './extract.js';
import { inspect } from './inspect.js';
import type { InspectReport } from './report/records.js';
import { run } from './run.js';

/** What a cut gives where nothing is selected: its own outputs, as they were cut. */

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'featx-again-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const VIT = 'fixtures/timm/test_vit.ts.onnx';
const RESNET = 'fixtures/timm/test_resnet.dy.onnx';

test('in the layout it was cut in, by index too', async () => {
  await extract(VIT, at('map.onnx'), { out: [5], outputFmt: 'NCHW' });
  const whole = await run(at('map.onnx'), { inputs: ['random:1'], batchSize: 1 });
  expect(whole.features.map(({ index, output, shape }) => ({ index, output, shape }))).toEqual([
    { index: 5, output: '5', shape: [1, 64, 10, 10] },
  ]);
  expect((await run(at('map.onnx'), { inputs: ['random:1'], last: 1 })).features).toEqual(whole.features);
  const { feature_info: info } = await inspect(at('map.onnx'));
  expect(info[5]).toMatchObject({ tensor: '5', layout: 'NCHW', num_chs: 64, reduction: 16 });
  expect(info[4]).toMatchObject({ tensor: '/blocks/blocks.4/Add_1_output_0', layout: 'NLC' });
});

test('under the names it was cut with', async () => {
  await extract(RESNET, at('pyramid.onnx'), { out: [1, 2], outMap: ['p2', 'p3'], keepOutputs: true });
  expect(
    (await run(at('pyramid.onnx'), { inputs: ['random'] })).features.map(({ index, output }) => [index, output]),
  ).toEqual([
    [1, 'p2'],
    [2, 'p3'],
  ]);
  expect(
    (await run(at('pyramid.onnx'), { inputs: ['random'], out: [2] })).features.map(({ output }) => output),
  ).toEqual(['2']);
});

test('also where it was selected by name', async () => {
  await extract(RESNET, at('named.onnx'), { select: [{ by: 'module', name: 'layer3' }] });
  const report = await run(at('named.onnx'), { inputs: ['random'] });
  expect(report.features.map(({ index, module }) => [index, module])).toEqual([[null, 'layer3']]);
  await extract(RESNET, at('vector.onnx'), { embedding: true, outMap: ['embedding'] });
  expect(
    (await run(at('vector.onnx'), { inputs: ['random'] })).features.map(({ output, shape }) => [output, shape.length]),
  ).toEqual([['embedding', 2]]);
});

test('a vector has its last axis as channels and is asked for no stride', async () => {
  const cut = async (name: string, options: Parameters<typeof extract>[2]): Promise<Inspected> => {
    const made = await extract(VIT, at(name), options);
    const { feature_info: info, embeddings, warnings } = await inspect(at(name));
    return { made: made.features[0].num_chs, info, embeddings, warnings };
  };
  const pooled = await cut('pooled.onnx', { out: [5], pool: 'mean', normalize: true });
  expect(pooled.info[5]).toMatchObject({ tensor: '5', num_chs: 64, shape: [expect.anything(), 64] });
  expect([pooled.made, pooled.warnings]).toEqual([64, []]);
  const { embedding } = await inspect(VIT);
  const tensor = String(embedding?.tensor);
  const named = await cut('by-name.onnx', { select: [{ by: 'tensor', name: tensor }] });
  expect([named.made, named.warnings]).toEqual([64, []]);
  expect(named.embeddings).toContainEqual(expect.objectContaining({ tensor, num_chs: 64 }));
});

const EMBEDDING = 'view';

test('outputs are called after what was asked for, as docs/running.md says', async () => {
  const named = { select: [{ by: 'tensor', name: EMBEDDING }] } as const;
  const module = { select: [{ by: 'module', name: 'layer2' }] } as const;
  const relu = String((await inspect(RESNET)).feature_info[2].tensor);
  const cases: readonly (readonly [SelectAndSteps, run: string, extract: string])[] = [
    [{ out: [2] }, '2', '2'],
    [{ last: 1, pool: 'avg' }, '4', '4'],
    [{ embedding: true, normalize: true }, 'embedding', 'embedding'],
    [module, 'layer2', relu],
    [{ ...module, nameBy: 'module' }, 'layer2', 'layer2'],
    [{ ...module, nameBy: 'tensor' }, relu, relu],
    [named, EMBEDDING, EMBEDDING],
    [{ ...named, normalize: true }, `${EMBEDDING}_normalized`, `${EMBEDDING}_normalized`],
    [{ ...named, normalize: true, cast: 'float16' }, `${EMBEDDING}_cast`, `${EMBEDDING}_cast`],
    [{ out: [2, 3], pool: 'avg', concat: 'linear' }, 'concat', 'concat'],
  ];
  for (const [options, byRun, byExtract] of cases) {
    const { features } = await run(RESNET, { ...options, inputs: ['random'] });
    const cut = await extract(RESNET, at('called.onnx'), { ...options, dryRun: true });
    expect([features[0].output, cut.features[0].output]).toEqual([byRun, byExtract]);
    const mapped = await run(RESNET, {
      ...options,
      outMap: features.map((_feature, at) => (at === 0 ? 'vector' : `v${at}`)),
      inputs: ['random'],
    });
    expect(mapped.features[0].output).toBe('vector');
  }
});

type SelectAndSteps = Parameters<typeof extract>[2] & Parameters<typeof run>[1];

interface Inspected extends Pick<InspectReport, 'embeddings' | 'warnings'> {
  readonly made: number | null;
  readonly info: InspectReport['feature_info'];
}
