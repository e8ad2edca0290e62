import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract, type ExtractOptions } from './extract.js';
import { isBitEqual, largestDifference, rearranged } from './tensors/compare.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec } from './testing/model-spec.js';
import { verify } from './verify.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-verify-'));
afterAll(() => rmSync(folder, { recursive: true }));

const floats = (
  shape: readonly number[],
  ...values: number[]
): { dtype: string; shape: readonly number[]; data: Float32Array } => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

let count = 0;
async function cutOf(source: string | Uint8Array, options: ExtractOptions): Promise<string> {
  const path = join(folder, `cut${count++}.onnx`);
  await extract(source, path, { isolate: false, ...options });
  return path;
}

describe('a cut equals its model', () => {
  test.each<[string, string, ExtractOptions]>([
    ['test_resnet.ts.onnx', 'dict', {}],
    ['test_resnet.ts.onnx', 'as NHWC, isolated', { outputFmt: 'NHWC' }],
    ['test_vit.ts.onnx', 'tokens as maps', { outputFmt: 'NCHW', last: 2 }],
    ['test_vit.dy.onnx', 'hook', { mode: 'hook' }],
  ])('%s, %s', async (name, what, options) => {
    const source = join('fixtures', 'timm', name);
    const cut = await cutOf(source, { ...options, weights: 'embed' });
    const report = await verify(source, cut, { isolate: what.includes('isolated') });
    expect(report.features.filter(({ bit_equal }) => !bit_equal)).toEqual([]);
    expect(report).toMatchObject({
      schema: 1,
      command: 'verify',
      model: source,
      extracted: cut,
      equal: true,
      warnings: [],
    });
    expect(report.features.length).toBeGreaterThan(1);
    for (const { max_difference: difference } of report.features) expect(difference).toBeLessThan(1e-3);
  });

  test('and says so where the two are given the other way round', async () => {
    const source = join('fixtures', 'timm', 'test_resnet.ts.onnx');
    const cut = await cutOf(source, { out: [1], weights: 'embed' });
    await expect(verify(cut, source)).rejects.toMatchObject({
      code: 'FEATX_RESOLVE_PAIR',
      hint: 'the first is a cut of the second: give the model first, then the cut',
    });
  });

  test('and one whose weights were changed does not', async () => {
    const source = join('fixtures', 'timm', 'test_resnet.ts.onnx');
    const cut = await cutOf(source, { out: [1], weights: 'embed' });
    const bytes = readFileSync(cut);
    // The sign of some weight, in the middle of the file.
    bytes[Math.floor(bytes.length / 2) | 3] ^= 0x80;
    for (let at = Math.floor(bytes.length / 2); at < bytes.length / 2 + 64; at++) bytes[at] ^= 0x80;
    writeFileSync(cut, bytes);
    const report = await verify(source, cut);
    expect(report.equal).toBe(false);
    expect(report.features).toEqual([expect.objectContaining({ index: 1, bit_equal: false })]);
  });
});

describe('bit for bit', () => {
  const scale = (...values: number[]): GraphSpec => ({
    inputs: [value('x', ['n', 4])],
    outputs: [value('y', null, null)],
    initializers: [tensor('w', [4], values)],
    nodes: [node('Mul', ['x', 'w'], ['y'])],
  });

  test('one flipped low bit of one weight makes another model, however small the difference', async () => {
    const source = encodeModel({ graph: scale(1, 2, 3, 4) });
    const cut = Buffer.from(encodeModel({ graph: scale(1, 2, 3, 4) }));
    const three = Buffer.alloc(4);
    three.writeFloatLE(3);
    const at = cut.indexOf(three);
    expect(cut.lastIndexOf(three)).toBe(at);
    cut[at] ^= 1;
    const { equal, features } = await verify(source, cut);
    expect(features).toEqual([
      {
        index: null,
        tensor: 'y',
        output: 'y',
        equal: false,
        bit_equal: false,
        max_difference: expect.any(Number),
        tolerance: 0.001,
      },
    ]);
    expect(features[0].max_difference).toBeGreaterThan(0);
    expect(features[0].max_difference).toBeLessThan(1e-6);
    expect(equal).toBe(false);
  });

  test('what differs in bits alone is another model: a zero of the other sign', async () => {
    const report = await verify(encodeModel({ graph: scale(0, 1, 1, 1) }), encodeModel({ graph: scale(-0, 1, 1, 1) }));
    expect(report).toMatchObject({ equal: false, features: [{ bit_equal: false, max_difference: 0 }] });
  });
});

