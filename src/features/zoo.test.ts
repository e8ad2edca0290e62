import { readFileSync } from 'node:fs';
import { viewGraph, type GraphView } from '../onnx/graph.js';
import { declaredTypes, type InferredTypes } from '../onnx/types.js';
import { openModel } from '../open.js';
import { inferTypes } from '../runtime/types.js';
import type { Feature, Resolution } from './feature.js';
import { FeatureInfo } from './feature-info.js';
import { neededTensors } from './needed.js';
import { resolveFeatures } from './resolve.js';
import { selectFeatures } from './select.js';

/** Backbones without weights, and which tensors PyTorch's hooks saw for timm's feature_info. @see fixtures/README.md */
interface Truth {
  readonly model: string;
  readonly exporter: 'torchscript' | 'dynamo' | 'anonymous' | 'none';
  readonly file: string;
  readonly features: readonly {
    readonly module: string;
    readonly num_chs: number;
    readonly reduction: number;
    readonly shape: readonly number[] | null;
    readonly tensors: readonly string[];
    readonly tensors_intermediates: readonly string[];
  }[];
}

const truths: readonly Truth[] = JSON.parse(readFileSync('fixtures/zoo/truth.json', 'utf8')).models;
const known = new Map<string, Promise<{ readonly view: GraphView; readonly types: InferredTypes }>>();

function survey(file: string): Promise<{ readonly view: GraphView; readonly types: InferredTypes }> {
  const found = known.get(file);
  if (found !== undefined) return found;
  const made = (async () => {
    const view = viewGraph(await openModel(readFileSync(`fixtures/zoo/${file}`)));
    return { view, types: await inferTypes(view, neededTensors(view), { isolate: false }) };
  })();
  known.set(file, made);
  return made;
}

/** What the file alone says. */
function unasked(view: GraphView): InferredTypes {
  const types = declaredTypes(view.model);
  return { types, nominal: types, nominalInputShape: new Map(), warnings: [] };
}

function isTold(truth: Truth['features'][number]): boolean {
  return truth.tensors.length + truth.tensors_intermediates.length > 0;
}

/** The features that are not what PyTorch saw. */
function misses(truth: Truth, features: readonly Feature[]): readonly string[] {
  const wrong: string[] =
    features.length === truth.features.length ? [] : [`${features.length} features, not ${truth.features.length}`];
  truth.features.forEach((want, index) => {
    const got = features[index] as Feature | undefined;
    if (!isTold(want)) return;
    if (got?.tensor == null || ![...want.tensors, ...want.tensors_intermediates].includes(got.tensor))
      wrong.push(`${index}: ${got?.tensor}, not ${want.tensors[0]}`);
    else if (got.module !== (truth.exporter === 'anonymous' ? null : want.module))
      wrong.push(`${index}: module ${got.module}, not ${want.module}`);
  });
  return wrong;
}

/** Names say nothing of these, and their shape misleads the rules. */
const HARD = new Set(['repghostnet_050.anon.onnx']);

describe.each(truths.filter(({ file }) => !HARD.has(file)))('$file', (truth) => {
  test('features, indices and module names are those of timm', async () => {
    const { view, types } = await survey(truth.file);
    expect(misses(truth, resolveFeatures(view, types).features)).toEqual([]);
  });

  if (truth.exporter === 'none') return;

  test('channels and strides are those of the tensors', async () => {
    const { view, types } = await survey(truth.file);
    const { features } = resolveFeatures(view, types);
    truth.features.forEach(({ shape, num_chs, reduction, ...rest }, index) => {
      if (!isTold({ shape, num_chs, reduction, ...rest }) || shape === null) return;
      const { numChs, reduction: stride, layout, grid, prefixTokens } = features[index];
      expect(shape.slice(1)).toContain(numChs);
      if (truth.model !== 'pit_ti_224') expect(stride).toBe(reduction);
      if (layout === 'NLC') expect(shape[1]).toBe((grid?.[0] ?? 0) * (grid?.[1] ?? 0) + prefixTokens);
    });
  });

  test('they make a FeatureInfo', async () => {
    const { view, types } = await survey(truth.file);
    expect(FeatureInfo.fromFeatures(resolveFeatures(view, types).features)).toHaveLength(truth.features.length);
  });
});

