import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TensorValue } from './onnx/tensor-value.js';
import type { RunFeatureRecord, RunReport } from './report/run-records.js';
import { run, type RunOptions } from './run.js';
import { readTensors } from './tensors/array-file.js';
import { writeArrays } from './tensors/in-memory.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, type GraphSpec, type NodeSpec } from './testing/model-spec.js';

/** Which axis of a feature counts entries, whatever their number is. */

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'featx-entries-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function floats(shape: readonly number[], from = 0): TensorValue {
  const count = shape.reduce((all, dim) => all * dim, 1);
  return { dtype: 'float32', shape, data: Float32Array.from({ length: count }, (_value, index) => from + index) };
}

let files = 0;

/** What comes of a graph's output `y` in batches of a size; of several arrays, each is a file. */
async function entriesOf(
  graph: GraphSpec,
  input: TensorValue | readonly TensorValue[],
  options: Partial<RunOptions> = {},
): Promise<{
  readonly results: ReadonlyMap<string, TensorValue>;
  readonly feature: RunFeatureRecord;
  readonly report: RunReport;
}> {
  const paths: string[] = [];
  for (const array of 'dtype' in input ? [input] : input) {
    paths.push(join(folder, `in-${files++}.npy`));
    await writeArrays(paths[paths.length - 1], new Map([['', array]]));
  }
  const output = join(folder, `out-${files++}.npz`);
  const report = await run(encodeModel({ graph }), {
    inputs: paths,
    output,
    select: [{ by: 'tensor', name: 'y' }],
    ...options,
  });
  return { results: await readTensors(output), feature: report.features[0], report };
}

const turned = (
  input: readonly (string | number | null)[],
  output: readonly (string | number | null)[] | null,
): GraphSpec => ({
  inputs: [value('x', input)],
  outputs: [value('y', output)],
  nodes: [node('Transpose', ['x'], ['y'], { perm: { ints: [1, 0, 2] } })],
});

/** [T, N, C] of [N, T, C]. */
function transposed({ shape: [rows, steps, width], data }: TensorValue): readonly number[] {
  const numbers: number[] = [];
  for (let step = 0; step < steps; step++)
    for (let row = 0; row < rows; row++)
      for (let at = 0; at < width; at++) numbers.push(Number(data[(row * steps + step) * width + at]));
  return numbers;
}

describe('time first', () => {
  const input = floats([37, 16, 4]);

  test.each<readonly [string, GraphSpec]>([
    ['the symbol says so', turned(['batch', 16, 4], [16, 'batch', 4])],
    ['the symbol is found, though nothing is declared', turned(['batch', 16, 4], null)],
    ['the dim has no name', turned([null, 16, 4], null)],
  ])('%s, in batches as large as there are steps', async (_case, graph) => {
    const { results, feature } = await entriesOf(graph, input, { batchSize: 16 });
    expect(feature).toMatchObject({ shape: [16, 37, 4], entry_axis: 1, parts_per_entry: 1 });
    expect([...(results.get('y')?.data ?? [])]).toEqual(transposed(input));
  });

  test('a model that fixes its batch is asked which part of the result an entry changes', async () => {
    const { results, feature } = await entriesOf(turned([16, 16, 4], [16, 16, 4]), input);
    expect(feature).toMatchObject({ shape: [16, 37, 4], entry_axis: 1, parts_per_entry: 1 });
    expect([...(results.get('y')?.data ?? [])]).toEqual(transposed(input));
  });

  test('a model for one entry', async () => {
    const { results, feature } = await entriesOf(turned([1, 16, 4], [16, 1, 4]), input);
    expect(feature).toMatchObject({ shape: [16, 37, 4], entry_axis: 1 });
    expect([...(results.get('y')?.data ?? [])]).toEqual(transposed(input));
  });

  test('sizes that no rule follows are told by runs of two', async () => {
    const branch = (perm: readonly number[]): GraphSpec => ({
      nodes: [node('Transpose', ['x'], ['z'], { perm: { ints: perm } })],
      outputs: [value('z', null)],
    });
    const graph: GraphSpec = {
      inputs: [value('x', ['batch', 16, 4])],
      outputs: [value('y', null)],
      nodes: [
        node('Size', ['x'], ['size']),
        node('Equal', ['size', 'never'], ['no']),
        node('If', ['no'], ['y'], {
          then_branch: { graph: branch([2, 1, 0]) },
          else_branch: { graph: branch([1, 0, 2]) },
        }),
      ],
      initializers: [tensor('never', [], [64 * 99], 'int64')],
    };
    const { feature } = await entriesOf(graph, input, { batchSize: 16 });
    expect(feature).toMatchObject({ shape: [16, 37, 4], entry_axis: 1, parts_per_entry: 1 });
    expect((await entriesOf(graph, input, { batchSize: 64 })).feature).toMatchObject({ entry_axis: 1 });
  });
});

