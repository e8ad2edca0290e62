import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract, type ExtractOptions } from './extract.js';
import { assertFreed } from './freed-entries.js';
import { viewGraph } from './onnx/graph.js';
import { declaredTypes } from './onnx/types.js';
import { openModel } from './open.js';
import type { ExtractReport } from './report/records.js';
import { planRewrite } from './rewrite/plan.js';
import { DEFAULT_PLAN } from './rewrite/tap.js';
import { inferWhole } from './shapes/whole.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type NodeSpec, type TensorSpec } from './testing/model-spec.js';
import { verify } from './verify.js';

/** Batches that an exporter fixed: right for two and three entries, or refused with the node that is in the way. */
let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-batch-'))));
afterAll(() => rm(folder, { recursive: true }));

type Shape = readonly (number | string)[];
const ints = (name: string, ...values: readonly number[]): TensorSpec => tensor(name, [values.length], values, 'int64');
let count = 0;

const OPSETS = [
  ['', 17],
  ['com.microsoft', 1],
] as const;
const contributed = { domain: 'com.microsoft' };
const HEADS = { num_heads: { int: 2 } };

/** A chain from `x` to `y`; extract runs it with two and three entries before it appears. */
async function freed(
  shape: Shape,
  nodes: readonly NodeSpec[],
  initializers: readonly TensorSpec[] = [],
  more: Partial<GraphSpec> = {},
  options: ExtractOptions = {},
): Promise<ExtractReport> {
  const [model, cut] = [join(folder, `${count}.onnx`), join(folder, `${count++}.cut.onnx`)];
  const graph: GraphSpec = { nodes, initializers, inputs: [value('x', shape)], outputs: [value('y', null)], ...more };
  await writeFile(model, encodeModel({ graph, opset: OPSETS }));
  const report = await extract(model, cut, { freeBatch: true, from: ['x'], ...options });
  expect(await verify(model, cut)).toMatchObject({ equal: true });
  return report;
}

const refusal = async (...args: Parameters<typeof freed>): Promise<string> =>
  freed(...args).then(
    () => 'was freed',
    (error: Error) => error.message,
  );

