import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeatureDictNet, FeatureHookNet, FeatureHooks, FeatureListNet } from './nets.js';
import { run } from './run.js';
import type { RuntimeTensor } from './runtime/runtime-tensor.js';
import { readTensors } from './tensors/array-file.js';

const MODELS = ['test_resnet', 'test_vit', 'test_convnext', 'test_efficientnet'];
const FILES = MODELS.flatMap((name) => [[name, 'ts'], [name, 'dy']] as const);
/** Of the feature's standard deviation: what the issue asks for between PyTorch and ONNX Runtime. */
const TOLERANCE = 2e-5;

interface Reference {
  readonly input: RuntimeTensor;
  readonly features: readonly RuntimeTensor[];
}

async function referenceOf(name: string): Promise<Reference> {
  const arrays = await readTensors(`fixtures/timm/${name}.reference.npz`);
  const features: RuntimeTensor[] = [];
  for (let index = 0; arrays.has(`feature_${index}`); index++) features.push(array(arrays, `feature_${index}`));
  return { input: array(arrays, 'input'), features };
}

function array(arrays: ReadonlyMap<string, RuntimeTensor>, key: string): RuntimeTensor {
  const value = arrays.get(key);
  if (value === undefined) throw new Error(`no ${key}`);
  return value;
}

/** Largest difference over the standard deviation of what is wanted. */
function distance(got: RuntimeTensor, want: RuntimeTensor): number {
  expect(got.shape).toEqual(want.shape);
  const a = got.data as Float32Array;
  const b = want.data as Float32Array;
  const mean = b.reduce((sum, value) => sum + value, 0) / b.length;
  const std = Math.sqrt(b.reduce((sum, value) => sum + (value - mean) ** 2, 0) / b.length);
  return a.reduce((worst, value, index) => Math.max(worst, Math.abs(value - b[index])), 0) / std;
}

describe.each(FILES)('%s.%s', (name, exporter) => {
  const path = `fixtures/timm/${name}.${exporter}.onnx`;
  // timm returns ViT maps without the class token.
  const fmt = name === 'test_vit' ? ({ outputFmt: 'NCHW' } as const) : {};

  test('the three nets return what timm returns', async () => {
    const { input, features } = await referenceOf(name);
    const reports: number[] = [];
    await using dict = await FeatureDictNet.create(path, fmt);
    await using list = await FeatureListNet.create(path, fmt);
    await using hook = await FeatureHookNet.create(path, fmt);
    const byIndex = await dict.forward(input);
    expect([...byIndex.keys()]).toEqual(features.map((_feature, index) => String(index)));
    for (const results of [[...byIndex.values()], await list.forward(input), (await hook.forward(input)) as readonly RuntimeTensor[]]) {
      expect(results).toHaveLength(features.length);
      for (const [index, result] of results.entries()) reports.push(distance(result, features[index]));
    }
    expect(Math.max(...reports)).toBeLessThan(TOLERANCE);
    expect(dict.featureInfo.outIndices).toEqual(features.map((_feature, index) => index));
  });
});

describe('run', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'featx-run-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test('writes the features of a file in batches as in one', async () => {
    const path = 'fixtures/timm/test_resnet.ts.onnx';
    const shared = { inputs: ['input=fixtures/timm/test_resnet.reference.npz'], out: [1, -1] };
    const whole = await run(path, { ...shared, output: join(folder, 'whole.npz') });
    const split = await run(path, { ...shared, output: join(folder, 'split.npz'), batchSize: 1 });
    expect(whole.features.map(({ output, shape }) => [output, shape])).toEqual([['1', [2, 32, 24, 24]], ['4', [2, 96, 3, 3]]]);
    expect(split.features.map(({ shape }) => shape)).toEqual(whole.features.map(({ shape }) => shape));
    const [a, b] = [await readTensors(join(folder, 'whole.npz')), await readTensors(join(folder, 'split.npz'))];
    // Kernels may add up in another order for another batch size.
    for (const [key, value] of a) expect(distance(array(b, key), value)).toBeLessThan(TOLERANCE);
    const { features } = await referenceOf('test_resnet');
    expect(distance(array(a, '1'), features[1])).toBeLessThan(TOLERANCE);
  });

  test('a model in memory runs as one on disk does', async () => {
    const { readFile } = await import('node:fs/promises');
    const path = 'fixtures/timm/test_vit.dy.onnx';
    const options = { inputs: ['random:3'], last: 1, inputShapes: new Map([['', [2, 3, 160, 160]]]) };
    const fromDisk = await run(path, options);
    const fromMemory = await run(await readFile(path), options);
    expect(fromMemory.features).toEqual(fromDisk.features);
    expect(fromDisk.output).toBeNull();
  });
});

test('hooks forget what was read, per device', () => {
  const hooks = new FeatureHooks([{ output: 'a' }, { output: 'b' }]);
  const value: RuntimeTensor = { dtype: 'float32', shape: [1], data: Float32Array.of(1) };
  hooks.collect(new Map([['b', value], ['x', value]]), 'cpu');
  hooks.collect(new Map([['a', value]]), 'cuda');
  expect([...hooks.getOutput('cpu').keys()]).toEqual(['b']);
  expect(hooks.getOutput('cpu').size).toBe(0);
  expect([...hooks.getOutput('cuda').keys()]).toEqual(['a']);
});