test('frames that are folded into the batch are parts of an entry', async () => {
  const graph: GraphSpec = {
    inputs: [value('x', ['batch', 4, 3])],
    outputs: [value('y', null)],
    nodes: [node('Reshape', ['x', 'shape'], ['y'])],
    initializers: [tensor('shape', [2], [-1, 3], 'int64')],
  };
  const input = floats([50, 4, 3]);
  const { results, feature } = await entriesOf(graph, input, { batchSize: 32 });
  expect(feature).toMatchObject({ shape: [200, 3], entry_axis: 0, parts_per_entry: 4 });
  expect([...(results.get('y')?.data ?? [])]).toEqual([...input.data]);
});

describe('detections', () => {
  /** The positions of what is above 0: as many rows as there are. */
  const detections = (batch: number | string, output: readonly (string | null)[] | null): GraphSpec => ({
    inputs: [value('x', [batch, 4])],
    outputs: [value('y', output, 'int64')],
    nodes: [
      node('Greater', ['x', 'zero'], ['b']),
      node('NonZero', ['b'], ['found']),
      node('Transpose', ['found'], ['y'], { perm: { ints: [1, 0] } }),
    ],
    initializers: [tensor('zero', [], [0])],
  });
  const picture = (...rows: readonly (readonly number[])[]): TensorValue => ({
    dtype: 'float32',
    shape: [rows.length, 4],
    data: Float32Array.from(rows.flat()),
  });
  const varied = picture([1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 1]);
  const alike = picture([1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 0, 0]);

  test.each<readonly [string, GraphSpec, TensorValue, readonly bigint[]]>([
    ['of another number each', detections('batch', ['n', null]), varied, [0n, 2n, 6n, 6n, 9n]],
    ['though nothing is declared', detections('batch', null), varied, [0n, 2n, 6n, 6n, 9n]],
    ['in a model for one entry', detections(1, ['n', null]), varied, [0n, 2n, 6n, 6n, 9n]],
    ['that are equally many by chance', detections('batch', null), alike, [0n, 2n, 4n, 6n]],
  ])('%s: where those of each entry begin', async (_case, graph, input, offsets) => {
    const { results, feature } = await entriesOf(graph, input, { ragged: true });
    expect(feature).toMatchObject({ entry_axis: 0, parts_per_entry: null, offsets: 'y.offsets' });
    expect([...(results.get('y.offsets')?.data ?? [])]).toEqual(offsets);
    expect(results.get('y')?.shape).toEqual([Number(offsets.at(-1)), 2]);
    expect(feature.shape).toEqual([Number(offsets.at(-1)), 2]);
  });

  test('are joined only if that is asked for', async () => {
    await expect(entriesOf(detections(1, ['n', null]), varied)).rejects.toMatchObject({
      code: 'FEATX_USAGE_RAGGED',
      hint: expect.stringContaining('`ragged`'),
    });
    const one = await entriesOf(detections(1, ['n', null]), picture([1, 0, 0, 1]));
    expect(one.feature).toMatchObject({ shape: [2, 2], offsets: 'y.offsets' });
  });

  test('are not taken in batches, nor put into a file for one array', async () => {
    await expect(entriesOf(detections('batch', null), varied, { batchSize: 2 })).rejects.toMatchObject({
      code: 'FEATX_USAGE_BATCH',
      hint: expect.stringContaining('leave out'),
    });
    await expect(entriesOf(detections(2, null), varied)).rejects.toMatchObject({ code: 'FEATX_USAGE_BATCH' });
    const output = join(folder, 'detections.npy');
    await expect(entriesOf(detections('batch', null), varied, { output, ragged: true })).rejects.toThrow(
      /one array.*y\.offsets/s,
    );
  });
});

