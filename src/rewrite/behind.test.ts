import { extractBytes, inspectBytes } from '../in-memory.js';
import { indexModel } from '../onnx/model.js';
import { viewGraph } from '../onnx/graph.js';
import { readStoredInfo } from '../features/resolvers/metadata.js';
import { FeatureListNet } from '../nets.js';
import { verifyViews } from '../verify.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, weights, type ModelSpec } from '../testing/model-spec.js';

const conv = { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] }, kernel_shape: { ints: [3, 3] } };

/** Three maps of strides 2, 4 and 8, and a vector. */
function pyramid(opset = 17, seed = 2): Uint8Array {
  const spec: ModelSpec = {
    opset,
    graph: {
      nodes: [
        node('Conv', ['x', 'w0'], ['c0'], conv),
        node('Relu', ['c0'], ['r0']),
        node('Conv', ['r0', 'w1'], ['c1'], conv),
        node('Relu', ['c1'], ['r1']),
        node('Conv', ['r1', 'w2'], ['c2'], conv),
        node('Relu', ['c2'], ['r2']),
        node('GlobalAveragePool', ['r2'], ['p']),
        node('Flatten', ['p'], ['v']),
        node('Gemm', ['v', 'w3'], ['y']),
      ],
      initializers: [
        weights('w0', [4, 3, 3, 3], 1),
        weights('w1', [6, 4, 3, 3], seed),
        weights('w2', [8, 6, 3, 3], 3),
        weights('w3', [8, 10], 4),
      ],
      inputs: [value('x', ['batch', 3, 32, 32])],
      outputs: [value('y', ['batch', 10])],
    },
  };
  return encodeModel(spec);
}

async function viewOf(bytes: Uint8Array): Promise<ReturnType<typeof viewGraph>> {
  return viewGraph(await indexModel(bytes));
}

test('a cut says what was computed, and verify judges what it was computed of', async () => {
  const { bytes, report } = await extractBytes(pyramid(), { out: [0, -1], pool: 'avg', normalize: true });
  expect(report.features.map(({ output, shape, num_chs, steps }) => ({ output, shape, num_chs, steps }))).toEqual(
    [4, 8].map((channels, at) => ({
      output: String(at * 2),
      shape: ['batch', channels],
      num_chs: channels,
      steps: [{ step: 'pool', kind: 'avg' }, { step: 'normalize' }],
    })),
  );
  const { equal, features } = await verifyViews(await viewOf(pyramid()), await viewOf(bytes), {});
  expect(equal).toBe(true);
  expect(features.map(({ output, before, bit_equal }) => [output, before, bit_equal])).toEqual([
    ['0', 'r0', true],
    ['2', 'r2', true],
  ]);
});

test('a weight that differs is found in front of the steps', async () => {
  const { bytes } = await extractBytes(pyramid(), { out: [1], pool: 'max', cast: 'float16' });
  expect((await verifyViews(await viewOf(pyramid(17, 9)), await viewOf(bytes), {})).equal).toBe(false);
});

test.each([
  ['by index', { out: [1] }, '1'],
  ['by name', { select: [{ by: 'tensor', name: 'a' }] }, 'a'],
] as const)('%s, a cut gives what leaves it, and the map in front of that by its name', async (_how, asked, output) => {
  const { bytes } = await extractBytes(pyramid(), { out: [1, 2], pool: 'avg', outMap: ['a', 'b'] });
  const again = await extractBytes(bytes, { ...asked, pool: 'avg' });
  expect(again.report.features[0]).toMatchObject({ tensor: 'a', output, shape: ['batch', 6], num_chs: 6 });
  expect(again.report.warnings).toEqual([expect.stringContaining('the cut was made with `pool`')]);
  const stored = (await readStoredInfo(await indexModel(again.bytes)))?.outputs[0];
  expect(stored).toMatchObject({ tensor: 'r1', steps: [{ step: 'pool' }], before: { tensor: 'r1' } });
  expect((await verifyViews(await viewOf(pyramid()), await viewOf(again.bytes), {})).equal).toBe(true);
  const map = await extractBytes(bytes, { select: [{ by: 'tensor', name: 'r1' }] });
  expect(map.report.features[0]).toMatchObject({ tensor: 'r1', shape: ['batch', 6, 8, 8] });
});

test('the embedding of a cut is what leaves it, and inspect shows what an index gives', async () => {
  const { bytes } = await extractBytes(pyramid(), { out: [2], embedding: true, pool: 'avg', normalize: true });
  const again = await extractBytes(bytes, { embedding: true, normalize: true });
  expect(again.report.features[0]).toMatchObject({ tensor: 'embedding', output: 'embedding' });
  expect(again.report.features[0].steps).toBeUndefined();
  const { feature_info: features, embedding } = await inspectBytes(bytes);
  expect(features.map(({ tensor, shape }) => [tensor, shape])).toEqual([
    ['r0', ['batch', 4, 16, 16]],
    ['r1', ['batch', 6, 8, 8]],
    ['2', ['batch', 8]],
  ]);
  expect(embedding?.tensor).toBe('embedding');
});

test('without a selection, more is computed of what the cut gives', async () => {
  const { bytes } = await extractBytes(pyramid(), { out: [1, 2], pool: 'avg', outMap: ['a', 'b'] });
  const whole = await extractBytes(bytes, { pool: 'avg', normalize: true, outMap: ['c', 'd'] });
  expect(whole.report.features.map(({ shape, steps }) => [shape, steps])).toEqual([
    [['batch', 6], [{ step: 'normalize' }]],
    [['batch', 8], [{ step: 'normalize' }]],
  ]);
  expect(whole.report.warnings).toEqual([
    expect.stringContaining('feature 1: the cut was made with `pool`'),
    expect.stringContaining('feature 2: the cut was made with `pool`'),
  ]);
});

