import { modelsWith, tensorAt } from '../testing/external-positions.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type ModelSpec } from '../testing/model-spec.js';
import { viewGraph } from './graph.js';
import { indexModel } from './model.js';
import { skeleton, type SkeletonOptions } from './skeleton.js';
import type { OnnxModel } from './records.js';

async function bare(
  graph: GraphSpec,
  tensors: readonly string[],
  options: SkeletonOptions = {},
  more: Partial<ModelSpec> = {},
): Promise<OnnxModel> {
  await using model = await indexModel(encodeModel({ ...more, graph }));
  return indexModel((await skeleton(viewGraph(model), tensors, options)).slice());
}

const big = weights('w', [300, 4], 1);
const graph: GraphSpec = {
  inputs: [value('x', ['n', 300]), value('unused', [1])],
  outputs: [value('z', [9, 9, 9])],
  valueInfo: [value('y', [7])],
  initializers: [big, tensor('shape', [2], [-1, 2], 'int64'), weights('other', [300, 9], 2)],
  nodes: [
    node('MatMul', ['x', 'w'], ['m'], {}, { name: 'a/long/name' }),
    node('Reshape', ['m', 'shape'], ['y']),
    node('MatMul', ['x', 'other'], ['z']),
  ],
};

test('only the ancestors, weights as inputs, small tensors as they are, no types', async () => {
  const { graph: made, opsetImports, irVersion } = await bare(graph, ['y', 'm']);
  expect(made.nodes.map(({ name, opType }) => [name, opType])).toEqual([
    ['n0', 'MatMul'],
    ['n1', 'Reshape'],
  ]);
  expect(made.initializers.map(({ name }) => name)).toEqual(['shape']);
  expect(made.inputs.map(({ name, type }) => [name, type])).toEqual([
    ['x', { kind: 'tensor', elemType: 1, shape: ['n', 300] }],
    ['w', { kind: 'tensor', elemType: 1, shape: [300, 4] }],
  ]);
  expect(made.outputs.map(({ name, type }) => [name, type])).toEqual([
    ['y', null],
    ['m', null],
  ]);
  expect(made.valueInfo).toEqual([]);
  expect([irVersion, opsetImports.map(({ version }) => version)]).toEqual([8, [17]]);
});

test('numbers for inputs, tensors that are given, probes of rank', async () => {
  const { graph: made } = await bare(graph, ['y'], {
    inputShapes: new Map([['x', [1, 300]]]),
    given: new Map([['m', { kind: 'tensor', elemType: 10, shape: null }]]),
    rankProbes: ['z'],
  });
  expect(made.nodes.map(({ opType, inputs }) => [opType, inputs])).toEqual([
    ['Reshape', ['m', 'shape']],
    ['MatMul', ['x', 'other']],
    ['Shape', ['z']],
  ]);
  expect(
    made.inputs.map(({ name, type }) => [name, type?.kind === 'tensor' ? [type.elemType, type.shape] : null]),
  ).toEqual([
    ['x', [1, [1, 300]]],
    ['m', [10, null]],
    ['other', [1, [300, 9]]],
  ]);
  expect(made.outputs.map(({ name }) => name)).toEqual(['y', 'featx.rank.0']);
});

test('defaults that a caller may override are constants where that is asked for', async () => {
  const overridable: GraphSpec = { ...graph, inputs: [...(graph.inputs ?? []), value('shape', [2], 'int64')] };
  expect((await bare(overridable, ['y'])).graph.inputs.map(({ name }) => name)).toEqual(['x', 'shape', 'w']);
  expect((await bare(overridable, ['y'], { fixDefaults: true })).graph.inputs.map(({ name }) => name)).toEqual([
    'x',
    'w',
  ]);
});

test('sparse initializers, small and large', async () => {
  const sparse = (name: string, size: number) => ({
    values: tensor(name, [size], Array.from<number>({ length: size }).fill(1)),
    indices: tensor(
      '',
      [size],
      Array.from({ length: size }, (_, index) => index),
      'int64',
    ),
    dims: [size, 2],
  });
  const { graph: made } = await bare(
    {
      inputs: [],
      outputs: [],
      sparseInitializers: [sparse('few', 2), sparse('many', 300), sparse('unread', 1)],
      nodes: [node('Add', ['few', 'many'], ['y'])],
    },
    ['y'],
  );
  expect(made.sparseInitializers.map(({ values }) => values?.name)).toEqual(['few']);
  expect(made.inputs.map(({ name, type }) => [name, type?.kind === 'tensor' ? type.shape : null])).toEqual([
    ['many', [300, 2]],
  ]);
});

