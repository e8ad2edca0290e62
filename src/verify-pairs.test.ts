import type { StoredOutput } from './features/stored-info.js';
import { viewGraph, type GraphView } from './onnx/graph.js';
import { indexModel } from './onnx/model.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value, type NodeSpec } from './testing/model-spec.js';
import { comparison, outputPairs, type Pair } from './verify-pairs.js';

/** A graph that takes `x` and `u` and gives some of what its nodes make, with what a cut remembers if it is one. */
async function viewOf(
  nodes: readonly NodeSpec[],
  outputs: readonly string[],
  stored?: readonly Partial<StoredOutput>[],
): Promise<GraphView> {
  const feature = { module: null, tensor: 'a', num_chs: 4, reduction: null, because: 'a test' };
  const info = {
    schema: 1,
    feature_info: [0, 1].map((index) => ({ ...feature, index })),
    groups: [{ name: 'neck', features: [{ ...feature, index: 0 }] }],
    out_indices: [],
    outputs: stored?.map((each) => ({ index: null, converted: false, prefix_tokens: 0, layout: null, ...each })),
  };
  const bytes = encodeModel({
    graph: { nodes, inputs: [value('x', [4]), value('u', [4])], outputs: outputs.map((name) => value(name, null)) },
    metadata: stored === undefined ? [] : [['featx.feature_info', JSON.stringify(info)]],
  });
  return viewGraph(await indexModel(bytes));
}

const A = node('Neg', ['x'], ['a']);
const B = node('Abs', ['a'], ['b']);
const MODEL = [A, B];

describe('what is compared: outputs that are named as tensors of the model', () => {
  test('in the order of the cut, without those that the model does not have', async () => {
    const cut = await viewOf([B, A, node('Relu', ['b'], ['z'])], ['b', 'z', 'a']);
    expect(await outputPairs(await viewOf(MODEL, ['b']), cut, undefined)).toEqual([
      { index: null, tensors: ['b'], output: 'b', layout: null },
      { index: null, tensors: ['a'], output: 'a', layout: null },
    ]);
  });

  test('none: the second model is not a cut of the first', async () => {
    const model = await viewOf(MODEL, ['b']);
    const [other, stranger] = [[node('Neg', ['x'], ['p'])], [{ tensor: 'q', output: 'p' }]];
    const refused = {
      name: 'ResolveError',
      message: 'the second model is not a cut of the first: none of its outputs is a tensor there',
      code: 'FEATX_RESOLVE_PAIR',
      hint: 'pair them with `map: {"TENSOR":"OUTPUT"}`',
    };
    await expect(outputPairs(model, await viewOf(other, ['p']), undefined)).rejects.toMatchObject(refused);
    const cutOfAnother = await viewOf(MODEL, ['b'], stranger);
    await expect(outputPairs(cutOfAnother, await viewOf(other, ['p']), undefined)).rejects.toMatchObject(refused);
  });

  test('the cut first, then its model: said', async () => {
    const cut = await viewOf(
      [A, node('Relu', ['a'], ['0'])],
      ['0'],
      [
        { tensor: 'elsewhere', output: '1' },
        { tensor: 'b', output: '0' },
      ],
    );
    await expect(outputPairs(cut, await viewOf(MODEL, ['b']), undefined)).rejects.toMatchObject({
      message: 'the second model is not a cut of the first: none of its outputs is a tensor there',
      code: 'FEATX_RESOLVE_PAIR',
      hint: 'the first is a cut of the second: give the model first, then the cut',
    });
  });
});

describe('what is compared: pairs that are given', () => {
  test('and no others, whatever the names and the cut say', async () => {
    const cut = await viewOf(MODEL, ['a', 'b'], [{ tensor: 'a', output: 'a' }]);
    const map = new Map([
      ['b', 'a'],
      ['x', 'b'],
    ]);
    expect(await outputPairs(await viewOf(MODEL, ['b']), cut, map)).toEqual([
      { index: null, tensors: ['b'], output: 'a', layout: null },
      { index: null, tensors: ['x'], output: 'b', layout: null },
    ]);
  });

  test('every name that is not there is in one error', async () => {
    const map = new Map([
      ['a', 'c'],
      ['d', 'b'],
      ['e', 'f'],
    ]);
    const pairing = outputPairs(await viewOf(MODEL, ['b']), await viewOf(MODEL, ['a', 'b']), map);
    await expect(pairing).rejects.toMatchObject({
      name: 'ResolveError',
      message:
        "the cut has no output 'c'; the model has no tensor 'd'; the model has no tensor 'e'; the cut has no output 'f'",
      code: 'FEATX_RESOLVE_PAIR',
      hint: 'the outputs of the cut are a, b',
    });
  });
});

