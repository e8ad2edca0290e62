import * as fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { arbitraryModel } from '../testing/arbitrary-model.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, type ModelSpec, type NodeSpec, type ValueSpec } from '../testing/model-spec.js';
import { certainTypes, isComplete } from './certain-types.js';
import { viewGraph } from './graph.js';
import { indexModel } from './model.js';
import type { TensorType } from './types.js';

async function typesOf(spec: ModelSpec): Promise<Map<string, TensorType>> {
  const model = await indexModel(encodeModel(spec));
  return certainTypes(viewGraph(model), model.graph.nodes);
}

/** What the rules say of the outputs `y0`, `y1` of one node. */
async function outputs(spec: NodeSpec, inputs: readonly ValueSpec[] = [value('x', ['n', 3]), value('i', [2], 'int64'), value('b', [2], 'bool')], more: Partial<ModelSpec> = {}): Promise<(TensorType | null)[]> {
  const types = await typesOf({ ...more, graph: { inputs, nodes: [{ ...spec, outputs: spec.outputs ?? ['y0'] }] } });
  return (spec.outputs ?? ['y0']).map((name) => types.get(String(name)) ?? null);
}

const float = (shape: TensorType['shape']): TensorType => ({ dtype: 'float32', shape });
const int64 = (shape: TensorType['shape']): TensorType => ({ dtype: 'int64', shape });

