import { indexModel } from '../onnx/model.js';
import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import { decodeModel } from '../testing/decode.js';
import { encodeModel, tensorMessage } from '../testing/model-builder.js';
import { node, tensor, value } from '../testing/model-spec.js';
import { bytes } from '../testing/wire-writer.js';
import { GraphField } from '../onnx/schema.js';
import { wrap } from '../wire/encode.js';
import { concat, materialize, type Piece } from '../wire/pieces.js';
import { EMPTY_EDIT, type GraphEdit, type OutputEdit } from './edit.js';
import { splice, type TensorContents } from './splice.js';

const file = encodeModel({
  graph: {
    nodes: [node('Relu', ['x'], ['y'])],
    inputs: [value('x', [1])],
    outputs: [value('y', [1])],
    initializers: [tensor('w', [1], [4])],
  },
});

async function applied(
  model: OnnxModel,
  edit: Partial<GraphEdit>,
  contents?: TensorContents,
): Promise<ReturnType<typeof decodeModel>> {
  return decodeModel(await materialize(model.source, splice(model, { ...EMPTY_EDIT, ...edit }, contents)));
}

test('an edit that changes nothing is the file itself, as one range', async () => {
  await using model = await indexModel(file);
  expect(splice(model, EMPTY_EDIT)).toEqual([{ start: 0, end: file.length }]);
});

test('a graph that stands in pieces becomes one; a field 7 that is not a graph stays', async () => {
  const spec = {
    nodes: [node('Relu', ['x'], ['h']), node('Neg', ['h'], ['y'])],
    inputs: [value('x', [1])],
    outputs: [value('y', [1])],
  };
  const stray = Uint8Array.of(7 << 3, 42);
  const bytesOf = concat([stray, encodeModel({ graph: spec }, { graphPieces: 3 })]);
  await using model = await indexModel(bytesOf);
  expect(model.graph.parts.length).toBeGreaterThan(1);
  const spliced = await materialize(
    model.source,
    splice(model, { ...EMPTY_EDIT, addOpsetImports: [{ domain: 'ai.onnx.ml', version: 3 }] }),
  );
  await using again = await indexModel(spliced);
  expect(again.graph.parts).toHaveLength(1);
  expect(again.modelFields.filter(({ number }) => number === 7)).toHaveLength(2);
  expect(spliced.subarray(0, 2)).toEqual(stray);
  expect(again.graph.nodes.map(({ opType }) => opType)).toEqual(['Relu', 'Neg']);
  expect(again.opsetImports.map(({ domain }) => domain)).toEqual([
    ...model.opsetImports.map(({ domain }) => domain),
    'ai.onnx.ml',
  ]);
});

