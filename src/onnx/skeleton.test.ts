import * as fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { arbitraryModel } from '../testing/arbitrary-model.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { fixtureFiles } from '../testing/fixture-files.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, weights, type ModelSpec, type SparseSpec, type TensorSpec } from '../testing/model-spec.js';
import { viewGraph } from './graph.js';
import { indexModel } from './model.js';
import type { OnnxModel } from './records.js';
import { skeleton, type SkeletonOptions } from './skeleton.js';

async function skeletonOf(file: Uint8Array, tensors: readonly string[], options?: SkeletonOptions): Promise<{ bytes: Uint8Array; model: OnnxModel }> {
  const bytes = (await skeleton(viewGraph(await indexModel(file)), tensors, options)).slice();
  return { bytes, model: await indexModel(bytes) };
}

const BIG = [64, 64];
const big = (name: string): TensorSpec => weights(name, BIG, 1);
const names = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);

const spec: ModelSpec = {
  graph: {
    nodes: [node('MatMul', ['x', 'w'], ['a'], {}, { name: 'first' }), node('Add', ['a', 'bias'], ['b']), node('Relu', ['b'], ['c']), node('Neg', ['other'], ['d'])],
    initializers: [big('w'), weights('bias', [64], 2), big('dead')],
    inputs: [value('x', ['n', 64]), value('other', [1])],
    outputs: [value('c', ['n', 64]), value('d', [1])],
  },
};

test('holds the ancestors of the tensors, big weights as inputs, small ones with their values', async () => {
  const { model, bytes } = await skeletonOf(encodeModel(spec), ['b', 'a']);
  expect(names(model.graph.nodes)).toEqual(['n0', 'n1']);
  expect(names(model.graph.outputs)).toEqual(['b', 'a']);
  expect(model.graph.outputs[0].type).toBeNull();
  expect(names(model.graph.initializers)).toEqual(['bias']);
  expect(model.graph.inputs.map(({ name, type }) => [name, type])).toEqual([['x', { kind: 'tensor', elemType: 1, shape: ['n', 64] }], ['w', { kind: 'tensor', elemType: 1, shape: BIG }]]);
  expect(model.graph.valueInfo).toEqual([]);
  expect(bytes.length).toBeLessThan(1000);
});

test('other dims for inputs, given tensors, probes of rank', async () => {
  const { model } = await skeletonOf(encodeModel(spec), ['c'], {
    inputShapes: new Map([['x', [2, 64]]]), given: new Map([['b', { kind: 'tensor', elemType: 10, shape: null }], ['unused', { kind: 'opaque' }]]), rankProbes: ['a', 'c'],
  });
  expect(names(model.graph.nodes)).toEqual(['n0', 'n2', '', '']);
  expect(model.graph.inputs.map(({ name, type }) => [name, type])).toEqual([
    ['x', { kind: 'tensor', elemType: 1, shape: [2, 64] }], ['b', { kind: 'tensor', elemType: 10, shape: null }], ['w', { kind: 'tensor', elemType: 1, shape: BIG }],
  ]);
  expect(model.graph.nodes.slice(2).map(({ opType, inputs, outputs }) => [opType, inputs, outputs])).toEqual([['Shape', ['a'], ['featx.rank.0']], ['Shape', ['c'], ['featx.rank.1']]]);
  expect(names(model.graph.outputs)).toEqual(['c', 'featx.rank.0', 'featx.rank.1']);
});

test('a default that a caller may override is an input, unless it is to be fixed', async () => {
  const overridable = encodeModel({ graph: { ...spec.graph, inputs: [...(spec.graph.inputs ?? []), value('bias', [64])] } });
  expect(names((await skeletonOf(overridable, ['b'])).model.graph.inputs)).toEqual(['x', 'bias', 'w']);
  expect(names((await skeletonOf(overridable, ['b'], { fixDefaults: true })).model.graph.inputs)).toEqual(['x', 'w']);
});

test('sparse weights: small ones stay, big ones become dense inputs, those not read go', async () => {
  const sparse = (name: string, count: number): SparseSpec => ({ values: weights(name, [count], 3), indices: tensor('', [count], Array.from({ length: count }, (_, index) => index), 'int64'), dims: [64, 64] });
  const file = encodeModel({ graph: { nodes: [node('MatMul', ['x', 'small'], ['a']), node('MatMul', ['a', 'large'], ['b'])], sparseInitializers: [sparse('small', 3), sparse('large', 500), sparse('dead', 1)], inputs: [value('x', [1, 64])] } });
  const { model, bytes } = await skeletonOf(file, ['b']);
  expect(model.graph.sparseInitializers.map(({ values }) => values?.name)).toEqual(['small']);
  expect(model.graph.inputs.at(-1)).toMatchObject({ name: 'large', type: { kind: 'tensor', elemType: 1, shape: [64, 64] } });
  await (await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 })).release();
});

