import { PolicyError } from '../errors.js';
import { CountingSource } from '../testing/counting-source.js';
import { encodeModel } from '../testing/model-builder.js';
import { value } from '../testing/model-spec.js';
import { bytes, float, group, int, join, tag, varint, type RawField } from '../testing/wire-writer.js';
import { WireType, type Field } from '../wire/fields.js';
import { BufferSource } from '../wire/source.js';
import { indexModel } from './model.js';
import { DEFAULT_LIMITS, type ReadLimits } from './limits.js';
import { readMessage } from './reader.js';
import { entered, type MessageRule } from './message-rules.js';

/** What a message of every kind of field says, and where its parts were. */
interface Said {
  ints: (number | bigint)[];
  floats: number[];
  texts: string[];
  ranges: string[];
  inner: Said[];
  fields: number[];
  paths: string[];
}

const nothing = (): Said => ({ ints: [], floats: [], texts: [], ranges: [], inner: [], fields: [], paths: [] });
const place = ({ start, payload, end }: Field): string => `${payload - start}+${end - payload}`;

const rule: MessageRule<Said> = {
  each: (said, { number }) => said.fields.push(number),
  fields: {
    1: { kind: 'int', list: true, set: (said, value) => said.ints.push(value) },
    2: { kind: 'float', list: true, set: (said, value) => said.floats.push(value) },
    3: { kind: 'text', list: true, set: (said, value) => said.texts.push(value) },
    4: { kind: 'value', list: true, set: (said, value) => said.texts.push(value) },
    5: {
      kind: 'range',
      list: true,
      kept: true,
      scalar: WireType.varint,
      set: (said, field) => said.ranges.push(place(field)),
    },
    6: {
      kind: 'message',
      enter: (said, field, context) => {
        const inner = nothing();
        said.inner.push(inner);
        inner.paths.push(
          `${context.path()} in ${context
            .enclosing()
            .map(({ number }) => number)
            .join('.')}, ${place(field)}`,
        );
        return entered(rule, inner, 'inner', said.inner.length - 1);
      },
    },
    7: { kind: 'range', list: true, kept: false, set: (said, field) => said.ranges.push(place(field)) },
    8: { kind: 'int', list: false, set: (said, value) => (said.ints = [value]) },
    9: { kind: 'text', list: false, set: (said, value) => (said.texts = [value]) },
  },
};

async function read(
  file: Uint8Array,
  limits: Partial<ReadLimits> = {},
): Promise<{ readonly said: Said; readonly source: CountingSource; readonly warnings: readonly string[] }> {
  const said = nothing();
  const source = new CountingSource(new BufferSource(file, 'a.onnx'));
  const warnings: string[] = [];
  await readMessage(source, rule, said, { ...DEFAULT_LIMITS, ...limits }, (message) => warnings.push(message));
  return { said, source, warnings };
}

const WINDOW = 64 * 1024;
const fields: { readonly [what: string]: RawField } = {
  'a number': int(1, 300),
  'a number of ten bytes': int(1, -1),
  'a run of numbers': bytes(1, join(...[1, 300, 70_000, -5].map((value) => varint(value)))),
  'a float': float(2, 0.5),
  'a run of floats': bytes(2, new Uint8Array(Float32Array.of(1, -2, 3.5, 4, 5, 6, 7, 8).buffer)),
  'a name': bytes(3, 'a name of some length'),
  'a value': bytes(4, 'a value é'),
  'a range': bytes(5, new Uint8Array(100)),
  'a message': {
    number: 6,
    bytes: bytes(6, join(int(1, 7).bytes, bytes(3, 'in').bytes, bytes(6, int(1, 9).bytes).bytes)).bytes,
  },
  'a short payload': bytes(7, new Uint8Array(40)),
  'what is unknown': bytes(20, 'abcdefgh'),
  'an unknown group': group(21, int(1, 1), bytes(3, 'x'), group(22, float(2, 1))),
  'eight bytes': { number: 23, bytes: join(tag(23, 1), new Uint8Array(8)) },
};

