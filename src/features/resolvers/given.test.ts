import { readFileSync } from 'node:fs';
import { viewGraph, type GraphView } from '../../onnx/graph.js';
import type { InferredTypes } from '../../onnx/types.js';
import { openModel } from '../../open.js';
import { inferTypes } from '../../runtime/types.js';
import { encodeModel } from '../../testing/model-builder.js';
import type { FeatureEntry } from '../feature-info.js';
import { neededTensors } from '../needed.js';
import { resolveFeatures } from '../resolve.js';
import { FEATURE_INFO_KEY, storedFeature, type StoredInfo } from '../stored-info.js';
import { readStoredInfo } from './metadata.js';

let view: GraphView;
let types: InferredTypes;

beforeAll(async () => {
  view = viewGraph(await openModel(readFileSync('fixtures/zoo/resnet18.ts.onnx')));
  types = await inferTypes(view, neededTensors(view), { isolate: false });
});

const entry = (module: string | null, rest: Record<string, unknown> = {}): FeatureEntry => ({
  num_chs: 64,
  reduction: 4,
  module,
  ...rest,
});

describe('a FeatureInfo that was given', () => {
  test('modules, tensors and hook types are found; the graph wins over what is declared, with a warning', () => {
    const { features, warnings, tried } = resolveFeatures(view, types, {
      explicit: [
        entry('layer1'),
        entry('layer2', { hook_type: 'forward_pre' }),
        entry('mine', { tensor: '/layer2/layer2.0/act1/Relu_output_0', num_chs: 100, reduction: 8 }),
      ],
    });
    expect(features.map(({ tensor, hookType, numChs, resolvedBy }) => [tensor, hookType, numChs, resolvedBy])).toEqual([
      ['/layer1/layer1.1/act2/Relu_output_0', 'forward', 64, 'explicit'],
      ['/layer1/layer1.1/act2/Relu_output_0', 'forward_pre', 64, 'explicit'],
      ['/layer2/layer2.0/act1/Relu_output_0', 'forward', 128, 'explicit'],
    ]);
    expect(warnings).toEqual(['feature 2 (mine): num_chs is 128 in the graph, not 100']);
    expect(tried.map(({ resolver }) => resolver)).toEqual(['explicit']);
  });

  test('everything that is missing is in one error', () => {
    expect(() =>
      resolveFeatures(view, types, { explicit: [entry('layer1'), entry('layr1'), entry('x', { tensor: 'nowhere' })] }),
    ).toThrow(
      expect.objectContaining({
        name: 'ResolveError',
        message: expect.stringMatching(/entry 1 module 'layr1' \(nearest: layer1.*entry 2 tensor 'nowhere'/),
      }),
    );
  });

  test("timm's own FeatureInfo of a network, whose names are not all modules of it", async () => {
    const twins = viewGraph(await openModel(readFileSync('fixtures/zoo/twins_pcpvt_small.ts.onnx')));
    const known = await inferTypes(twins, neededTensors(twins), { isolate: false });
    const explicit = [64, 128, 320, 512].map((num_chs, at) => ({ num_chs, reduction: 4 << at, module: `block.${at}` }));
    const given = resolveFeatures(twins, known, { explicit });
    expect(given.features.map(({ tensor }) => tensor)).toEqual(
      resolveFeatures(twins, known).features.map(({ tensor }) => tensor),
    );
    expect(given.warnings).toEqual([]);
  });

  test('it must be a FeatureInfo', () => {
    expect(() => resolveFeatures(view, types, { explicit: [entry('layer1', { num_chs: -1 })] })).toThrow(
      expect.objectContaining({ name: 'UsageError' }),
    );
  });
});

describe('what a cut remembers', () => {
  const storedOf = (): StoredInfo => {
    const { features } = resolveFeatures(view, types);
    return {
      schema: 1,
      feature_info: features.map((feature) =>
        storedFeature({ ...feature, tensor: feature.index === 3 ? 'cut/away' : feature.tensor }),
      ),
      out_indices: [1, 2],
      outputs: [
        { index: 1, module: 'layer1', tensor: 't', output: '1', layout: 'NCHW', prefix_tokens: 0, converted: false },
      ],
    };
  };

  test('indices keep their meaning; what was cut away has no tensor', () => {
    const { features, outIndices } = resolveFeatures(view, types, { stored: storedOf() });
    expect(outIndices).toEqual([1, 2]);
    expect(features.map(({ index, module, tensor, resolvedBy }) => [index, module, tensor, resolvedBy])[3]).toEqual([
      3,
      'layer3',
      null,
      'metadata',
    ]);
    expect(features[2]).toMatchObject({
      tensor: '/layer2/layer2.1/act2/Relu_output_0',
      resolvedBy: 'metadata',
      because: expect.stringMatching(/^stored when the model was cut/),
    });
  });

  test('a weight is not a feature', () => {
    const [weight] = view.initializers.keys();
    const stored = storedOf();
    const asFeature = stored.feature_info.map((entry) => (entry.index === 1 ? { ...entry, tensor: weight } : entry));
    const asOutput = stored.outputs.map((entry) => ({ ...entry, output: weight }));
    for (const changed of [{ feature_info: asFeature }, { outputs: asOutput }])
      expect(() => resolveFeatures(view, types, { stored: { ...stored, ...changed } })).toThrow(
        `takes weights for features: ${weight}`,
      );
  });

  test.each([
    { num_chs: 1e308 },
    { num_chs: 1.5 },
    { num_chs: -4 },
    { num_chs: 0 },
    { reduction: 1e-300 },
    { reduction: 0 },
    { reduction: 1e300 },
  ])('%j is refused', async (size) => {
    const stored = storedOf();
    const text = JSON.stringify({
      ...stored,
      feature_info: stored.feature_info.map((entry) => ({ ...entry, ...size })),
    });
    await expect(cutWith(text)).rejects.toMatchObject({ name: 'ModelFormatError', code: 'FEATX_GRAPH_METADATA' });
  });

  const cutWith = async (text: string): Promise<StoredInfo | null> => {
    const relu = { op: 'Relu', inputs: ['x'], outputs: ['y'] };
    return readStoredInfo(
      await openModel(
        encodeModel({
          metadata: [[FEATURE_INFO_KEY, text]],
          graph: { inputs: [{ name: 'x' }], outputs: [{ name: 'y' }], nodes: [relu] },
        }),
      ),
    );
  };

  test('it is read back from the file', async () => {
    expect(await cutWith(JSON.stringify(storedOf()))).toEqual(JSON.parse(JSON.stringify(storedOf())));
    expect(await readStoredInfo(view.model)).toBeNull();
  });

  test.each([
    '{',
    '[]',
    '{"schema":2}',
    '{"schema":1,"feature_info":[{}],"out_indices":[],"outputs":[]}',
    '{"schema":1,"feature_info":[],"out_indices":[0],"outputs":[]}',
  ])('%s is refused', async (text) => {
    await expect(cutWith(text)).rejects.toMatchObject({ name: 'ModelFormatError', code: 'FEATX_GRAPH_METADATA' });
  });
});