test('what an edit drops goes, list by list, and nothing beside it', async () => {
  const two = <T>(make: (name: string) => T): readonly T[] => [make('a'), make('b')];
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: two((name) => node('Relu', ['x'], [name])),
        inputs: [value('x', [1]), value('unread', [1])],
        outputs: two((name) => value(name, [1])),
        initializers: two((name) => tensor(`w.${name}`, [1], [4])),
        sparseInitializers: two((name) => ({
          values: tensor(`s.${name}`, [1], [4]),
          indices: tensor('', [1], [0], 'int64'),
          dims: [8],
        })),
        valueInfo: two((name) => value(`h.${name}`, [1])),
        annotations: two((name) => [name, [['SCALE_TENSOR', 'w.a']]] as const),
      },
      functions: two((name) => ({ domain: 'd', name, nodes: [] })),
      metadata: two((name) => [name, '1'] as const),
      trainingInfo: [{ algorithm: {} }, { algorithm: {} }],
    }),
  );
  const lists = (of: ReturnType<typeof decodeModel>): object => ({
    nodes: of.graph?.node?.map(({ output }) => output?.[0]),
    inputs: of.graph?.input?.map(({ name }) => name),
    initializers: of.graph?.initializer?.map(({ name }) => name),
    sparse: of.graph?.sparseInitializer?.map(({ values }) => values?.name),
    valueInfo: of.graph?.valueInfo?.map(({ name }) => name),
    annotations: of.graph?.quantizationAnnotation?.map(({ tensorName }) => tensorName),
    functions: of.functions?.map(({ name }) => name),
    metadata: of.metadataProps?.map(({ key }) => key),
    training: of.trainingInfo?.length,
  });
  const whole = lists(await applied(model, { setMetadata: [{ key: 'c', value: '1' }] }));
  expect(whole).toMatchObject({ nodes: ['a', 'b'], metadata: ['a', 'b', 'c'], training: 2 });
  for (const [list, left] of [
    ['nodes', { nodes: ['b'] }],
    ['inputs', { inputs: ['unread'] }],
    ['initializers', { initializers: ['w.b'] }],
    ['sparseInitializers', { sparse: ['s.b'] }],
    ['valueInfo', { valueInfo: ['h.b'] }],
    ['quantizationAnnotations', { annotations: ['b'] }],
    ['functions', { functions: ['b'] }],
    ['metadata', { metadata: ['b', 'c'] }],
    ['trainingInfo', { training: 0 }],
  ] as const) {
    const drop = { ...EMPTY_EDIT.drop, [list]: list === 'trainingInfo' ? true : [0] };
    // Without a node, nothing makes its output.
    const outputs =
      list === 'nodes' ? [{ name: 'b', borrow: { list: 'output', index: 1 }, type: null } as const] : null;
    const edited = await applied(model, { drop, outputs, setMetadata: [{ key: 'c', value: '1' }] });
    expect([list, lists(edited)]).toEqual([list, { ...whole, ...left }]);
  }
});

test('initializers that an edit adds follow those of the file', async () => {
  await using model = await indexModel(file);
  const { graph } = await applied(model, { addInitializers: [{ name: 'shape', dims: [2], int64: [-1, 4] }] });
  expect(graph?.initializer?.map(({ name, dims }) => [name, dims?.map(Number)])).toEqual([
    ['w', [1]],
    ['shape', [2]],
  ]);
  expect(graph?.output?.map(({ name }) => name)).toEqual(['y']);
});

test('outputs that are only added stand behind those of the file; others take their place', async () => {
  await using model = await indexModel(file);
  const own = { name: 'y', borrow: { list: 'output', index: 0 }, type: null } as const;
  const other = { name: 'x', borrow: { list: 'input', index: 0 }, type: null } as const;
  for (const [outputs, names] of [
    [
      [own, other],
      ['y', 'x'],
    ],
    [
      [other, own],
      ['x', 'y'],
    ],
    [[other], ['x']],
  ] as const) {
    const { graph } = await applied(model, { outputs });
    expect(graph?.output?.map(({ name }) => name)).toEqual(names);
  }
});