test.each(Object.entries(fields))('%s is read alike wherever a window ends', async (_what, field) => {
  const behind = bytes(3, 'behind').bytes;
  const { said: expected } = await read(join(field.bytes, behind));
  for (let before = 0; before <= field.bytes.length + 16; before++) {
    const filler = bytes(3, 'x'.repeat(WINDOW - before - 4)).bytes;
    expect(filler).toHaveLength(WINDOW - before);
    const { said, source } = await read(join(filler, field.bytes, behind));
    expect({ before, ...said, texts: said.texts.slice(1), fields: said.fields.slice(1) }).toEqual({
      before,
      ...expected,
    });
    expect(source.reads.length).toBe(field.bytes.length + behind.length > before ? 2 : 1);
  }
});

describe('where a message is', () => {
  test('is said by its path and by the fields around it', async () => {
    const { said } = await read(bytes(6, bytes(6, int(1, 1).bytes).bytes).bytes);
    expect(said.inner[0].paths).toEqual([' in , 2+4']);
    expect(said.inner[0].inner[0].paths).toEqual(['inner[0] in 6, 2+2']);
  });

  test.each([
    ['the model', join(bytes(9, 'x'.repeat(11)).bytes), 'a name in the model takes 11 bytes, more than 10 (byte 0)', 0],
    [
      'a message',
      bytes(6, bytes(9, 'x'.repeat(11)).bytes).bytes,
      'a name in inner[0] takes 11 bytes, more than 10 (byte 2)',
      2,
    ],
  ])('a name that is too long is said to be in %s', async (_where, file, message, offset) => {
    const error = await read(file, { nameBytes: 10 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PolicyError);
    expect(error).toMatchObject({ code: 'FEATX_LIMIT_NAME', message, offset });
  });

  test('what stands twice is said with the place of the first, and how many there are', async () => {
    const twice = join(int(8, 1).bytes, int(8, 2).bytes);
    expect((await read(twice)).warnings).toEqual([
      'field 8 of the model (byte 2) may stand once and stands again; the last one counts',
    ]);
    expect((await read(bytes(6, twice).bytes)).warnings).toEqual([
      'field 8 of inner[0] (byte 4) may stand once and stands again; the last one counts',
    ]);
    expect((await read(join(twice, int(8, 3).bytes, bytes(9, 'a').bytes, bytes(9, 'b').bytes))).warnings).toEqual([
      '3 fields may stand once and stand again, the first of them field 8 of the model (byte 2); the last one counts',
    ]);
    expect((await read(join(twice, int(8, 3).bytes))).said.ints).toEqual([3]);
  });
});

describe('strings next to each other', () => {
  /** Without `each`, as most messages are: short strings are then taken one behind the other. */
  const plain: MessageRule<Said> = {
    fields: {
      1: { kind: 'int', list: true, set: (said, number) => said.ints.push(number) },
      3: { kind: 'text', list: true, set: (said, text) => said.texts.push(text) },
      6: {
        kind: 'message',
        enter: (said) => {
          const inner = nothing();
          said.inner.push(inner);
          return entered(plain, inner, 'inner', said.inner.length - 1);
        },
      },
      9: { kind: 'text', list: false, set: (said, text) => said.texts.push(`last ${text}`) },
      17: { kind: 'text', list: true, set: (said, text) => said.texts.push(`far ${text}`) },
    },
  };
  const take = async (
    file: Uint8Array,
    limits: Partial<ReadLimits> = {},
  ): Promise<{ readonly said: Said; readonly warnings: readonly string[] }> => {
    const said = nothing();
    const warnings: string[] = [];
    const source = new BufferSource(file, 'a.onnx');
    await readMessage(source, plain, said, { ...DEFAULT_LIMITS, ...limits }, (message) => warnings.push(message));
    return { said, warnings };
  };
  const of = (...parts: readonly RawField[]): Uint8Array => join(...parts.map((part) => part.bytes));
  const long = 'c'.repeat(128);

  test('are read as others are, of any length and with anything between', async () => {
    const file = of(
      bytes(3, 'a'),
      bytes(3, ''),
      bytes(3, 'b'.repeat(127)),
      bytes(3, long),
      bytes(17, 'd'),
      bytes(3, 'e'),
      int(3, 7),
      bytes(20, 'unknown'),
      bytes(3, 'f'),
      bytes(1, varint(5)),
      int(1, 6),
      bytes(9, 'g'),
      bytes(6, of(bytes(3, 'h'), bytes(9, 'i'))),
      bytes(3, 'é'),
    );
    const { said, warnings } = await take(file);
    expect(said.texts).toEqual(['a', '', 'b'.repeat(127), long, 'far d', 'e', 'f', 'last g', 'é']);
    expect([said.ints, said.inner.map(({ texts }) => texts)]).toEqual([[5, 6], [['h', 'last i']]]);
    expect(warnings).toEqual([]);
  });

  test('that may stand once are said to stand again, with the place of the first', async () => {
    const file = of(bytes(3, 'abc'), bytes(9, 'x'), bytes(9, 'y'), bytes(3, 'z'), bytes(9, ''));
    expect((await take(file)).warnings).toEqual([
      '2 fields may stand once and stand again, the first of them field 9 of the model (byte 8); the last one counts',
    ]);
    expect((await take(of(bytes(3, 'a'), bytes(3, 'a')))).warnings).toEqual([]);
  });

  test.each([
    ['one', of(bytes(3, 'a')), 24],
    ['three', of(bytes(3, 'a'), bytes(9, 'b'), bytes(3, 'c')), 72],
    ['a long one behind a short one', of(bytes(3, 'a'), bytes(3, long)), 48],
    ['two in a message', bytes(6, of(bytes(3, 'a'), bytes(3, 'b'))).bytes, 198],
  ])('take the memory of each: %s', async (_what, file, charged) => {
    await take(file, { indexBytes: file.length + charged });
    await expect(take(file, { indexBytes: file.length + charged - 1 })).rejects.toMatchObject({
      code: 'FEATX_LIMIT_INDEX',
    });
  });

  test('are as long as a name may be, and no longer', async () => {
    const file = of(bytes(3, 'a'), bytes(3, 'abcd'));
    expect((await take(file, { nameBytes: 4 })).said.texts).toEqual(['a', 'abcd']);
    await expect(take(file, { nameBytes: 3 })).rejects.toMatchObject({
      code: 'FEATX_LIMIT_NAME',
      message: 'a name in the model takes 4 bytes, more than 3 (byte 3)',
      hint: expect.stringContaining('limits.nameBytes'),
    });
  });

  test('end with their message', async () => {
    const file = join(
      bytes(6, join(bytes(3, 'ab').bytes, tag(3, WireType.bytes), varint(9))).bytes,
      new Uint8Array(20),
    );
    await expect(take(file)).rejects.toMatchObject({
      code: 'FEATX_WIRE_TRUNCATED',
      message:
        'a.onnx is not a valid ONNX file: a field of 9 bytes does not fit: its message has 0 bytes left in inner[0] (byte 7)',
    });
  });

  test('are read alike wherever a window ends', async () => {
    const parts = [bytes(3, 'first'), bytes(9, 'once'), bytes(3, long), bytes(6, of(bytes(3, 'in'))), bytes(3, 'last')];
    const behind = of(...parts);
    const { said: expected } = await take(behind);
    for (let before = 0; before <= behind.length + 4; before++) {
      const { said } = await take(join(bytes(3, 'x'.repeat(WINDOW - before - 4)).bytes, behind));
      expect({ before, texts: said.texts.slice(1), inner: said.inner }).toEqual({
        before,
        texts: expected.texts,
        inner: expected.inner,
      });
    }
  });
});

test('a run of numbers longer than a window is read to its end, in windows', async () => {
  const payload = new Uint8Array(Buffer.alloc(1_400_000, varint(300)));
  const { said, source } = await read(bytes(6, join(bytes(1, payload).bytes, int(1, 5).bytes)).bytes);
  const { ints } = said.inner[0];
  expect([ints.length, new Set(ints.slice(0, -1)), ints.at(-1)]).toEqual([700_001, new Set([300]), 5]);
  expect(source.reads.length).toBeGreaterThan(2);
  expect(Math.max(...source.reads.map(({ start, end }) => end - start))).toBeLessThanOrEqual(1024 * 1024);
  const cut = bytes(1, payload.subarray(0, payload.length - 1)).bytes;
  await expect(read(cut)).rejects.toMatchObject({
    code: 'FEATX_WIRE_TRUNCATED',
    message: `a.onnx is not a valid ONNX file: a varint is cut off (byte ${cut.length - 1})`,
  });
  await expect(read(bytes(6, cut).bytes)).rejects.toMatchObject({
    message: expect.stringContaining('a varint is cut off in inner[0] (byte '),
    field: 'inner[0]',
  });
});

test('numbers in a run take memory each, long or short', async () => {
  for (const length of [1024 * 1024, 1024 * 1024 + 1]) {
    const { bytes: file } = bytes(1, new Uint8Array(length).fill(1));
    // A long run is not held: what stays is what was read last.
    expect((await read(file)).said.ints).toHaveLength(length);
    await expect(read(file, { indexBytes: 8 * length })).rejects.toMatchObject({ code: 'FEATX_LIMIT_INDEX' });
  }
});

test('a type that says nothing is none, however often it stands', async () => {
  const empty = ['a', 'b', 'c'].map((name) => ({ name, extra: [bytes(2, '')] }));
  await using model = await indexModel(encodeModel({ graph: { valueInfo: [...empty, value('d', [1])] } }));
  expect(model.graph.valueInfo.map(({ type }) => type?.kind ?? null)).toEqual([null, null, null, 'tensor']);
});

describe('what is malformed is said with its place', () => {
  const open = (number: number): Uint8Array => tag(number, WireType.startGroup);
  const close = (number: number): Uint8Array => tag(number, WireType.endGroup);
  const cases: readonly [what: string, file: Uint8Array, error: object][] = [
    [
      'a group that is not closed',
      join(int(1, 1).bytes, open(21)),
      {
        code: 'FEATX_WIRE_GROUP',
        message: 'a.onnx is not a valid ONNX file: group 21 is not closed (byte 2)',
        offset: 2,
        hint: undefined,
        field: undefined,
      },
    ],
    [
      'a group that is closed as another',
      join(open(21), close(22)),
      {
        code: 'FEATX_WIRE_GROUP',
        message: 'a.onnx is not a valid ONNX file: group 22 is closed but not open (byte 2)',
        offset: 2,
      },
    ],
    ['a group that was never opened', close(21), { code: 'FEATX_WIRE_GROUP', offset: 0 }],
    [
      'a group inside a message, still open at its end',
      bytes(6, open(21)).bytes,
      {
        code: 'FEATX_WIRE_GROUP',
        message: 'a.onnx is not a valid ONNX file: group 21 is not closed in inner[0] (byte 2)',
        field: 'inner[0]',
        path: 'a.onnx',
      },
    ],
    [
      'eight bytes that are seven',
      bytes(6, join(tag(23, WireType.fixed64), new Uint8Array(7))).bytes,
      {
        code: 'FEATX_WIRE_TRUNCATED',
        message: 'a.onnx is not a valid ONNX file: field 23 is cut off in inner[0] (byte 2)',
        hint: 'the file may not be whole: fetch or copy it again',
      },
    ],
    [
      'four bytes that are three',
      join(tag(2, WireType.fixed32), new Uint8Array(3)),
      { code: 'FEATX_WIRE_TRUNCATED', message: 'a.onnx is not a valid ONNX file: field 2 is cut off (byte 0)' },
    ],
    [
      'floats that are no multiple of four bytes',
      bytes(2, new Uint8Array(6)).bytes,
      {
        code: 'FEATX_WIRE_TRUNCATED',
        message: 'a.onnx is not a valid ONNX file: a list of floats takes 6 bytes, not a multiple of 4 (byte 0)',
      },
    ],
  ];
  test.each(cases)('%s', async (_what, file, error) => {
    await expect(read(file)).rejects.toMatchObject(error);
  });

  test('in a model without a path too', async () => {
    const source = new BufferSource(tag(21, WireType.endGroup));
    await expect(readMessage(source, rule, nothing(), DEFAULT_LIMITS, () => undefined)).rejects.toMatchObject({
      message: 'the model is not a valid ONNX file: group 21 is closed but not open (byte 0)',
      path: undefined,
    });
  });

  const nested = (depth: number): Uint8Array =>
    Array.from({ length: depth }).reduce<Uint8Array>((inside) => bytes(6, inside).bytes, new Uint8Array());
  const groups = (depth: number): Uint8Array =>
    Array.from({ length: depth }).reduce<Uint8Array>(
      (inside) => group(21, { number: 0, bytes: inside }).bytes,
      new Uint8Array(),
    );

  test('messages and groups inside each other, as deep as is allowed and deeper', async () => {
    for (const file of [nested(5), groups(5), bytes(6, groups(4)).bytes]) await read(file, { depth: 5 });
    const error = (offset: number, where: string): object => ({
      code: 'FEATX_WIRE_DEPTH',
      message: `messages are nested more than 5 deep in ${where} (byte ${offset})`,
      offset,
      path: 'a.onnx',
      hint: expect.stringMatching(/^protobuf readers stop at 100 too; .*limits\.depth/),
    });
    const five = Array.from({ length: 5 }, () => 'inner[0]').join('.');
    await expect(read(nested(6), { depth: 5 })).rejects.toMatchObject(error(10, five));
    await expect(read(groups(6), { depth: 5 })).rejects.toMatchObject(error(10, 'a.onnx'));
    await expect(read(bytes(6, groups(5)).bytes, { depth: 5 })).rejects.toMatchObject(error(10, 'inner[0]'));
    const deep = await read(nested(200), { depth: 150 }).catch((thrown: Error) => thrown);
    expect(deep).toMatchObject({ message: expect.stringMatching(/ in (inner\[0\]\.){22}in \(byte \d+\)$/) });
  });
});

describe('memory is counted', () => {
  const long = 'x'.repeat(300);
  const floats = new Uint8Array(40);
  const cases: readonly [what: string, field: RawField, charged: number][] = [
    ['a number', int(1, 5), 8],
    ['a number that may stand once', int(8, 5), 8],
    ['a run of numbers, by its bytes', bytes(1, join(varint(1), varint(300))), 24],
    ['a float', float(2, 1), 8],
    ['a run of floats', bytes(2, floats), 80],
    ['a name', bytes(3, 'name'), 24],
    ['a name that others will hardly have', bytes(3, long), 324],
    ['a value', bytes(4, 'value'), 24],
    ['a range that is kept', bytes(5, 'abc'), 48],
    ['a range that is skipped', bytes(7, 'abc'), 48],
    ['a message', bytes(6, ''), 150],
    ['what is unknown', bytes(20, 'abc'), 48],
    ['a name of another wire type', int(3, 1), 0],
    ['a range of another wire type', int(7, 1), 0],
    ['floats of another wire type', int(2, 1), 0],
    ['a message of another wire type', int(6, 1), 48],
  ];
  test.each(cases)('%s', async (_what, { bytes: file }, charged) => {
    await read(file, { indexBytes: file.length + charged });
    const error = await read(file, { indexBytes: file.length + charged - 1 }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'FEATX_LIMIT_INDEX' });
  });
});

