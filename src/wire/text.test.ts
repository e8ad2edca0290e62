import * as fc from 'fast-check';
import { decodeText, encodeText, isEscaped, printable } from './text.js';

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

test('foreign text cannot steer a terminal', () => {
  expect(printable('a\u001b]0;x\u0007\nb\u202e')).toBe('a\\x1b]0;x\\x07\nb\\x202e');
});