test('outputs of the file stay where they stand if they stay first and as they are', async () => {
  await using model = await indexModel(
    encodeModel(
      {
        graph: {
          nodes: [node('Relu', ['x'], ['y']), node('Neg', ['x'], ['z'])],
          inputs: [value('x', [1])],
          outputs: [value('y', [1]), value('z', [1])],
        },
      },
      { order: 'reversed' },
    ),
  );
  const borrowed = (name: string, index: number): OutputEdit => ({
    name,
    borrow: { list: 'output', index },
    type: null,
  });
  const numbers = async (outputs: readonly OutputEdit[]): Promise<readonly number[]> =>
    (await indexModel(await materialize(model.source, splice(model, { ...EMPTY_EDIT, outputs })))).graphFields.map(
      ({ number }) => number,
    );
  const first = model.graph.outputs[0].name;
  const second = model.graph.outputs[1].name;
  const own = model.graphFields.map(({ number }) => number);
  const moved = [...own.filter((number) => number !== 12), 12, 12];
  expect(own).not.toEqual(moved);
  const input: OutputEdit = { name: 'x', borrow: { list: 'input', index: 0 }, type: null };
  expect(await numbers([borrowed(first, 0), borrowed(second, 1)])).toEqual(own);
  expect(await numbers([borrowed(first, 0), borrowed(second, 1), input])).toEqual([...own, 12]);
  // In another order, of another type, or with the type of something else they are written anew.
  expect(await numbers([borrowed(second, 1), borrowed(first, 0)])).toEqual(moved);
  expect(await numbers([borrowed(first, 1), borrowed(second, 1)])).toEqual(moved);
  expect(await numbers([borrowed(first, 0), { ...borrowed(second, 1), borrow: null }])).toEqual(moved);
  expect(await numbers([borrowed(first, 0), { ...borrowed(second, 1), borrow: { list: 'input', index: 0 } }])).toEqual(
    moved,
  );
  expect(await numbers([borrowed(first, 0)])).toEqual(moved.slice(0, -1));
});

test('an output without a declaration in the file gets the type that is stated', async () => {
  await using model = await indexModel(file);
  const { graph } = await applied(model, {
    outputs: [{ name: 'y', borrow: null, type: { kind: 'tensor', elemType: 10, shape: ['n'] } }],
  });
  expect(graph?.output?.map(({ name, type }) => [name, type?.tensorType?.elemType])).toEqual([['y', 10]]);
});

test('a tensor that stands in two pieces inside a node becomes one', async () => {
  const half = (data: readonly number[]): Uint8Array => tensorMessage({ name: 'k', dims: [data.length], data });
  const split = { int: 0, untyped: true, extra: [bytes(5, half([1])), bytes(5, half([2]))] } as const;
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: [node('Constant', [], ['c'], { value: split }), node('Relu', ['c'], ['y'])],
        outputs: [value('y', null)],
      },
    }),
  );
  const [constant] = [...tensorsOf(model)];
  expect(constant.parts).toHaveLength(2);
  const fresh = concat(wrap(8, [new TextEncoder().encode('fresh')]).map((piece) => piece as Uint8Array));
  const { graph } = await applied(model, {}, new Map([[constant, [fresh]]]));
  const attribute = graph?.node?.[0].attribute?.[0];
  expect([attribute?.t?.name, attribute?.t?.dims?.length]).toEqual(['fresh', 0]);
  expect(graph?.node?.map(({ opType }) => opType)).toEqual(['Constant', 'Relu']);
});

test('a metadata entry that an edit sets takes the place of those of its key, and the others stay', async () => {
  await using model = await indexModel(
    encodeModel({
      graph: { nodes: [node('Relu', ['x'], ['y'])], inputs: [value('x', [1])], outputs: [value('y', [1])] },
      metadata: [
        ['a', 'old'],
        ['b', 'stays'],
        ['a', 'older'],
        ['c', 'dropped'],
      ],
    }),
  );
  const setMetadata = [
    { key: 'a', value: 'new' },
    { key: 'd', value: 'added' },
  ];
  const { metadataProps } = await applied(model, { setMetadata, drop: { ...EMPTY_EDIT.drop, metadata: [3] } });
  expect(metadataProps?.map(({ key, value: said }) => [key, said])).toEqual([
    ['b', 'stays'],
    ['a', 'new'],
    ['d', 'added'],
  ]);
});

