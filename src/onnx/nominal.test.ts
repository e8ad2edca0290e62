import { UsageError } from '../errors.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, weights, type DimSpec, type GraphSpec, type NodeSpec } from '../testing/model-spec.js';
import { viewGraph, type GraphView } from './graph.js';
import { indexModel } from './model.js';
import { nominalInputs, substituted, type NominalInputs } from './nominal.js';

async function view(graph: GraphSpec): Promise<GraphView> {
  return viewGraph(await indexModel(encodeModel({ graph })));
}

async function nominal(graph: GraphSpec, given: Readonly<Record<string, readonly number[]>> = {}): Promise<NominalInputs> {
  return nominalInputs(await view(graph), 224, new Map(Object.entries(given)));
}

async function shapeFor(shape: readonly DimSpec[] | null, nodes: readonly NodeSpec[] = [], initializers: GraphSpec['initializers'] = []): Promise<readonly number[] | undefined> {
  return (await nominal({ inputs: [value('x', shape)], nodes, initializers })).shapes.get('x');
}

const convolution = node('Conv', ['x', 'w'], ['y']);

test.each<[string, readonly DimSpec[], readonly number[]]>([
  ['an image', ['batch', 3, 'height', 'width'], [1, 3, 224, 224]],
  ['an image whose symbols say nothing', ['a', 'd', 'e', 'f'], [1, 3, 224, 224]],
  ['an image without symbols', [null, null, null, null], [1, 3, 224, 224]],
  ['an image of one fixed side', ['n', 3, 256, 'w'], [1, 3, 256, 256]],
  ['channels last', ['n', 'h', 'w', 3], [1, 224, 224, 3]],
  ['a clip', ['n', 3, 'frames', 'h', 'w'], [1, 3, 16, 224, 224]],
  ['a clip, frames first', ['n', 'frames', 3, 'h', 'w'], [1, 16, 3, 224, 224]],
  ['an image without a batch', [3, 'h', 'w'], [3, 224, 224]],
  ['an image without a batch, channels last', ['h', 'w', 3], [224, 224, 3]],
  ['tokens', ['batch', 'sequence_length'], [1, 16]],
  ['embedded tokens', ['batch', 'seq', 768], [1, 16, 768]],
  ['a symbol in an odd place says what it is', ['seq', 'batch_size', 8], [16, 1, 8]],
  ['a vector', ['n'], [1]],
  ['six axes', ['a', 'b', 3, 'd', 'e', 'f'], [1, 1, 3, 16, 16, 16]],
])('%s: %j', async (_what, shape, expected) => {
  expect(await shapeFor(shape)).toEqual(expected);
});

test('channels are what the first convolution wants', async () => {
  expect(await shapeFor(['n', 'c', 'h', 'w'], [convolution], [weights('w', [8, 1, 3, 3], 1)])).toEqual([1, 1, 224, 224]);
  expect(await shapeFor(['n', 'c', 'h', 'w'], [{ ...convolution, attributes: { group: { int: 4 } } }], [weights('w', [8, 2, 3, 3], 1)])).toEqual([1, 8, 224, 224]);
  expect(await shapeFor(['n', 'c', 'h', 'w'], [node('Relu', ['x'], ['r']), node('Conv', ['x', 'r'], ['y'])])).toEqual([1, 3, 224, 224]);
  expect(await shapeFor(['n', 'c', 'h', 'w'], [{ ...convolution, domain: 'other' }], [weights('w', [8, 1, 3, 3], 1)])).toEqual([1, 3, 224, 224]);
});

test('an unknown rank is that of the convolution, else nothing', async () => {
  expect(await shapeFor(null, [convolution], [weights('w', [8, 1, 3, 3], 1)])).toEqual([1, 1, 224, 224]);
  expect(await shapeFor(null)).toBeUndefined();
});

test('fixed inputs, overridable initializers and values that are no tensors get no numbers', async () => {
  const { shapes, symbolic } = await nominal({
    inputs: [value('fixed', [2, 3]), value('w', ['n']), value('sp', ['n']), { name: 'list', type: { sequence: { tensor: 'float32' } } }],
    initializers: [tensor('w', [1], [1])],
    sparseInitializers: [{ values: tensor('sp', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [1] }],
  });
  expect([shapes.size, symbolic.size]).toEqual([0, 0]);
});

test('a symbol has one number wherever it stands', async () => {
  const { shapes, symbols, symbolic } = await nominal({ inputs: [value('a', ['batch', 'n']), value('b', ['n', 'batch', 'm'])] }, { a: [5, 7] });
  expect([...shapes]).toEqual([['a', [5, 7]], ['b', [7, 5, 16]]]);
  expect([...symbols]).toEqual([['batch', 5], ['n', 7], ['m', 16]]);
  expect([...symbolic]).toEqual(['a', 'b']);
});

describe('shapes that are given', () => {
  const two: GraphSpec = { inputs: [value('a', ['n', 3]), value('b', null)] };

  test('without a name for the only input, for an input of unknown rank, for a fixed one', async () => {
    expect([...(await nominal({ inputs: [value('x', ['n', 3])] }, { '': [2, 3] })).shapes]).toEqual([['x', [2, 3]]]);
    expect([...(await nominal(two, { b: [4, 4] })).shapes]).toEqual([['a', [1, 3]], ['b', [4, 4]]]);
    const fixed = await nominal({ inputs: [value('x', [2, 3])] }, { x: [2, 3] });
    expect([[...fixed.shapes], fixed.symbolic.size]).toEqual([[['x', [2, 3]]], 0]);
  });

  test.each<[string, GraphSpec, Readonly<Record<string, readonly number[]>>, RegExp]>([
    ['every wrong one is named', two, { c: [1], '': [1], a: [1, 2, 3] }, /'c' is no input of the model; a shape without a name, but the model has 2 inputs; 'a' gets 3 dims and has 2/],
    ['a fixed dim', two, { a: [1, 4] }, /'a' gets 1,4 and is fixed to n,3/],
    ['a negative dim', two, { a: [-1, 3] }, /dims are integers from 0/],
    ['a broken dim', two, { b: [1.5] }, /dims are integers from 0/],
    ['one symbol, two sizes', { inputs: [value('a', ['n']), value('b', ['n'])] }, { a: [1], b: [2] }, /'n' two sizes: 1 and 2/],
    ['a model without inputs', {}, { x: [1] }, /'x' is no input/],
  ])('%s', async (_what, graph, given, message) => {
    const work = nominal(graph, given);
    await expect(work).rejects.toThrow(UsageError);
    await expect(work).rejects.toThrow(message);
  });

  test('the hint lists the inputs and their shapes', async () => {
    await expect(nominal({ inputs: [value('a', ['n', null]), value('b', null)] }, { c: [1] })).rejects.toThrow(expect.objectContaining({ hint: 'its inputs are a (n,?), b (unknown shape)' }));
  });
});

test('substituted', () => {
  const symbols = new Map([['n', 2]]);
  expect([substituted(['n', 3], symbols), substituted(['m'], symbols), substituted([null], symbols), substituted([], symbols)]).toEqual([[2, 3], null, null, []]);
});