describe('what exporters write for the batch that they had', () => {
  test.each<[string, Shape, readonly NodeSpec[], readonly TensorSpec[], number]>([
    ['a flattened map', [1, 2, 3, 3], [node('Reshape', ['x', 's'], ['y'])], [ints('s', 1, 18)], 0],
    ['a flattened map, open', [1, 2, 3, 3], [node('Reshape', ['x', 's'], ['y'])], [ints('s', 1, -1)], 0],
    ['copied sizes', [1, 2, 3, 3], [node('Reshape', ['x', 's'], ['y'])], [ints('s', 0, -1)], 0],
    [
      'heads of an attention',
      [1, 3, 4],
      [
        node('Reshape', ['x', 's'], ['a']),
        node('Transpose', ['a'], ['b'], { perm: { ints: [0, 2, 1, 3] } }),
        node('Transpose', ['a'], ['c'], { perm: { ints: [0, 2, 3, 1] } }),
        node('MatMul', ['b', 'c'], ['d']),
        node('Softmax', ['d'], ['e'], { axis: { int: -1 } }),
        node('MatMul', ['e', 'b'], ['f']),
        node('Transpose', ['f'], ['g'], { perm: { ints: [0, 2, 1, 3] } }),
        node('Reshape', ['g', 't'], ['y']),
      ],
      [ints('s', 1, 3, 2, 2), ints('t', 1, 3, 4)],
      0,
    ],
    [
      'windows: the batch is the outer factor of an axis, and comes back',
      [1, 4, 4, 2],
      [
        node('Reshape', ['x', 's'], ['a']),
        node('Transpose', ['a'], ['b'], { perm: { ints: [0, 1, 3, 2, 4, 5] } }),
        node('Reshape', ['b', 't'], ['c']),
        node('MatMul', ['c', 'w'], ['d']),
        node('Reshape', ['d', 'u'], ['y']),
      ],
      [ints('s', 1, 2, 2, 2, 2, 2), ints('t', 4, 4, 2), ints('u', 1, 4, 4, 2), weights('w', [2, 2], 1)],
      0,
    ],
    [
      'a class token',
      [1, 3, 4],
      [node('Concat', ['token', 'x'], ['a'], { axis: { int: 1 } }), node('Add', ['a', 'position'], ['y'])],
      [weights('token', [1, 1, 4], 1), weights('position', [1, 4, 4], 2)],
      0,
    ],
    [
      'a class token that is expanded to one entry',
      [1, 3, 4],
      [node('Expand', ['token', 's'], ['t']), node('Concat', ['t', 'x'], ['y'], { axis: { int: 1 } })],
      [weights('token', [1, 1, 4], 1), ints('s', 1, 1, 1)],
      0,
    ],
    [
      'sizes that are calculated from the shape',
      [1, 2, 3, 3],
      [
        node('Shape', ['x'], ['s']),
        node('Gather', ['s', 'zero'], ['n']),
        node('Concat', ['n', 'rest'], ['t'], { axis: { int: 0 } }),
        node('Reshape', ['x', 't'], ['y']),
      ],
      [ints('zero', 0), ints('rest', 2, 9)],
      0,
    ],
    [
      'sizes of a resize',
      [1, 2, 3, 3],
      [node('Resize', ['x', '', '', 's'], ['y'], { mode: { string: 'nearest' } })],
      [ints('s', 1, 2, 6, 6)],
      0,
    ],
    [
      'states of a recurrent layer',
      [1, 5, 2],
      [
        node('Transpose', ['x'], ['a'], { perm: { ints: [1, 0, 2] } }),
        node('LSTM', ['a', 'w', 'r', '', '', 'h', 'h'], ['b'], { hidden_size: { int: 3 } }),
        node('Squeeze', ['b', 'one'], ['c']),
        node('Transpose', ['c'], ['y'], { perm: { ints: [1, 0, 2] } }),
      ],
      [weights('w', [1, 12, 2], 1), weights('r', [1, 12, 3], 2), tensor('h', [1, 1, 3], [0, 0, 0]), ints('one', 1)],
      0,
    ],
    [
      'an axis that moves',
      [1, 2, 3, 3],
      [
        node('Transpose', ['x'], ['a'], { perm: { ints: [1, 2, 0, 3] } }),
        node('ReduceMean', ['a'], ['y'], { axes: { ints: [0] }, keepdims: { int: 0 } }),
      ],
      [],
      1,
    ],
    [
      'attention with a mask that the exporter wrote',
      [1, 3, 4],
      [node('Attention', ['x', 'w', 'b', 'm'], ['y'], HEADS, contributed)],
      [weights('w', [4, 12], 1), weights('b', [12], 2), tensor('m', [1, 3], [1, 1, 0], 'int32')],
      0,
    ],
    [
      'attention of queries, keys and values, with a bias for all',
      [1, 3, 4],
      [node('MultiHeadAttention', ['x', 'x', 'x', '', '', 'bias'], ['y'], HEADS, contributed)],
      [weights('bias', [1, 2, 3, 3], 1)],
      0,
    ],
    [
      'a norm with a skip, and a product that is turned',
      [1, 3, 4],
      [
        node('SkipLayerNormalization', ['x', 'x', 'g'], ['a', '', '', 'b'], {}, contributed),
        node('FusedMatMul', ['a', 'w'], ['c'], { transB: { int: 1 } }, contributed),
        node('Add', ['b', 'c'], ['y']),
      ],
      [weights('g', [4], 1), weights('w', [4, 4], 2)],
      0,
    ],
  ])('%s', async (_name, shape, nodes, initializers, axis) => {
    const report = await freed(shape, nodes, initializers);
    expect(report.freed).toMatchObject({ name: 'batch', batch: 1, inputs: { x: 0 }, outputs: { y: axis } });
    expect(report.from?.[0].shape?.[0]).toBe('batch');
  });

  test('more than one entry at the export; a name of its own; stale declarations go', async () => {
    const report = await freed(
      [2, 3, 4],
      [node('Reshape', ['x', 's'], ['a']), node('Shape', ['a'], ['b']), node('Reshape', ['a', 't'], ['y'])],
      [ints('s', 2, 12), ints('t', 2, 4, 3)],
      { valueInfo: [value('a', [2, 12])], outputs: [value('y', [2, 4, 3])] },
      { freeBatch: 'n' },
    );
    expect(report.freed).toMatchObject({ name: 'n', batch: 2, edits: 2 });
  });
});

