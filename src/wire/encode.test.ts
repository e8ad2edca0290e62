import * as fc from 'fast-check';
import { bytes as field, varint } from '../testing/wire-writer.js';
import { bytes, header, int, message, text, wrap } from './encode.js';
import { concat } from './pieces.js';

test('integers are the varints of protobuf, negative ones in ten bytes', () => {
  fc.assert(
    fc.property(fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }), (value) =>
      expect([...int(message(), 3, value).finish()]).toEqual([24, ...varint(BigInt.asUintN(64, BigInt(value)))]),
    ),
  );
});

test('a header says the length of what follows, whatever its size, and every field number', () => {
  for (const size of [0, 1, 127, 128, 300, 2 ** 31, 2 ** 40])
    expect([...header(message(), 7, size).finish()]).toEqual([0x3a, ...varint(size)]);
  expect([...header(message(), 2 ** 29 - 1, 0).finish()]).toEqual([...varint((2 ** 29 - 1) * 8 + 2), 0]);
});

test('bytes, text and wrapped pieces are the same field', () => {
  const expected = field(9, new TextEncoder().encode('café')).bytes;
  const content = new TextEncoder().encode('café');
  expect(bytes(message(), 9, content).finish()).toEqual(expected);
  expect(text(message(), 9, 'café').finish()).toEqual(expected);
  expect(concat(wrap(9, [content.subarray(0, 2), content.subarray(2)]) as Uint8Array[])).toEqual(expected);
});

test('a name that is not UTF-8 comes back byte for byte', () => {
  expect([...text(message(), 1, '\udcff').finish()]).toEqual([0x0a, 1, 0xff]);
});