test.each<[string, NodeSpec, TensorType | null]>([
  ['Relu keeps everything', node('Relu', ['x'], ['y0']), float(['n', 3])],
  ['Conv keeps the dtype', node('Conv', ['x', 'x'], ['y0']), float(null)],
  ['Where takes the dtype of its values', node('Where', ['b', 'i', 'i'], ['y0']), int64(null)],
  ['CastLike takes dtype and shape from two inputs', node('CastLike', ['x', 'i'], ['y0']), int64(['n', 3])],
  ['Cast', node('Cast', ['x'], ['y0'], { to: { int: 10 } }), { dtype: 'float16', shape: ['n', 3] }],
  ['Cast to what nobody knows', node('Cast', ['x'], ['y0'], { to: { int: 99 } }), { dtype: null, shape: ['n', 3] }],
  ['Cast without its attribute', node('Cast', ['x'], ['y0']), null],
  ['a comparison', node('Greater', ['x', 'x'], ['y0']), { dtype: 'bool', shape: null }],
  ['IsNaN keeps the shape', node('IsNaN', ['x'], ['y0']), { dtype: 'bool', shape: ['n', 3] }],
  ['ArgMax', node('ArgMax', ['x'], ['y0']), int64(null)],
  ['Shape', node('Shape', ['x'], ['y0']), int64([2])],
  ['Shape from 1', node('Shape', ['x'], ['y0'], { start: { int: 1 } }), int64([1])],
  ['Shape from -1 to 9', node('Shape', ['x'], ['y0'], { start: { int: -1 }, end: { int: 9 } }), int64([1])],
  ['Shape from 2 to 1', node('Shape', ['x'], ['y0'], { start: { int: 2 }, end: { int: -1 } }), int64([0])],
  ['Shape of what nobody knows', node('Shape', ['made elsewhere'], ['y0']), int64(null)],
  ['Size', node('Size', ['x'], ['y0']), int64([])],
  ['Constant tensor', node('Constant', [], ['y0'], { value: { tensor: tensor('', [2, 1], [1, 2], 'int64') } }), int64([2, 1])],
  ['Constant sparse', node('Constant', [], ['y0'], { sparse_value: { sparse: { values: tensor('', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [4] } } }), float([4])],
  ['Constant float', node('Constant', [], ['y0'], { value_float: { float: 1 } }), float([])],
  ['Constant int', node('Constant', [], ['y0'], { value_int: { int: 1 } }), int64([])],
  ['Constant string', node('Constant', [], ['y0'], { value_string: { string: 'a' } }), { dtype: 'string', shape: [] }],
  ['Constant floats', node('Constant', [], ['y0'], { value_floats: { floats: [1] } }), float(null)],
  ['Constant ints', node('Constant', [], ['y0'], { value_ints: { ints: [1] } }), int64(null)],
  ['Constant strings', node('Constant', [], ['y0'], { value_strings: { strings: ['a'] } }), { dtype: 'string', shape: null }],
  ['Constant of nothing', node('Constant', [], ['y0']), null],
  ['Constant of two things', node('Constant', [], ['y0'], { value_int: { int: 1 }, value_float: { float: 1 } }), null],
  ['Constant with an empty value', node('Constant', [], ['y0'], { value: { int: 1 } }), null],
  ['Constant with a kind to come', node('Constant', [], ['y0'], { value_new: { int: 1 } }), null],
  ['ConstantOfShape', node('ConstantOfShape', ['i'], ['y0']), float(null)],
  ['ConstantOfShape of int64', node('ConstantOfShape', ['i'], ['y0'], { value: { tensor: tensor('', [1], [0], 'int64') } }), int64(null)],
  ['a sequence', node('SequenceConstruct', ['x'], ['y0']), { dtype: null, shape: null, type: 'sequence' }],
  ['an optional', node('Optional', ['x'], ['y0']), { dtype: null, shape: null, type: 'optional' }],
  ['an operator without a rule', node('NoSuchOperator', ['x'], ['y0']), null],
  ['an operator of another domain', node('Relu', ['x'], ['y0'], {}, { domain: 'other' }), null],
  ['an input without a type', node('Relu', ['made elsewhere'], ['y0']), null],
])('%s', async (_what, spec, expected) => {
  const inputs = [value('x', ['n', 3]), value('i', [2], 'int64'), value('b', [2], 'bool'), value('made elsewhere', null, null)];
  expect(await outputs(spec, inputs)).toEqual([expected]);
});

test.each<[string, NodeSpec, readonly (TensorType | null)[]]>([
  ['MaxPool: values and indices', node('MaxPool', ['x'], ['y0', 'y1']), [float(null), int64(null)]],
  ['TopK', node('TopK', ['x', 'i'], ['y0', 'y1']), [float(null), int64(null)]],
  ['LSTM, the first output left out', node('LSTM', ['x'], ['', 'y1', 'y2']), [null, float(null), float(null)]],
  ['Dropout: the mask is not known in every opset', node('Dropout', ['x'], ['y0', 'y1']), [float(['n', 3]), null]],
])('%s', async (_what, spec, expected) => {
  expect(await outputs(spec)).toEqual(expected);
});

test('a function that takes an operator\'s name makes its rule void', async () => {
  expect(await outputs(node('Relu', ['x'], ['y0']), [value('x', [2])], { functions: [{ name: 'Relu', domain: '', inputs: ['p'], outputs: ['q'], nodes: [node('Shape', ['p'], ['q'])] }] })).toEqual([null]);
});

test('what the file declares is kept, and completed where it is not whole', async () => {
  const types = await typesOf({
    graph: { inputs: [value('x', [2, 3])], nodes: [node('Relu', ['x'], ['a']), node('Relu', ['a'], ['b'])], valueInfo: [value('a', ['rows', 3]), value('b', null)] },
  });
  expect([types.get('a'), types.get('b')]).toEqual([float(['rows', 3]), float(['rows', 3])]);
});

test('a file out of order, a node that reads itself, and only the nodes asked about', async () => {
  const nodes = [node('Relu', ['a'], ['y']), node('Abs', ['x'], ['a']), node('Neg', ['y'], ['z'])];
  expect((await typesOf({ graph: { inputs: [value('x', [2])], nodes } })).get('z')).toEqual(float([2]));
  const model = await indexModel(encodeModel({ graph: { inputs: [value('x', [2])], nodes } }));
  expect(certainTypes(viewGraph(model), [model.graph.nodes[1]]).has('y')).toBe(false);
});

test('isComplete', () => {
  expect([float([]), float(null), { dtype: null, shape: [] }, { dtype: null, shape: null, type: 'map' }].map(isComplete)).toEqual([true, false, false, true]);
});

describe('the rules never contradict ONNX Runtime', () => {
  /** Every tensor of the main graph an output without a type, no value_info. */
  const bare = (spec: ModelSpec): ModelSpec => {
    const names = (spec.graph.nodes ?? []).flatMap((each) => (each.outputs ?? []).filter((name) => name !== ''));
    return { ...spec, graph: { ...spec.graph, valueInfo: [], outputs: names.map((name) => value(name, null, null)) } };
  };

  const compare = async (spec: ModelSpec): Promise<void> => {
    const types = await typesOf(spec);
    const session = await ort.InferenceSession.create(encodeModel(spec), { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
    for (const output of session.outputMetadata) {
      const ours = types.get(output.name);
      if (ours === undefined) continue;
      expect([output.name, ours.type === undefined]).toEqual([output.name, output.isTensor]);
      if (!output.isTensor) continue;
      if (ours.dtype !== null) expect([output.name, ours.dtype]).toEqual([output.name, output.type]);
      if (ours.shape !== null && output.shape.length > 0) expect([output.name, ours.shape]).toEqual([output.name, output.shape.map((dim) => (dim === '' ? null : dim))]);
    }
    await session.release();
  };

  // ONNX Runtime has no way to say bytes that are not UTF-8, and finds sidecars by path only.
  test.each(FIXTURES.filter(({ notRunnable, sidecars, name }) => notRunnable === undefined && sidecars === undefined && name !== '13-names-not-utf8'))('$name', async ({ model }) => {
    await compare(bare(model));
  });

  test('of generated models', async () => {
    await fc.assert(fc.asyncProperty(arbitraryModel, async ({ spec }) => compare(bare(spec))), { numRuns: 25 });
  });
});