describe('what does not belong to entries', () => {
  test('is written once if it is the same in every batch', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['batch', 3])],
      outputs: [value('y', null, 'int64')],
      nodes: [node('Shape', ['x'], ['s']), node('Gather', ['s', 'one'], ['y'])],
      initializers: [tensor('one', [1], [1], 'int64')],
    };
    const { results, feature } = await entriesOf(graph, floats([5, 3]), { batchSize: 2 });
    expect(feature).toMatchObject({ shape: [1], entry_axis: null, parts_per_entry: null });
    expect(results.get('y')).toMatchObject({ shape: [1], data: BigInt64Array.of(3n) });
  });

  test('is refused if it is another one in every batch', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['batch', 3])],
      outputs: [value('y', null)],
      nodes: [node('ReduceMean', ['x'], ['y'], { axes: { ints: [0] } })],
    };
    await expect(entriesOf(graph, floats([5, 3]), { batchSize: 2 })).rejects.toMatchObject({
      code: 'FEATX_USAGE_BATCH',
    });
    expect((await entriesOf(graph, floats([5, 3]), { batchSize: 1 })).feature.shape).toEqual([5, 3]);
    expect((await entriesOf(graph, floats([5, 3]))).feature.shape).toEqual([1, 3]);
  });

  test('entries against entries are one batch or none', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['batch', 3])],
      outputs: [value('y', null)],
      nodes: [node('Transpose', ['x'], ['t'], { perm: { ints: [1, 0] } }), node('MatMul', ['x', 't'], ['y'])],
    };
    await expect(entriesOf(graph, floats([4, 3]), { batchSize: 2 })).rejects.toMatchObject({
      code: 'FEATX_USAGE_BATCH',
      message: expect.stringContaining('axes 0 and 1 both grow'),
      hint: expect.stringContaining('`batchSize: 4`'),
    });
    expect((await entriesOf(graph, floats([4, 3]))).feature).toMatchObject({ shape: [4, 4], entry_axis: null });
  });
});

describe('inputs whose axis 0 does not count entries', () => {
  const halves = (shape: readonly (string | number | null)[]): GraphSpec => ({
    inputs: [value('x', shape)],
    outputs: [value('y', null)],
    nodes: [node('CumSum', ['x', 'axis'], ['y'])],
    initializers: [tensor('axis', [], [0], 'int64')],
  });

  test.each<readonly [string, GraphSpec, readonly number[]]>([
    ['steps of time', halves(['seq', 'batch', 2]), [40, 3, 2]],
    ['samples of sound', halves(['samples']), [40]],
    ['a side of a picture', halves(['h', 'w', 3]), [40, 5, 3]],
  ])('%s: the whole is one entry', async (_case, graph, shape) => {
    const { results, feature } = await entriesOf(graph, floats(shape), { batchSize: 1 });
    expect(feature.shape).toEqual([1, ...shape]);
    const own = floats(shape);
    const width = own.data.length / shape[0];
    const sums = Float32Array.from({ length: own.data.length }, (_value, at) => {
      const steps = Math.floor(at / width);
      return ((steps + 1) * (2 * (at % width) + steps * width)) / 2;
    });
    expect(results.get('y')?.data).toEqual(sums);
  });
});

test('a batch that the graph does not take proposes one entry at a time', async () => {
  const graph: GraphSpec = {
    inputs: [value('x', ['batch', 4])],
    outputs: [value('y', ['batch', 2, 2])],
    nodes: [node('Reshape', ['x', 'shape'], ['y'])],
    initializers: [tensor('shape', [3], [1, 2, 2], 'int64')],
  };
  await expect(entriesOf(graph, floats([3, 4]))).rejects.toMatchObject({
    name: 'RuntimeError',
    hint: expect.stringContaining('`batchSize: 1`'),
  });
  const { feature, results } = await entriesOf(graph, floats([3, 4]), { batchSize: 1 });
  expect(feature).toMatchObject({ shape: [3, 2, 2], entry_axis: 0 });
  expect(results.get('y')?.data).toEqual(floats([3, 4]).data);
});

test('inputs of other numbers of entries by other symbols: the most are batched, and all of the others is in each', async () => {
  const graph: GraphSpec = {
    inputs: [value('text', ['texts', 3]), value('image', ['images', 3])],
    outputs: [value('y', null)],
    nodes: [node('Transpose', ['image'], ['t'], { perm: { ints: [1, 0] } }), node('MatMul', ['text', 't'], ['y'])],
  };
  const [text, image] = [join(folder, 'texts.npy'), join(folder, 'images.npy')];
  await writeArrays(text, new Map([['', floats([2, 3])]]));
  await writeArrays(image, new Map([['', floats([7, 3])]]));
  const { features } = await run(encodeModel({ graph }), {
    inputs: [`text=${text}`, `image=${image}`],
    select: [{ by: 'tensor', name: 'y' }],
    output: join(folder, 'scores.npy'),
    batchSize: 3,
  });
  expect(features[0]).toMatchObject({ shape: [2, 7], entry_axis: 1, parts_per_entry: 1 });
  const [scores] = (await readTensors(join(folder, 'scores.npy'))).values();
  const dot = (a: number, b: number): number => [0, 1, 2].reduce((sum, at) => sum + (a * 3 + at) * (b * 3 + at), 0);
  expect([...scores.data]).toEqual([0, 1].flatMap((a) => Array.from({ length: 7 }, (_value, b) => dot(a, b))));
});