describe('pairs', () => {
  const graph = (name: string): GraphSpec => ({
    inputs: [value('x', ['n', 4])],
    outputs: [value(name, null, null)],
    initializers: [weights('w', [4, 4], 3)],
    nodes: [node('MatMul', ['x', 'w'], ['m']), node('Relu', ['m'], [name])],
  });

  test('by name, or as they are given', async () => {
    expect((await verify(encodeModel({ graph: graph('y') }), encodeModel({ graph: graph('y') }))).features).toEqual([
      { index: null, tensor: 'y', output: 'y', equal: true, bit_equal: true, max_difference: 0, tolerance: 0.001 },
    ]);
    const other = encodeModel({ graph: graph('z') });
    await expect(verify(encodeModel({ graph: graph('y') }), other)).rejects.toMatchObject({
      name: 'ResolveError',
      hint: expect.stringContaining('`map: '),
    });
    expect((await verify(encodeModel({ graph: graph('y') }), other, { map: new Map([['y', 'z']]) })).equal).toBe(true);
    await expect(verify(encodeModel({ graph: graph('y') }), other, { map: new Map([['q', 'p']]) })).rejects.toThrow(
      "the model has no tensor 'q'; the cut has no output 'p'",
    );
  });

  test('a cut of another model', async () => {
    const other = {
      ...graph('y'),
      inputs: [value('picture', ['n', 4])],
      nodes: [node('MatMul', ['picture', 'w'], ['m']), node('Relu', ['m'], ['y'])],
    };
    await expect(verify(encodeModel({ graph: graph('y') }), encodeModel({ graph: other }))).rejects.toThrow(
      'inputs that the model does not have: picture',
    );
  });

  test('a model that wants 256 pixels', async () => {
    const position: GraphSpec = {
      inputs: [value('x', ['n', 1, 'h', 'w'])],
      outputs: [value('y', null, null)],
      initializers: [tensor('p', [1, 1, 256, 1], Array.from<number>({ length: 256 }).fill(1))],
      nodes: [node('Add', ['x', 'p'], ['y'])],
    };
    expect((await verify(encodeModel({ graph: position }), encodeModel({ graph: position }))).equal).toBe(true);
  });
});

describe('what is random', () => {
  const noisy = (more: Partial<GraphSpec>, factor = 1): Uint8Array =>
    encodeModel({
      graph: {
        inputs: [value('x', [64])],
        outputs: [value('y', null)],
        initializers: [tensor('factor', [], [factor]), tensor('half', [], [0.5]), tensor('yes', [], [1], 'bool')],
        ...more,
      },
    });
  /** The cut has another node in front, so that the others stand elsewhere. */
  const whole = noisy({
    nodes: [
      node('RandomNormalLike', ['x'], ['r'], {}, { name: 'noise' }),
      node('Add', ['x', 'r'], ['s']),
      node('Mul', ['s', 'factor'], ['y']),
    ],
  });
  const cut = (factor: number): Uint8Array =>
    noisy(
      {
        nodes: [
          node('Identity', ['x'], ['same']),
          node('RandomNormalLike', ['same'], ['r']),
          node('Add', ['x', 'r'], ['s']),
          node('Mul', ['s', 'factor'], ['y']),
        ],
      },
      factor,
    );

  test('is judged: both get the same seed', async () => {
    const report = await verify(whole, cut(1));
    expect(report).toMatchObject({
      equal: true,
      reason: null,
      features: [{ output: 'y', equal: true, bit_equal: true, tolerance: 0.001 }],
      warnings: [
        "node[0] RandomNormalLike 'noise' gives other values in every run: both models were run with the same seed for it",
      ],
    });
    expect(await verify(whole, cut(1.5))).toMatchObject({ equal: false, features: [{ equal: false }] });
  });

  test.each<readonly [string, string, boolean]>([
    ['trains', 'yes', true],
    ['does not train', 'no', false],
  ])('Dropout that %s is judged', async (_case, training, isNamed) => {
    const dropped = (factor: number, isCut: boolean): Uint8Array =>
      noisy(
        {
          initializers: [
            tensor('factor', [], [factor]),
            tensor('half', [], [0.5]),
            tensor('yes', [], [1], 'bool'),
            tensor('no', [], [0], 'bool'),
          ],
          nodes: [
            ...(isCut ? [node('Identity', ['x'], ['same'])] : []),
            node('Dropout', [isCut ? 'same' : 'x', 'half', training], ['d']),
            node('Mul', ['d', 'factor'], ['y']),
          ],
        },
        factor,
      );
    const report = await verify(dropped(1, false), dropped(1, true));
    expect(report).toMatchObject({ equal: true, warnings: isNamed ? [expect.stringContaining('Dropout')] : [] });
    expect(await verify(dropped(1, false), dropped(5, true))).toMatchObject({ equal: false });
  });

  test('inside a body is out of reach, and what differs there is not judged', async () => {
    const branch = (name: string): { readonly graph: GraphSpec } => ({
      graph: { nodes: [node('RandomNormalLike', ['x'], [name])], outputs: [value(name, null)] },
    });
    const drawn = (input: string): Uint8Array =>
      noisy({
        nodes: [
          ...(input === 'x' ? [] : [node('Identity', ['x'], [input])]),
          node('If', ['yes'], ['r'], { then_branch: branch('a'), else_branch: branch('b') }),
          node('Add', [input, 'r'], ['y']),
        ],
      });
    const [model, other] = [drawn('x'), drawn('same')];
    const report = await verify(model, other);
    expect(report).toMatchObject({
      equal: null,
      reason: expect.stringContaining('node[0] If draws random numbers inside'),
      features: [{ equal: null }],
    });
    await expect(
      extract(model, join(folder, 'unjudged.onnx'), {
        select: [{ by: 'tensor', name: 'y' }],
        isolate: false,
        verifyFile: () => verify(model, other),
      }),
    ).rejects.toMatchObject({ code: 'FEATX_VERIFY_UNJUDGED' });
  });
});

