import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, type GraphSpec, type ModelSpec, type NodeSpec } from '../testing/model-spec.js';
import { certainTypes, isComplete } from './certain-types.js';
import { viewGraph } from './graph.js';
import { indexModel } from './model.js';
import type { TensorType } from './types.js';

async function typesOf(
  nodes: readonly NodeSpec[],
  more: Partial<GraphSpec> & Omit<ModelSpec, 'graph'> = {},
): Promise<ReadonlyMap<string, TensorType>> {
  const { initializers, valueInfo, inputs, sparseInitializers, ...model } = more;
  const graph: GraphSpec = {
    inputs: inputs ?? [value('x', ['n', 3, 8]), value('h', [3], 'float16'), value('i', [2], 'int64')],
    outputs: [],
    nodes,
    initializers,
    valueInfo,
    sparseInitializers,
  };
  await using indexed = await indexModel(encodeModel({ ...model, graph }));
  return certainTypes(viewGraph(indexed), indexed.graph.nodes);
}

test.each<[string, NodeSpec, TensorType | undefined]>([
  ['same as the input', node('Relu', ['x'], ['y']), { dtype: 'float32', shape: ['n', 3, 8] }],
  [
    'another dtype, same shape',
    node('Cast', ['x'], ['y'], { to: { int: 10 } }),
    { dtype: 'float16', shape: ['n', 3, 8] },
  ],
  ['a Cast as opsets before 6 spell it', node('Cast', ['x'], ['y'], { to: { string: 'FLOAT16' } }), undefined],
  ['like another input', node('CastLike', ['x', 'h'], ['y']), { dtype: 'float16', shape: ['n', 3, 8] }],
  ['true or false, elementwise', node('IsNaN', ['x'], ['y']), { dtype: 'bool', shape: ['n', 3, 8] }],
  ['true or false, broadcast', node('Less', ['x', 'x'], ['y']), { dtype: 'bool', shape: null }],
  ['dtype only', node('Conv', ['h', 'h'], ['y']), { dtype: 'float16', shape: null }],
  ['dtype of the second input', node('Where', ['c', 'h', 'h'], ['y']), { dtype: 'float16', shape: null }],
  ['an index', node('ArgMax', ['x'], ['y']), { dtype: 'int64', shape: null }],
  ['the shape of a shape', node('Shape', ['x'], ['y']), { dtype: 'int64', shape: [3] }],
  [
    'a part of a shape',
    node('Shape', ['x'], ['y'], { start: { int: -2 }, end: { int: 9 } }),
    { dtype: 'int64', shape: [2] },
  ],
  [
    'an empty part of a shape',
    node('Shape', ['x'], ['y'], { start: { int: 2 }, end: { int: 1 } }),
    { dtype: 'int64', shape: [0] },
  ],
  ['a size', node('Size', ['x'], ['y']), { dtype: 'int64', shape: [] }],
  ['filled, with the default', node('ConstantOfShape', ['i'], ['y']), { dtype: 'float32', shape: null }],
  [
    'filled with a value',
    node('ConstantOfShape', ['i'], ['y'], { value: { tensor: tensor('', [1], [1], 'int32') } }),
    { dtype: 'int32', shape: null },
  ],
  [
    'a constant tensor',
    node('Constant', [], ['y'], { value: { tensor: tensor('', [2, 1], [1, 2], 'int32') } }),
    { dtype: 'int32', shape: [2, 1] },
  ],
  [
    'a constant sparse tensor',
    node('Constant', [], ['y'], {
      sparse_value: { sparse: { values: tensor('', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [4] } },
    }),
    { dtype: 'float32', shape: [4] },
  ],
  ['a constant float', node('Constant', [], ['y'], { value_float: { float: 1 } }), { dtype: 'float32', shape: [] }],
  ['a constant int', node('Constant', [], ['y'], { value_int: { int: 1 } }), { dtype: 'int64', shape: [] }],
  ['a constant string', node('Constant', [], ['y'], { value_string: { string: 'a' } }), { dtype: 'string', shape: [] }],
  [
    'constant floats',
    node('Constant', [], ['y'], { value_floats: { floats: [1] } }),
    { dtype: 'float32', shape: null },
  ],
  ['constant ints', node('Constant', [], ['y'], { value_ints: { ints: [1] } }), { dtype: 'int64', shape: null }],
  [
    'constant strings',
    node('Constant', [], ['y'], { value_strings: { strings: ['a'] } }),
    { dtype: 'string', shape: null },
  ],
  ['a constant of a kind to come', node('Constant', [], ['y'], { value_map: { int: 1 } }), undefined],
  ['a constant of nothing', node('Constant', [], ['y']), undefined],
  ['a sequence', node('SplitToSequence', ['x'], ['y']), { dtype: null, shape: null, type: 'sequence' }],
  ['another domain', node('Relu', ['x'], ['y'], {}, { domain: 'com.microsoft' }), undefined],
  ['an operator that has no rule', node('Loop', ['x'], ['y']), undefined],
  ['indices of a pool', node('MaxPool', ['x'], ['p', 'y']), { dtype: 'int64', shape: null }],
  ['parts', node('Split', ['h'], ['p', 'y']), { dtype: 'float16', shape: null }],
  ['a mask, whose dtype depends on the opset', node('Dropout', ['x'], ['p', 'y']), undefined],
])('%s', async (_what, spec, expected) => {
  expect((await typesOf([node('Equal', ['x', 'x'], ['c']), spec])).get('y')).toEqual(expected);
});

test('what the file declares comes first, and its gaps are filled', async () => {
  const nodes = [node('Relu', ['x'], ['y']), node('Abs', ['y'], ['z'])];
  const types = await typesOf(nodes, { valueInfo: [value('y', ['batch', 3, 8], 'float16'), value('z', null)] });
  expect(types.get('y')).toEqual({ dtype: 'float16', shape: ['batch', 3, 8] });
  expect(types.get('z')).toEqual({ dtype: 'float32', shape: ['batch', 3, 8] });
});

test('a function with the name of an operator is not that operator', async () => {
  const functions = [{ name: 'Relu', domain: '', inputs: ['a'], outputs: ['b'], nodes: [node('Shape', ['a'], ['b'])] }];
  expect((await typesOf([node('Relu', ['x'], ['y'])], { functions })).has('y')).toBe(false);
});

test('nodes out of order, and omitted outputs', async () => {
  const types = await typesOf([
    node('Abs', ['b'], ['c']),
    node('Neg', ['a'], ['b']),
    node('Dropout', ['x'], ['a', '']),
  ]);
  expect(types.get('c')).toEqual({ dtype: 'float32', shape: ['n', 3, 8] });
  expect(types.has('')).toBe(false);
});

test('complete is a dtype and a rank, or no tensor', () => {
  expect(
    [
      { dtype: 'float32', shape: [] },
      { dtype: 'float32', shape: null },
      { dtype: null, shape: [1] },
      { dtype: null, shape: null, type: 'sequence' },
    ].map(isComplete),
  ).toEqual([true, false, false, true]);
});