test('inputs that an edit adds follow those of the file; constants may lie in a file', async () => {
  await using model = await indexModel(file);
  const place = { location: 'w.bin', offset: 2 ** 40, length: 8 };
  const { graph } = await applied(model, {
    addInputs: [
      { name: 'fed', type: { kind: 'tensor', elemType: 10, shape: ['n', 3] } },
      { name: 'open', type: null },
    ],
    addInitializers: [{ name: 'k', dims: [4], dataType: 10, external: place }],
    addNodes: [{ opType: 'Cast', name: '', inputs: ['fed'], outputs: ['z'], attributes: [{ name: 'to', int: 1 }] }],
    outputs: [{ name: 'z', borrow: null, type: null }],
  });
  expect(graph?.input?.map(({ name, type }) => [name, type?.tensorType?.elemType])).toEqual([
    ['x', 1],
    ['fed', 10],
    ['open', undefined],
  ]);
  const [, constant] = graph?.initializer ?? [];
  expect([constant?.name, constant?.dataType, constant?.dataLocation]).toEqual(['k', 10, 1]);
  expect(constant?.externalData?.map(({ value: said }) => said)).toEqual(['w.bin', String(2 ** 40), '8']);
});

test('names of a node change in place, beside a tensor inside it that moves; nodes and inputs may stand in front', async () => {
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: [
          node('Constant', [], ['k'], { value: { tensor: tensor('', [2], [1, 2]) } }, { name: 'constant' }),
          node('Clip', ['x', '', 'k'], ['y'], {}, { name: 'clip' }),
        ],
        inputs: [value('x', [1]), value('z', [1])],
        outputs: [value('y', [1])],
      },
    }),
  );
  const [constant] = [...tensorsOf(model)];
  const fresh = concat(wrap(8, [new TextEncoder().encode('fresh')]).map((piece) => piece as Uint8Array));
  const { graph } = await applied(
    model,
    {
      rename: [
        { node: 0, list: 'output', at: 0, name: 'a longer name' },
        { node: 1, list: 'input', at: 2, name: 'a longer name' },
        { node: 1, list: 'input', at: 0, name: 'first' },
      ],
      addNodes: [
        { opType: 'Neg', name: '', inputs: ['w'], outputs: ['negative'], before: 1 },
        { opType: 'Abs', name: '', inputs: ['negative'], outputs: ['first'], before: 1 },
        { opType: 'Abs', name: '', inputs: ['first'], outputs: ['last'] },
      ],
      addInputs: [{ name: 'w', type: null, replaces: 0 }],
      drop: { ...EMPTY_EDIT.drop, inputs: [0] },
      outputs: [{ name: 'last', borrow: null, type: null }],
    },
    new Map([[constant, [fresh]]]),
  );
  expect(graph?.node?.map(({ input, output }) => [input, output])).toEqual([
    [[], ['a longer name']],
    [['w'], ['negative']],
    [['negative'], ['first']],
    [['first', '', 'a longer name'], ['y']],
    [['first'], ['last']],
  ]);
  expect(graph?.node?.[0].attribute?.[0].t?.name).toBe('fresh');
  expect(graph?.input?.map(({ name }) => name)).toEqual(['w', 'z']);
  const wrong = { rename: [{ node: 1, list: 'output', at: 1, name: 'q' }] } as const;
  await expect(applied(model, wrong)).rejects.toThrow("node 1 has no output 1 to call 'q'");
});

test('an output borrows the type, the doc and the metadata of what the file declares, under its own name', async () => {
  const documented = { ...value('h', [3], 'float16'), doc: 'what it is', metadata: [['k', 'v']] as const };
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: [node('Relu', ['x'], ['h']), node('Neg', ['h'], ['y'])],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
        valueInfo: [documented],
      },
    }),
  );
  const borrow = { list: 'valueInfo', index: 0 } as const;
  const outputs = [{ name: 'h', borrow, type: null }];
  const renamed = {
    outputs: [{ name: 'feature', borrow, type: null }],
    addNodes: [{ opType: 'Identity', name: '', inputs: ['h'], outputs: ['feature'] }],
  };
  for (const [edit, name] of [
    [{ outputs }, 'h'],
    [renamed, 'feature'],
  ] as const) {
    const [output] = (await applied(model, edit)).graph?.output ?? [];
    expect([output.name, output.type?.tensorType?.elemType, output.docString]).toEqual([name, 10, 'what it is']);
  }
  // What is borrowed may say another type in the same edit.
  const types = [{ of: model.graph.valueInfo[0], type: { kind: 'tensor', elemType: 7, shape: [5] } } as const];
  const { graph } = await applied(model, { ...renamed, types });
  expect(graph?.output?.map(({ name, type }) => [name, type?.tensorType?.elemType])).toEqual([['feature', 7]]);
  expect(graph?.valueInfo?.map(({ name, type }) => [name, type?.tensorType?.elemType])).toEqual([['h', 7]]);
  // That of another tensor is not its own.
  const foreign = [{ of: model.graph.inputs[0], type: { kind: 'tensor', elemType: 7, shape: [5] } } as const];
  const [output] = (await applied(model, { ...renamed, types: foreign })).graph?.output ?? [];
  expect([output.type?.tensorType?.elemType, output.docString]).toEqual([10, 'what it is']);
});

