import * as fc from 'fast-check';
import { decodeText, encodeText, isEscaped, NameDecoder, printable } from './text.js';

/** Bytes that are likely to be nearly UTF-8. */
const nearlyText = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          0x61,
          0xc3,
          0xa9,
          0xe2,
          0x82,
          0xac,
          0xed,
          0xa0,
          0x80,
          0xf0,
          0x9f,
          0x98,
          0x80,
          0xf4,
          0x90,
          0xc0,
          0xc1,
          0xff,
          0x00,
          0xef,
          0xbb,
          0xbf,
        ),
        fc.nat(255),
      ),
      { maxLength: 24 },
    )
    .map((bytes) => Uint8Array.from(bytes)),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
);

test('any bytes come back exactly', () => {
  fc.assert(
    fc.property(nearlyText, (bytes) => expect([...encodeText(decodeText(bytes))]).toEqual([...bytes])),
    { numRuns: 500 },
  );
});

test('equal strings are equal bytes', () => {
  fc.assert(
    fc.property(nearlyText, nearlyText, (a, b) =>
      expect(decodeText(a) === decodeText(b)).toBe(Buffer.compare(a, b) === 0),
    ),
    { numRuns: 500 },
  );
});

test.each([
  ['ASCII', [0x61, 0x62], 'ab'],
  ['UTF-8', [0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80], 'é€😀'],
  ['a byte order mark is part of the name', [0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
  ['a lone byte', [0x61, 0xff], 'a\udcff'],
  ['an overlong encoding', [0xc0, 0x80], '\udcc0\udc80'],
  ['a surrogate', [0xed, 0xb2, 0x80], '\udced\udcb2\udc80'],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],
  ['an overlong four-byte sequence', [0xf0, 0x80, 0x80, 0x80], '\udcf0\udc80\udc80\udc80'],
  ['a sequence that is cut off', [0xe2, 0x82], '\udce2\udc82'],
  ['a bad third byte', [0xe2, 0x82, 0x41, 0xc3, 0xa9], '\udce2\udc82Aé'],
  ['an escaped byte beside characters of four bytes', [0xf0, 0x9f, 0x98, 0x80, 0x80], '😀\udc80'],
])('%s', (_what, bytes, text) => {
  expect(decodeText(Uint8Array.from(bytes))).toBe(text);
  expect([...encodeText(text)]).toEqual(bytes);
});

test('decodes a part of the bytes', () => {
  expect(decodeText(Uint8Array.of(0xff, 0x61, 0x62, 0xff), 1, 3)).toBe('ab');
  expect(decodeText(new Uint8Array(0))).toBe('');
});

test('isEscaped tells bytes that are not UTF-8 from characters that look like it in UTF-16', () => {
  expect(isEscaped('plain 😀 \u{1f480}')).toBe(false);
  expect(isEscaped(decodeText(Uint8Array.of(0x61, 0x80)))).toBe(true);
});

describe('NameDecoder', () => {
  test('says the same as decodeText, whatever it decoded before', () => {
    const names = new NameDecoder();
    fc.assert(
      fc.property(nearlyText, (bytes) => expect(names.decode(bytes, 0, bytes.length)).toBe(decodeText(bytes))),
      { numRuns: 500 },
    );
  });

  test('says the same where there is no Buffer, as in a browser', () => {
    const { Buffer: own } = globalThis;
    const bytes = new TextEncoder().encode('layer1/Relu é layer1/Relu');
    try {
      Object.assign(globalThis, { Buffer: undefined });
      const names = new NameDecoder();
      for (const [start, end] of [
        [0, 11],
        [12, 14],
        [15, 26],
        [0, 26],
      ])
        expect(names.decode(bytes, start, end)).toBe(new TextDecoder().decode(bytes.subarray(start, end)));
    } finally {
      Object.assign(globalThis, { Buffer: own });
    }
  });

  test('names of one hash slot, of the same length, and long names are kept apart', () => {
    const names = new NameDecoder();
    // 31 * a + b collides for these pairs.
    for (const text of [
      'Aa',
      'BB',
      'Aa',
      'AaBB',
      'BBAa',
      'x'.repeat(256),
      'x'.repeat(257),
      'y'.repeat(257),
      '',
      'é',
      'Ã©',
    ]) {
      const bytes = new TextEncoder().encode(`..${text}..`);
      expect(names.decode(bytes, 2, bytes.length - 2)).toBe(text);
    }
  });

  test('the same bytes are the same name wherever they come, and names made to collide are told apart', () => {
    const names = new NameDecoder();
    const decode = (text: string): string => names.decode(new TextEncoder().encode(text), 0, text.length);
    // 1,024 names with one hash, and as many others, twice.
    const spelled = Array.from({ length: 1_024 }, (_, bits) =>
      Array.from({ length: 10 }, (_pair, at) => ((bits >> at) & 1 ? 'Aa' : 'BB')).join(''),
    );
    for (const text of [...spelled, ...spelled.map((name, at) => `${name}.${at}`)]) expect(decode(text)).toBe(text);
    for (const text of spelled) expect(decode(text)).toBe(text);
  });
});

test('foreign text cannot steer a terminal', () => {
  expect(printable('a\u001b]0;x\u0007\nb\u202e')).toBe('a\\x1b]0;x\\x07\nb\\x202e');
});