describe('networks that compute across their batch', () => {
  const one = (...nodes: readonly NodeSpec[]): GraphSpec => ({
    inputs: [value('x', ['batch', 3])],
    outputs: [value('y', ['batch', 3])],
    nodes,
    initializers: [
      tensor('axis', [], [0], 'int64'),
      tensor('axes', [1], [0], 'int64'),
      tensor('last', [1], [-1], 'int64'),
      tensor('end', [1], [-(2n ** 63n)], 'int64'),
      tensor('ones', [3], [1, 1, 1]),
      tensor('zeros', [3], [0, 0, 0]),
    ],
  });
  const mean = [node('ReduceMean', ['x'], ['m'], { axes: { ints: [0] } }), node('Sub', ['x', 'm'], ['y'])];
  const reversed = node('Slice', ['x', 'last', 'end', 'axes', 'last'], ['y']);

  test.each<readonly [string, GraphSpec, RegExp]>([
    ['a mean over it', one(...mean), /ReduceMean: it works along the axis/],
    ['a cumulative sum', one(node('CumSum', ['x', 'axis'], ['y'])), /CumSum: it sums/],
    ['a softmax', one(node('Softmax', ['x'], ['y'], { axis: { int: 0 } })), /Softmax/],
    [
      'statistics of training',
      one(
        node('BatchNormalization', ['x', 'ones', 'zeros', 'zeros', 'ones'], ['y', 'rm', 'rv'], {
          training_mode: { int: 1 },
        }),
      ),
      /BatchNormalization: it takes means/,
    ],
    ['entries in another order, of which no rule is sure', one(reversed), /an entry has other values beside others/],
  ])('%s: entries are run one by one, which is said', async (_case, graph, why) => {
    const input = [floats([2, 3]), floats([3, 3], 6)];
    const { results, feature, report } = await entriesOf(graph, input);
    expect(report).toMatchObject({ batch_size: 1, features: [{ mixes_entries: expect.stringMatching(why) }] });
    expect(report.warnings.join()).toMatch(/across its batch, so entries are run one by one/);
    const alone = await entriesOf(graph, input, { batchSize: 1 });
    expect(results.get('y')).toEqual(alone.results.get('y'));
    expect(feature.shape).toEqual([5, 3]);
    expect(alone.report.warnings).toEqual([]);
    const asked = await entriesOf(graph, input, { batchSize: 2 });
    expect(asked.report.warnings.join()).toMatch(/depend on the others of its batch of 2/);
    expect(asked.feature.mixes_entries).toMatch(why);
    const given = await entriesOf(graph, floats([5, 3]));
    expect(given.report.warnings.join()).toMatch(/depend on the others of its batch of 5/);
    expect(given.results.get('y')).toEqual((await entriesOf(graph, input, { batchSize: 5 })).results.get('y'));
  });

  test('what holds for several features is said once', async () => {
    const { outputs, nodes = [], ...graph } = one(...mean);
    const two = {
      ...graph,
      nodes: [...nodes, node('Neg', ['y'], ['z'])],
      outputs: [...(outputs ?? []), value('z', null)],
    };
    const { report } = await entriesOf(two, [floats([2, 3]), floats([3, 3], 6)], {
      select: ['y', 'z'].map((name) => ({ by: 'tensor', name }) as const),
    });
    expect(report.warnings.join()).toMatch(/: y, z \([^(]*ReduceMean: it works along the axis[^(]*\)$/);
  });

  test('entries that stay apart are a batch, whether a rule says so or a run', async () => {
    const body: GraphSpec = { nodes: [node('Neg', ['x'], ['z'])], outputs: [value('z', null)] };
    const inside = {
      ...one(
        node('Size', ['x'], ['size']),
        node('Equal', ['size', 'axis'], ['no']),
        node('If', ['no'], ['y'], { then_branch: { graph: body }, else_branch: { graph: body } }),
      ),
    };
    for (const graph of [one(node('Softmax', ['x'], ['y'], { axis: { int: 1 } })), inside]) {
      const { report, feature } = await entriesOf(graph, floats([5, 3]));
      expect(report).toMatchObject({ batch_size: 5, warnings: [] });
      expect(feature).not.toHaveProperty('mixes_entries');
    }
  });

  test('a batch of fixed size is whole or refused', async () => {
    for (const { nodes, ...graph } of [one(...mean), one(reversed)]) {
      const fixed = { ...graph, nodes, inputs: [value('x', [4, 3])], outputs: [value('y', [4, 3])] };
      await expect(entriesOf(fixed, floats([6, 3]))).rejects.toMatchObject({ code: 'FEATX_USAGE_BATCH' });
      expect((await entriesOf(fixed, floats([4, 3]))).feature).toMatchObject({ entry_axis: null });
    }
  });
});