test('several maps are one, whose parts keep their indices', async () => {
  const { bytes, report } = await extractBytes(pyramid(), { out: [2, 0], concat: true });
  expect(report.features).toEqual([
    expect.objectContaining({ output: 'concat', index: null, shape: ['batch', 12, 16, 16], num_chs: 12, reduction: 2 }),
  ]);
  const stored = await readStoredInfo(await indexModel(bytes));
  expect(stored?.out_indices).toEqual([2, 0]);
  expect(stored?.outputs[0].parts?.map(({ index, before }) => [index, before.tensor])).toEqual([
    [2, 'r2'],
    [0, 'r0'],
  ]);
  expect((await inspectBytes(bytes)).feature_info.map(({ tensor }) => tensor)).toEqual(['r0', 'r1', 'r2']);
  const { equal, features } = await verifyViews(await viewOf(pyramid()), await viewOf(bytes), {});
  expect([equal, features.map(({ index, output }) => [index, output])]).toEqual([
    true,
    [
      [2, 'concat'],
      [0, 'concat'],
    ],
  ]);
});

test('maps and the embedding go together: a vector is left as it is', async () => {
  const { report } = await extractBytes(pyramid(), { out: [0], embedding: true, pool: 'gem', normalize: true });
  expect(report.features.map(({ output, shape, steps }) => [output, shape, steps?.length])).toEqual([
    ['0', ['batch', 4], 2],
    ['embedding', ['batch', 8], 1],
  ]);
});

test('the embedding alone is called so', async () => {
  const { report } = await extractBytes(pyramid(), { embedding: true, normalize: true });
  expect(report.features[0].output).toBe('embedding');
  expect(report.warnings).toEqual([]);
});

const matrix = (rows: number, columns: number): { dtype: string; shape: number[]; data: Float32Array } => ({
  dtype: 'float32',
  shape: [rows, columns],
  data: new Float32Array(rows * columns),
});

test.each([
  ['tokens of a map', { pool: 'cls' }, /feature 0 is a map \(NCHW\)/],
  ['a mask that is not an input', { pool: 'mean:mask' }, /no input 'mask'/],
  ['rows that are not the channels', { project: { weights: matrix(5, 2) } }, /feature 0 has 4 channels.* 5 rows/],
  ['a mean of another length', { project: { weights: matrix(4, 2), mean: matrix(3, 1) } }, /mean of/],
  ['a vector beside a map', { concat: true, embedding: true }, /is a vector/],
  ['names for features that are one', { concat: true, outMap: ['a', 'b'] }, /makes one/],
])('%s: refused', async (_what, options, message) => {
  await expect(extractBytes(pyramid(), { out: [0], ...options })).rejects.toThrow(message);
});

test('what an opset has no operator for is refused, and the opset stays', async () => {
  await expect(extractBytes(pyramid(10), { out: [0, 1], concat: true })).rejects.toMatchObject({
    code: 'FEATX_OPSET',
    message: expect.stringContaining('opset 10'),
  });
  const { bytes } = await extractBytes(pyramid(10), { out: [0, 1], pool: 'avg', concat: true });
  expect((await indexModel(bytes)).opsetImports).toMatchObject([{ domain: '', version: 10 }]);
});

test('the nets compute it too', async () => {
  const data = Float32Array.from({ length: 3 * 32 * 32 }, (_, at) => Math.sin(at));
  await using net = await FeatureListNet.create(pyramid(), { outIndices: [0, 2], pool: 'gem', normalize: true });
  const vectors = await net.forward({ dtype: 'float32', shape: [1, 3, 32, 32], data });
  expect(vectors.map(({ shape }) => shape)).toEqual([
    [1, 4],
    [1, 8],
  ]);
  for (const { data: numbers } of vectors) expect(Math.hypot(...Array.from(numbers as Float32Array))).toBeCloseTo(1, 6);
});

test.each(['list', 'hook'] as const)('as %s, outputs are named after their tensors and the last step', async (mode) => {
  const { report } = await extractBytes(pyramid(), { out: [0], embedding: true, mode, pool: 'avg', normalize: true });
  expect(report.features.map(({ output }) => output)).toEqual(['r0_normalized', 'embedding']);
  expect(report.warnings).toEqual([]);
});

test('int8 of what is not normalised is warned of', async () => {
  const { report } = await extractBytes(pyramid(), { out: [0], pool: 'avg', cast: 'int8' });
  expect(report.warnings).toEqual([expect.stringContaining('`normalize` is not asked for')]);
});

test.each([
  ['ids', 'int64', ["no input says which tokens count, so that all do, those that pad 'ids'"]],
  ['mask', 'int64', []],
] as const)('a mean of words without a mask says so: an input %s', async (name, type, warned) => {
  const model = encodeModel({
    graph: {
      nodes: [node('Gather', ['table', name], ['words']), node('Add', ['words', 'words'], ['y'])],
      initializers: [weights('table', [5, 4], 1)],
      inputs: [value(name, ['n', 'tokens'], type)],
      outputs: [value('y', ['n', 'tokens', 4])],
    },
  });
  const { report } = await extractBytes(model, { select: [{ by: 'tensor', name: 'y' }], pool: 'mean' });
  expect(report.warnings).toEqual(warned.map((text) => expect.stringContaining(text)));
});