describe('only what both need is run', () => {
  const strange = encodeModel({
    opset: [
      ['', 17],
      ['nobody', 1],
    ],
    graph: {
      inputs: [value('x', [4]), value('word', [1], 'string')],
      outputs: [value('z', null)],
      nodes: [
        node('Neg', ['x'], ['y']),
        { op: 'Plugin', domain: 'nobody', inputs: ['y', 'word'], outputs: ['z'], attributes: {} },
      ],
    },
  });

  test('a plugin behind the cut does not matter, nor does what it reads', async () => {
    const cut = await cutOf(strange, { select: [{ by: 'tensor', name: 'y' }] });
    expect(await verify(strange, cut)).toMatchObject({ equal: true });
  });

  test('inputs come from files, strings too', async () => {
    const graph: GraphSpec = {
      inputs: [value('words', ['n'], 'string')],
      outputs: [value('y', null)],
      nodes: [
        {
          op: 'LabelEncoder',
          domain: 'ai.onnx.ml',
          inputs: ['words'],
          outputs: ['codes'],
          attributes: { keys_strings: { strings: ['a', 'b'] }, values_floats: { floats: [1, 2] } },
        },
        node('Neg', ['codes'], ['y']),
      ],
    };
    const model = encodeModel({
      graph,
      opset: [
        ['', 17],
        ['ai.onnx.ml', 2],
      ],
    });
    const words = join(folder, 'words.pb');
    // TensorProto: dims 2, data_type STRING, string_data a and b.
    writeFileSync(words, Uint8Array.of(0x08, 2, 0x10, 8, 0x32, 1, 0x61, 0x32, 1, 0x62));
    await expect(verify(model, model)).rejects.toThrow(/string/);
    expect(await verify(model, model, { inputs: [words] })).toMatchObject({ equal: true });
  });
});

describe('comparing', () => {
  test('layouts, without the graph that makes them', () => {
    const map = floats([1, 2, 2, 3], 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    const last = [1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12];
    expect(rearranged(map, floats([1, 2, 3, 2], ...last), false)?.data).toEqual(Float32Array.from(last));
    const tokens = floats([1, 3, 2], 9, 9, 1, 2, 3, 4);
    expect(rearranged(tokens, floats([1, 2, 1, 2], 1, 3, 2, 4), true)?.data).toEqual(Float32Array.of(1, 3, 2, 4));
    expect(rearranged(tokens, floats([1, 5], 1, 2, 3, 4, 5), true)).toBeNull();
  });

  test('bits and differences', () => {
    expect(isBitEqual(floats([1], 0), floats([1], -0))).toBe(false);
    expect(isBitEqual({ dtype: 'string', shape: [1], data: ['a'] }, { dtype: 'string', shape: [1], data: ['b'] })).toBe(
      false,
    );
    expect(largestDifference(floats([2], NaN, 1), floats([2], NaN, 1))).toBe(0);
    expect(largestDifference(floats([2], NaN, 1), floats([2], 0, 1))).toBeNull();
    expect(largestDifference(floats([2], -1, 1), floats([2], -1, 1.5))).toBe(0.5);
    expect(() => largestDifference(floats([1], 1), floats([2], 1, 1))).toThrow('cannot be compared');
  });
});