describe('what stays in memory', () => {
  const KIB = 1024;
  const MIB = 1024 * KIB;
  const filler = bytes(3, 'x'.repeat(100)).bytes;
  const stays = async (number: number, length: number): Promise<boolean> => {
    const file = join(filler, bytes(number, new Uint8Array(length)).bytes, filler);
    const said = nothing();
    const window = await readMessage(new BufferSource(file), rule, said, DEFAULT_LIMITS, () => undefined);
    const end = file.length - filler.length;
    return window.resident({ start: end - length, end }) !== null;
  };
  test.each([
    ['ranges that are skipped, up to 4 KiB where they go beyond the window', 7, 4 * KIB, true],
    ['longer ones are not, if they do', 7, 70 * KIB, false],
    ['ranges that are kept, up to 1 MiB', 5, MIB, true],
    ['longer ones are not', 5, MIB + 1, false],
    ['nor what is unknown', 20, 70 * KIB, false],
  ])('%s', async (_what, number, length, expected) => {
    expect(await stays(number, length)).toBe(expected);
  });
});

test('messages of the same bytes share what they say, unless they may not', async () => {
  const shared = (name: string, shape: (number | string)[]): Uint8Array =>
    encodeModel({ graph: { valueInfo: [value('a', shape), value('b', shape), value(name, [2])] } });
  await using model = await indexModel(shared('c', [1, 'n']));
  const [a, b, c] = model.graph.valueInfo;
  expect(b.type).toBe(a.type);
  expect(c.type).not.toBe(a.type);
  // Longer than what is remembered.
  await using other = await indexModel(shared('c', [1, 'n'.repeat(300)]));
  expect(other.graph.valueInfo[1].type).toEqual(other.graph.valueInfo[0].type);
  expect(other.graph.valueInfo[1].type).not.toBe(other.graph.valueInfo[0].type);
});