describe('what is compared: what the cut says its outputs are', () => {
  const codes = { scale: 0.5, zero_point: 1 };

  test('each with what is known of it; outputs that it says nothing of follow, by name', async () => {
    const cut = await viewOf(
      [...MODEL, node('Identity', ['a'], ['0']), node('Identity', ['b'], ['1'])],
      ['b', '0', '1'],
      [
        { index: 1, tensor: 'a', output: '0', layout: 'NCHW', codes },
        { index: 0, group: 'neck', tensor: 'b', output: '1', blocked: 6, cast_from: 'bfloat16' },
      ],
    );
    expect(await outputPairs(await viewOf(MODEL, ['b']), cut, undefined)).toEqual([
      { index: 1, tensors: ['a'], output: '0', layout: 'NCHW', held: { codes } },
      {
        index: 0,
        group: 'neck',
        tensors: ['b'],
        output: '1',
        layout: null,
        held: { blocked: 6, cast_from: 'bfloat16' },
      },
      { index: null, tensors: ['b'], output: 'b', layout: null },
    ]);
  });

  test('where steps stand before an output, the tensor in front of them', async () => {
    const before = { tensor: 'a', layout: 'NHWC' as const, prefix_tokens: 0, converted: false };
    const cut = await viewOf(MODEL, ['b'], [{ index: 0, tensor: 'a', output: 'b', before, steps: [{ step: 'pool' }] }]);
    const pairs = await outputPairs(await viewOf(MODEL, ['b']), cut, undefined);
    expect(pairs).toEqual([{ index: 0, tensors: ['a'], output: 'a', leavesAs: 'b', layout: 'NHWC', held: {} }]);
    expect(pairs[0]).toHaveProperty('leavesAs');
    const plain = await viewOf(MODEL, ['b'], [{ index: 0, tensor: 'b', output: 'b' }]);
    expect((await outputPairs(await viewOf(MODEL, ['b']), plain, undefined))[0]).not.toHaveProperty('leavesAs');
  });

  test('without outputs that have gone, tensors that the model does not have, and tensors that the cut lost', async () => {
    const lost = { tensor: 'lost', layout: null, prefix_tokens: 0, converted: false };
    const cut = await viewOf(
      [...MODEL, node('Abs', ['x'], ['inside'])],
      ['a', 'b', 'x'],
      [
        { tensor: 'a', output: 'gone' },
        { tensor: 'a', output: 'inside' },
        { index: 0, tensor: 'elsewhere', output: 'a' },
        { index: 1, tensor: 'b', output: 'x', before: lost, steps: [{ step: 'pool' }] },
      ],
    );
    expect(await outputPairs(await viewOf(MODEL, ['b']), cut, undefined)).toEqual(
      ['a', 'b', 'x'].map((name) => ({ index: null, tensors: [name], output: name, layout: null })),
    );
  });

  /** The tensors that are held against the only output of a cut, which says that it is `a`. */
  const tensorsOf = async (model: readonly NodeSpec[], cut: readonly NodeSpec[], output: string) => {
    const said = [{ index: 0, tensor: 'a', output }];
    return (await outputPairs(await viewOf(model, ['b']), await viewOf(cut, [output], said), undefined))[0].tensors;
  };

  test.each<readonly [string, readonly NodeSpec[], readonly NodeSpec[], string, readonly string[]]>([
    ['all that a Concat of the cut joins', MODEL, [...MODEL, node('Concat', ['b', 'a'], ['o'])], 'o', ['b', 'a']],
    [
      'also behind what the cut does with it',
      MODEL,
      [...MODEL, node('Concat', ['a', 'b'], ['j']), node('Identity', ['j'], ['o'])],
      'o',
      ['a', 'b'],
    ],
    [
      'one tensor if the Concat is of the model too',
      [...MODEL, node('Concat', ['a', 'b'], ['j'])],
      [...MODEL, node('Concat', ['a', 'b'], ['j'])],
      'j',
      ['a'],
    ],
    [
      'one tensor if the Concat joins more than the model has',
      MODEL,
      [...MODEL, node('Neg', ['b'], ['own']), node('Concat', ['a', 'own'], ['o'])],
      'o',
      ['a'],
    ],
    ['one tensor behind any other node', MODEL, [...MODEL, node('Add', ['a', 'b'], ['o'])], 'o', ['a']],
    ['one tensor behind an input of the cut', MODEL, [node('Concat', ['x', 'u'], ['o'])], 'o', ['a']],
  ])('%s', async (_what, model, cut, output, tensors) => {
    expect(await tensorsOf(model, cut, output)).toEqual(tensors);
  });
});

const floats = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

/** What is compared if the model and its cut gave these. */
function compared(
  pair: Partial<Pair>,
  reference: { readonly [name: string]: TensorValue },
  result: TensorValue,
): readonly [TensorValue, TensorValue] {
  return comparison(
    { index: null, tensors: Object.keys(reference), output: 'o', layout: null, ...pair },
    { reference: new Map(Object.entries(reference)), result: new Map([['o', result]]) },
  );
}