describe('13: what is silently wrong elsewhere is refused', () => {
  test.each<[string, Shape, readonly NodeSpec[], readonly TensorSpec[], string]>([
    [
      'the first picture',
      [1, 3, 4],
      [node('Gather', ['x', 'i'], ['y'])],
      [tensor('i', [], [0], 'int64')],
      'node[0] Gather: it picks entries',
    ],
    [
      'a slice of pictures',
      [1, 3],
      [node('Slice', ['x', 'a', 'b', 'a'], ['y'])],
      [ints('a', 0), ints('b', 1)],
      'it takes some of the entries',
    ],
    ['a mean over all axes', [1, 3, 4], [node('ReduceMean', ['x'], ['y'])], [], 'along the axis that counts entries'],
    [
      'a softmax over pictures',
      [1, 3],
      [node('Softmax', ['x'], ['y'], { axis: { int: 0 } })],
      [],
      'along the axis that counts entries',
    ],
    [
      'a mask of windows',
      [1, 4, 2],
      [node('Reshape', ['x', 's'], ['a']), node('Add', ['a', 'm'], ['y'])],
      [ints('s', 4, 1, 2), weights('m', [4, 1, 2], 1)],
      "the constant 'm' has 4 where entries are counted",
    ],
    [
      'pictures side by side',
      [1, 3],
      [node('Concat', ['x', 'x'], ['y'], { axis: { int: 0 } })],
      [],
      'it joins entries',
    ],
    ['a picture that is repeated', [1, 3], [node('Tile', ['x', 's'], ['y'])], [ints('s', 2, 1)], 'it repeats entries'],
    [
      'a picture without its axis',
      [1, 3, 4],
      [node('Squeeze', ['x', 's'], ['y'])],
      [ints('s', 0)],
      'takes away the axis that counts entries',
    ],
    [
      'one against many',
      [1, 4],
      [node('Add', ['x', 'w'], ['y'])],
      [weights('w', [5, 4], 1)],
      'where entries are counted',
    ],
    [
      'sums over entries',
      [1, 4],
      [node('MatMul', ['w', 'x'], ['y'])],
      [weights('w', [3, 1], 1)],
      'it sums over entries',
    ],
    [
      'a key of other entries',
      [1, 3, 4],
      [node('MultiHeadAttention', ['x', 'k', 'k'], ['y'], HEADS, contributed)],
      [weights('k', [2, 3, 4], 1)],
      "its input 'k' is one for the entries that there were",
    ],
    ['what no rule knows', [1, 4], [node('Unique', ['x'], ['y'])], [], 'no rule says what it does with entries'],
    [
      'a scale over all',
      [1, 4],
      [node('DynamicQuantizeLinear', ['x'], ['y', 's', 'z'])],
      [],
      'the range of its values',
    ],
  ])('%s', async (_name, shape, nodes, initializers, message) => {
    expect(await refusal(shape, nodes, initializers)).toContain(message);
  });

  test('a batch that is free already has no number', async () => {
    expect(await refusal(['n', 4], [node('Relu', ['x'], ['y'])])).toContain('none has a number for its batch');
  });

  test('what is run before it appears is held against each entry alone', async () => {
    const [model, wrong] = [join(folder, 'right.onnx'), join(folder, 'wrong.onnx')];
    const spec = (shape: Shape, op: string): Uint8Array =>
      encodeModel({
        graph: {
          nodes: [node(op, ['x'], ['y'], op === 'Softmax' ? { axis: { int: 0 } } : {})],
          inputs: [value('x', shape)],
          outputs: [value('y', shape)],
        },
      });
    await writeFile(model, spec([1, 3], 'Relu'));
    await writeFile(wrong, spec(['batch', 3], 'Softmax'));
    await using opened = await openModel(model);
    const view = viewGraph(opened);
    const types = declaredTypes(opened);
    const beginning = { name: 'x', tensor: 'x', module: null, index: null, group: null };
    const { proven } = await inferWhole(view);
    const options = { ...DEFAULT_PLAN, from: [beginning], freeBatch: { name: 'batch', infos: proven.infos } };
    const plan = planRewrite(view, types, [], options);
    if (plan.freed === null) throw new Error('not freed');
    const cut = { view, types, taps: [], options, plan, freed: plan.freed, session: {} };
    await expect(assertFreed(cut, wrong)).rejects.toMatchObject({
      code: 'FEATX_FREE_BATCH',
      message: expect.stringContaining("with 2 entries the cut gives other values than with each alone: 'y' differs"),
    });
  });
});

test('several inputs; features and outputs; a beginning behind the input', async () => {
  const nodes = [node('Add', ['x', 'm'], ['a']), node('Reshape', ['a', 's'], ['b']), node('MatMul', ['b', 'w'], ['y'])];
  const more = { inputs: [value('x', [1, 2, 2]), value('m', [1, 2, 2])] };
  const initializers = [ints('s', 1, 4), weights('w', [4, 3], 1)];
  const select = [{ by: 'tensor', name: 'b' } as const];
  const report = await freed([1, 2, 2], nodes, initializers, more, { from: undefined, select, keepOutputs: true });
  expect(report.freed).toMatchObject({ inputs: { x: 0, m: 0 }, outputs: { b: 0, y: 0 } });
  expect(report.features[0].shape).toEqual(['batch', 4]);
  const alone = await freed([1, 2, 2], nodes, initializers, more, { from: undefined });
  expect(alone).toMatchObject({ features: [], outputs: ['y'], freed: { inputs: { x: 0, m: 0 }, outputs: { y: 0 } } });
  const behind = await freed([1, 2, 2], nodes, initializers, more, { from: ['a'] });
  expect(behind.from?.[0].shape).toEqual(['batch', 2, 2]);
  expect(behind.freed).toMatchObject({ inputs: { a: 0 }, outputs: { y: 0 } });
});
