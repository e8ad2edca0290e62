import { indexModel } from '../onnx/model.js';
import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import { decodeModel } from '../testing/decode.js';
import { encodeModel, tensorMessage } from '../testing/model-builder.js';
import { node, tensor, value } from '../testing/model-spec.js';
import { bytes } from '../testing/wire-writer.js';
import { wrap } from '../wire/encode.js';
import { concat, materialize } from '../wire/pieces.js';
import { EMPTY_EDIT, type GraphEdit } from './edit.js';
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
        { opType: 'Neg', name: '', inputs: ['w'], outputs: ['first'], before: 1 },
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
    [['w'], ['first']],
    [['first', '', 'a longer name'], ['y']],
    [['first'], ['last']],
  ]);
  expect(graph?.node?.[0].attribute?.[0].t?.name).toBe('fresh');
  expect(graph?.input?.map(({ name }) => name)).toEqual(['w', 'z']);
  const wrong = { rename: [{ node: 1, list: 'output', at: 1, name: 'q' }] } as const;
  await expect(applied(model, wrong)).rejects.toThrow("node 1 has no output 1 to call 'q'");
});