describe('without shapes', () => {
  const named = truths.filter(({ exporter }) => exporter === 'torchscript' || exporter === 'dynamo');

  test.each(
    named.filter(
      ({ file }) =>
        !['pit_ti_224.ts.onnx', 'mixer_s32_224.ts.onnx', 'test_vit.ts.onnx', 'twins_pcpvt_small.ts.onnx'].includes(
          file,
        ),
    ),
  )('$file: names are enough', async (truth) => {
    const { view } = await survey(truth.file);
    expect(misses(truth, resolveFeatures(view, unasked(view)).features)).toEqual([]);
  });

  test('strides of a chain of convolutions prove reductions, weights prove channels', async () => {
    const { view } = await survey('resnet18.ts.onnx');
    const { features } = resolveFeatures(view, unasked(view));
    expect(features.map(({ numChs, reduction, shape }) => [numChs, reduction, shape])).toEqual([
      [64, 2, null],
      [64, 4, null],
      [128, 8, null],
      [256, 16, null],
      [512, 32, null],
    ]);
  });
});

test('the rules that hold without a table of families find most backbones by name', async () => {
  const wrong: string[] = [];
  for (const truth of truths.filter(({ exporter }) => exporter === 'torchscript')) {
    const { view, types } = await survey(truth.file);
    if (misses(truth, resolveFeatures(view, types, { families: [] }).features).length > 0) wrong.push(truth.model);
  }
  expect(wrong).toEqual([
    'dpn48b',
    'ghostnet_050',
    'hgnet_tiny',
    'pit_ti_224',
    'resnext26ts',
    'starnet_s050',
    'twins_pcpvt_small',
  ]);
});

describe('what the exporter folded away', () => {
  test.each(['ghostnet_050.ts.onnx', 'repghostnet_050.dy.onnx'])(
    '%s: the stem keeps its index and has no tensor',
    async (file) => {
      const { view, types } = await survey(file);
      const resolution = resolveFeatures(view, types);
      expect(resolution.features[0]).toMatchObject({
        module: 'conv_stem',
        tensor: null,
        folded: expect.any(String),
        numChs: 8,
        reduction: 2,
      });
      expect(() => selectFeatures(view, types, resolution, { out: [0, 1] })).toThrow(
        expect.objectContaining({ name: 'ResolveError', hint: expect.stringContaining('`allowFolded: true`') }),
      );
      expect(selectFeatures(view, types, resolution, { out: [0], allowFolded: true })[0].tensors).toEqual([
        resolution.features[0].folded,
      ]);
    },
  );
});

describe('the embedding', () => {
  test.each<readonly [string, string | null, number | null]>([
    ['resnet18.ts.onnx', '/global_pool/flatten/Flatten_output_0', 512],
    ['test_vit.ts.onnx', '/Gather_output_0', 64],
    ['mobilenetv3_small_050.ts.onnx', '/flatten/Flatten_output_0', 1024],
    ['none_mlp.onnx', null, null],
    ['none_espcn_x2.onnx', null, null],
  ])('%s: %p', async (file, tensor, width) => {
    const { view, types } = await survey(file);
    const { embedding } = resolveFeatures(view, types);
    expect([embedding?.tensor ?? null, embedding?.numChs ?? null]).toEqual([tensor, width]);
  });
});

test('--explain asks every resolver', async () => {
  const { view, types } = await survey('resnet18.ts.onnx');
  const { tried }: Resolution = resolveFeatures(view, types, { explain: true });
  expect(tried.map(({ resolver, features }) => [resolver, features.length])).toEqual([
    ['module-path', 5],
    ['topology', 5],
  ]);
});