test('a type changes where it is declared, in the graph or in a body, and what stands beside it stays', async () => {
  const body = {
    nodes: [node('Identity', ['x'], ['b'])],
    outputs: [value('b', [1])],
    valueInfo: [value('inside', [1])],
  };
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: [node('If', ['c'], ['y'], { then_branch: { graph: body }, else_branch: { graph: body } })],
        inputs: [value('c', [], 'bool'), value('x', [1])],
        outputs: [value('y', [1])],
      },
    }),
  );
  const [branch] = model.graph.nodes[0].attributes.flatMap(({ graphs }) => graphs);
  const type = { kind: 'tensor', elemType: 10, shape: ['n'] } as const;
  const { graph } = await applied(model, {
    types: [
      { of: model.graph.inputs[1], type },
      { of: branch.valueInfo[0], type },
    ],
  });
  expect(graph?.input?.map(({ name, type: said }) => [name, said?.tensorType?.elemType])).toEqual([
    ['c', 9],
    ['x', 10],
  ]);
  expect(
    graph?.node?.[0].attribute?.map(({ name, g }) => [name, g?.valueInfo?.[0].type?.tensorType?.elemType]),
  ).toEqual([
    ['then_branch', 10],
    ['else_branch', 1],
  ]);
});

test('a node gets attributes behind its own', async () => {
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: [node('Softmax', ['x'], ['h'], {}), node('Softmax', ['h'], ['y'], { own: { int: 3 } })],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
      },
    }),
  );
  const { graph } = await applied(model, { addAttributes: [{ node: 1, attribute: { name: 'axis', int: 1 } }] });
  expect(graph?.node?.map(({ attribute }) => attribute?.map(({ name, i }) => [name, Number(i)]))).toEqual([
    [],
    [
      ['own', 3],
      ['axis', 1],
    ],
  ]);
});

test('the content of an initializer changes in its place, and one of its name beside it stays', async () => {
  const [first, last] = [tensor('a', [1], [1]), tensor('z', [1], [1])];
  const halves = [
    tensorMessage({ name: 'w', dims: [1], data: [1] }),
    tensorMessage({ name: 'w', dims: [1], data: [2] }),
  ];
  await using model = await indexModel(
    encodeModel({
      graph: {
        nodes: [node('Relu', ['x'], ['y'])],
        inputs: [value('x', [1])],
        outputs: [value('y', [1])],
        initializers: [first, last],
        extra: halves.map((half) => bytes(GraphField.initializer, half)),
      },
    }),
  );
  const { initializers } = model.graph;
  const fresh = (name: string): readonly Piece[] => wrap(8, [new TextEncoder().encode(name)]);
  const { graph } = await applied(
    model,
    {},
    new Map([
      [initializers[0], fresh('fresh a')],
      [initializers[2], fresh('fresh w')],
    ]),
  );
  expect(graph?.initializer?.map(({ name }) => name)).toEqual(['fresh a', 'z', 'fresh w', 'w']);
});