test('big constants of the graph are inputs; of bodies and functions, random values of their type', async () => {
  const half = { ...weights('', [300, 4], 3), type: 'float16', data: new Uint8Array(2400) } as const;
  const sparse = {
    values: weights('', [600], 4),
    indices: tensor(
      '',
      [600],
      Array.from({ length: 600 }, (_, index) => index),
      'int64',
    ),
    dims: [1200],
  };
  const inner: GraphSpec = {
    nodes: [node('Constant', [], ['k'], { value: { tensor: { ...big, name: '' } } })],
    outputs: [value('k', null, null)],
  };
  const branch: GraphSpec = {
    initializers: [big, tensor('small', [1], [1])],
    sparseInitializers: [{ ...sparse, values: { ...sparse.values, name: 's' } }],
    nodes: [
      node('Constant', [], ['c'], { value: { tensor: half } }),
      node('If', ['go'], ['i'], { then_branch: { graph: inner }, else_branch: { graph: inner } }),
      node('Identity', ['w'], ['r']),
    ],
    outputs: [value('r', null, null)],
  };
  const model = await bare(
    {
      inputs: [value('go', [], 'bool')],
      outputs: [],
      nodes: [
        node('Constant', [], ['c'], { sparse_value: { sparse } }),
        node('If', ['go'], ['y'], { then_branch: { graph: branch }, else_branch: { graph: branch } }),
        node('Mine', ['c'], ['f'], {}, { domain: 'my' }),
      ],
    },
    ['y', 'f'],
    {},
    {
      functions: [
        {
          name: 'Mine',
          domain: 'my',
          inputs: ['a'],
          outputs: ['k'],
          nodes: [node('Constant', [], ['k'], { value: { tensor: { ...big, name: '' } } })],
        },
        { name: 'Unused', domain: 'my', nodes: [] },
      ],
    },
  );
  expect(model.graph.inputs.map(({ name }) => name)).toEqual(['go', 'c']);
  const [body] = model.graph.nodes[0].attributes[0].graphs;
  expect(body.initializers.map(({ name }) => name)).toEqual(['small']);
  expect(body.sparseInitializers).toEqual([]);
  expect(body.nodes.map(({ opType, outputs }) => [opType, outputs[0]])).toEqual([
    ['RandomUniform', 'w'],
    ['RandomUniform', 's'],
    ['RandomUniform', 'c.featx.float'],
    ['Cast', 'c'],
    ['If', 'i'],
    ['Identity', 'r'],
  ]);
  expect(
    body.nodes[4].attributes[0].graphs[0].nodes.map(({ opType, attributes }) => [opType, attributes[0].ints]),
  ).toEqual([['RandomUniform', [300, 4]]]);
  expect(model.functions.map(({ name, nodes }) => [name, nodes.map(({ opType }) => opType)])).toEqual([
    ['Mine', ['RandomUniform']],
  ]);
});

test('bfloat16 as float16: weights, constants, inputs, casts', async () => {
  const bfloat = { ...tensor('b', [1], new Uint8Array(2)), type: 'bfloat16' } as const;
  const { graph: made } = await bare(
    {
      inputs: [value('x', ['n'], 'bfloat16')],
      outputs: [],
      initializers: [bfloat],
      nodes: [
        node('Constant', [], ['c'], { value: { tensor: { ...bfloat, name: '' } } }),
        node('Sum', ['x', 'b', 'c'], ['s']),
        node('Cast', ['s'], ['y'], { to: { int: 16 } }),
        node('Cast', ['y'], ['z'], { to: { int: 1 } }),
      ],
    },
    ['z'],
    { bfloatAsHalf: true },
  );
  expect(made.inputs.map(({ name, type }) => [name, type])).toEqual(
    ['x', 'c', 'b'].map((name) => [name, { kind: 'tensor', elemType: 10, shape: name === 'x' ? ['n'] : [1] }]),
  );
  expect(
    made.nodes.flatMap(({ opType, attributes }) => (opType === 'Cast' ? attributes.map(({ i }) => i) : [])),
  ).toEqual([10, 1]);
});

test('a dim that is no size does not corrupt what is written', async () => {
  const { graph: made } = await bare(
    { inputs: [value('x', [1])], outputs: [], nodes: [node('Neg', ['x'], ['y'])] },
    ['y'],
    { inputShapes: new Map([['x', [2 ** 40, -3]]]) },
  );
  expect(made.inputs.map(({ name, type }) => [name, type?.kind === 'tensor' ? type.shape : null])).toEqual([
    ['x', [2 ** 40, null]],
  ]);
});

test.each([...modelsWith(tensorAt('w.bin')).keys()])('names no file: %s', async (position) => {
  for (const bytes of [2048, 8]) {
    const external = { ...tensorAt('the-place-of-its-values.bin'), dims: [bytes / 4] };
    await using model = await indexModel(encodeModel(modelsWith(external).get(position) ?? { graph: {} }));
    const made = await skeleton(viewGraph(model), ['y']);
    expect(Buffer.from(made).includes('the-place-of-its-values.bin')).toBe(false);
    expect((await indexModel(made.slice())).graph.outputs.map(({ name }) => name)).toEqual(['y']);
  }
});