describe('the two sides of a pair', () => {
  test('are what was given, if neither layout nor type is another', () => {
    const [a, o] = [floats([1, 4, 1, 1], 1, 2, 3, 4), floats([1, 4, 1, 1], 5, 6, 7, 8)];
    expect(compared({}, { a }, o)).toEqual([a, o]);
    expect(compared({ held: {} }, { a }, o)).toEqual([a, o]);
  });

  test('are both there', () => {
    const none = new Map<string, TensorValue>();
    const pair: Pair = { index: null, tensors: ['a'], output: 'o', layout: null };
    const one = (name: string): ReadonlyMap<string, TensorValue> => new Map([[name, floats([1], 1)]]);
    expect(() => comparison(pair, { reference: none, result: one('o') })).toThrow("the model gave no 'a'");
    expect(() => comparison(pair, { reference: one('a'), result: none })).toThrow("the cut gave no 'o'");
  });

  test('have the layout of the cut', () => {
    const map = floats([1, 2, 2, 2], 1, 2, 3, 4, 5, 6, 7, 8);
    const last = floats([1, 2, 2, 2], 1, 5, 2, 6, 3, 7, 4, 8);
    const tokens = floats([1, 4, 2], 1, 5, 2, 6, 3, 7, 4, 8);
    const target = floats([1, 2, 2, 2], 0, 0, 0, 0, 0, 0, 0, 0);
    expect(compared({ layout: 'NCHW' }, { tokens }, target)[0]).toEqual(map);
    expect(compared({ layout: 'NHWC' }, { tokens }, target)[0]).toEqual(last);
    // Channels first is the reading that is tried first where the cut does not say.
    expect(compared({ layout: null }, { tokens }, target)[0]).toEqual(map);
  });

  test('are left alone if no layout makes one of the other', () => {
    const a = floats([2, 2], 1, 2, 3, 4);
    expect(compared({ layout: 'NCHW' }, { a }, floats([1, 3], 1, 2, 3))[0]).toEqual(a);
  });

  test('are numbers, if the model holds codes that stand for them', () => {
    const a: TensorValue = { dtype: 'uint8', shape: [1, 2], data: Uint8Array.of(3, 5) };
    const codes = { scale: 0.5, zero_point: 1 };
    expect(compared({ held: { codes } }, { a }, floats([1, 2], 0, 0))[0]).toEqual(floats([1, 2], 1, 2));
    // Codes come first: what a cut casts is what they stand for.
    expect(compared({ held: { codes, cast_from: 'uint8' } }, { a }, floats([1, 2], 0, 0))[0].data).toEqual(
      Float32Array.of(1, 2),
    );
  });

  test('are float32, if the cut cast what no runtime gives back', () => {
    const a: TensorValue = { dtype: 'bfloat16', shape: [1, 2], data: Uint16Array.of(0x3f80, 0xc000) };
    expect(compared({ held: { cast_from: 'bfloat16' } }, { a }, floats([1, 2], 0, 0))[0]).toEqual(
      floats([1, 2], 1, -2),
    );
  });
});

describe('channels in blocks', () => {
  /** [1, 16, 1, 2] in blocks of some channels, and the map of their first `channels` channels. */
  const ranks = Array.from({ length: 16 }, (_, channel) => [channel, channel + 100]);
  const inBlocks = (block: number): TensorValue => {
    const blocks = Array.from({ length: 16 / block }, (_, at) => ranks.slice(at * block, (at + 1) * block));
    const data = blocks.flatMap((some) => [0, 1].flatMap((place) => some.map((channel) => channel[place])));
    return floats([1, 16, 1, 2], ...data);
  };
  const map = (channels: number): TensorValue => floats([1, channels, 1, 2], ...ranks.slice(0, channels).flat());

  test.each([16, 8, 4])('of %d are found by what the cut gave', (block) => {
    expect(compared({ held: { blocked: 15 } }, { a: inBlocks(block) }, map(15))[0]).toEqual(map(15));
  });

  test('that the cut did not give are read as the largest', () => {
    expect(compared({ held: { blocked: 16 } }, { a: inBlocks(16) }, floats([1, 16, 1, 2], 1))[0]).toEqual(map(16));
  });

  test('that cannot be are left as they are', () => {
    const a = floats([1, 3, 1, 1], 1, 2, 3);
    expect(compared({ held: { blocked: 3 } }, { a }, a)[0]).toEqual(a);
  });
});

test('several tensors are joined on axis 1, entry by entry', () => {
  const a = floats([2, 1, 2], 1, 2, 11, 12);
  const b = floats([2, 2, 2], 3, 4, 5, 6, 13, 14, 15, 16);
  const whole = floats([2, 3, 2], 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16);
  expect(compared({}, { a, b }, whole)).toEqual([whole, whole]);
  const ids = (...values: number[]): TensorValue => ({
    dtype: 'int32',
    shape: [1, values.length],
    data: Int32Array.from(values),
  });
  expect(compared({}, { a: ids(1, 2), b: ids(3) }, ids(0, 0, 0))[0]).toEqual(ids(1, 2, 3));
});