test('weights of any shape and dtype: many dims, scalars outside the file, large dims', async () => {
  const external = (name: string, dims: readonly number[], type: TensorSpec['type']): TensorSpec => ({ name, dims, type, external: [['location', 'w']] });
  const { model } = await skeletonOf(
    encodeModel({ graph: { nodes: [node('Sum', ['p', 'q', 'r'], ['y'])], initializers: [external('p', [], 'float32'), external('q', [1, 2, 300, 70_000, 2 ** 40], 'float16'), external('r', [-1], 'int64')] } }),
    ['y'],
  );
  expect(model.graph.inputs.map(({ type }) => type)).toEqual([
    { kind: 'tensor', elemType: 1, shape: [] }, { kind: 'tensor', elemType: 10, shape: [1, 2, 300, 70_000, 2 ** 40] }, { kind: 'tensor', elemType: 7, shape: [null] },
  ]);
});

test('Constants: big ones become inputs at the top, random values in bodies and functions; nothing big remains', async () => {
  const constant = (output: string, type: TensorSpec['type'] = 'float32'): ReturnType<typeof node> => node('Constant', [], [output], { value: { tensor: { name: '', dims: BIG, type, data: type === 'float32' ? big('').data : new Uint8Array(64 * 64 * 8) } } });
  const sparseConstant = node('Constant', [], ['k4'], { sparse_value: { sparse: { values: weights('', [500], 4), indices: tensor('', [500], Array.from({ length: 500 }, (_, index) => index), 'int64'), dims: BIG } } });
  const file = encodeModel({
    opset: [['', 17], ['featx.test', 1]],
    functions: [{ name: 'F', domain: 'featx.test', inputs: ['p'], outputs: ['q'], nodes: [constant('k1'), node('MatMul', ['p', 'k1'], ['q'])] }],
    graph: {
      nodes: [
        constant('k0'),
        sparseConstant,
        node('MatMul', ['x', 'k0'], ['a0']),
        node('MatMul', ['a0', 'k4'], ['a']),
        node('F', ['a'], ['f'], {}, { domain: 'featx.test' }),
        node('If', ['cond'], ['y'], {
          then_branch: { graph: { name: 'then', nodes: [constant('k2', 'int64'), node('Cast', ['k2'], ['k2f'], { to: { int: 1 } }), node('MatMul', ['f', 'k2f'], ['t'])], outputs: [value('t', null)] } },
          else_branch: { graph: { name: 'else', nodes: [node('MatMul', ['f', 'k3'], ['m']), node('MatMul', ['m', 'k5'], ['e'])], initializers: [big('k3'), weights('tiny', [1], 5)], sparseInitializers: [{ values: weights('k5', [500], 6), indices: tensor('', [500], Array.from({ length: 500 }, (_, index) => index), 'int64'), dims: BIG }], outputs: [value('e', null)] } },
        }),
      ],
      inputs: [value('x', [1, 64]), value('cond', [], 'bool')],
    },
  });
  expect(file.length).toBeGreaterThan(90_000);
  const { bytes, model } = await skeletonOf(file, ['y']);
  expect(bytes.length).toBeLessThan(2500);
  expect(names(model.graph.inputs)).toEqual(['x', 'cond', 'k0', 'k4']);
  const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
  expect(session.outputNames).toEqual(['y']);
  await session.release();
});

describe('ONNX Runtime loads the skeleton of every tensor at once', () => {
  const everything = (model: OnnxModel): string[] => model.graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''));

  test.each(FIXTURES.filter(({ notRunnable }) => notRunnable === undefined))('$name', async ({ model: spec, style }) => {
    const file = encodeModel(spec, style);
    const { bytes } = await skeletonOf(file, everything(await indexModel(file)));
    await (await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })).release();
  });

  test.each(fixtureFiles('zoo').filter(({ name }) => /anon|none_/.test(name)))('$name', async ({ read }) => {
    const file = read();
    const { bytes } = await skeletonOf(file, everything(await indexModel(file)));
    await (await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })).release();
  });

  test('of generated models, one tensor each', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryModel, fc.nat(), async ({ spec: generated, style, tensors }, at) => {
        const made = [...tensors.keys()].filter((name) => name.startsWith('t'));
        const { bytes, model } = await skeletonOf(encodeModel(generated, style), [made[at % made.length]]);
        expect(model.graph.outputs).toHaveLength(1);
        await (await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })).release();
      }),
      { numRuns: 25 },
    );
  });
});
