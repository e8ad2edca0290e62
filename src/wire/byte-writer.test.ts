import * as fc from 'fast-check';
import { bytes, join, varint } from '../testing/wire-writer.js';
import { ByteWriter } from './byte-writer.js';

test('varints of any safe integer', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat()), (values) => {
      const writer = new ByteWriter();
      for (const value of values) writer.varint(value);
      expect([...writer.written]).toEqual([...join(...values.map((value) => varint(value)))]);
    }),
  );
});

test('fields and raw bytes, short and long, past the first buffer', () => {
  const writer = new ByteWriter();
  const parts: Uint8Array[] = [];
  for (const size of [0, 1, 24, 25, 70_000, 3, 200_000]) {
    const content = new Uint8Array(size).fill(size & 255);
    writer.field(9, content);
    writer.raw(content);
    parts.push(bytes(9, content).bytes, content);
  }
  expect(Buffer.compare(writer.written, join(...parts))).toBe(0);
  expect(writer.length).toBe(parts.reduce((sum, { length }) => sum + length, 0));
});
