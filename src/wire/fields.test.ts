import * as fc from 'fast-check';
import { ModelFormatError } from '../errors.js';
import { varint } from '../testing/wire-writer.js';
import { Cursor } from './fields.js';

function cursorOver(bytes: Uint8Array, base = 0): Cursor {
  const cursor = new Cursor();
  cursor.bytes = bytes;
  cursor.base = base;
  cursor.position = base;
  return cursor;
}

function readInt64(bytes: Uint8Array): number | bigint {
  const cursor = cursorOver(bytes);
  cursor.varint64(bytes.length);
  expect(cursor.position).toBe(bytes.length);
  return cursor.int64();
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ModelFormatError);
    return (error as ModelFormatError).code;
  }
  throw new Error('it should have failed');
}

describe('varints', () => {
  test('every int64 is exact: a number where that is safe, else a bigint', () => {
    const edges = [
      0n,
      1n,
      127n,
      128n,
      2n ** 31n,
      2n ** 32n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
    ].flatMap((value) => [value, -value]);
    const check = (value: bigint): void => {
      const read = readInt64(varint(value));
      expect(BigInt(read)).toBe(value);
      expect(typeof read).toBe(
        value >= -BigInt(Number.MAX_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? 'number' : 'bigint',
      );
    };
    [...edges, -(2n ** 63n)].forEach(check);
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), check));
  });

  test('needless bytes change nothing, up to 10', () => {
    for (let length = 1; length <= 10; length++) expect(readInt64(varint(5, length))).toBe(5);
  });

  test('an eleventh byte, and a tenth above 1, are refused with their offset', () => {
    expect(codeOf(() => readInt64(varint(5, 11)))).toBe('FEATX_WIRE_VARINT');
    expect(codeOf(() => readInt64(Uint8Array.of(...Array.from({ length: 9 }, () => 0x80), 2)))).toBe(
      'FEATX_WIRE_VARINT',
    );
    expect(() => cursorOver(varint(5, 11), 1000).varint64(1011)).toThrow(expect.objectContaining({ offset: 1000 }));
  });

  test('messages say what is wrong and at which byte', () => {
    const message = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return (error as Error).message;
      }
      throw new Error('it should have failed');
    };
    expect(message(() => cursorOver(varint(300).subarray(0, 1), 7).varint64(8))).toBe('a varint is cut off (byte 7)');
    expect(message(() => cursorOver(varint(5, 11), 7).varint64(18))).toBe('a varint is longer than 64 bits (byte 7)');
    expect(message(() => cursorOver(varint(2n ** 32n + 8n), 7).tag(20))).toBe(
      'a field tag is longer than 32 bits (byte 7)',
    );
    expect(message(() => cursorOver(varint(2), 7).tag(8))).toBe('field number 0 is not allowed (byte 7)');
    expect(message(() => cursorOver(varint(8 + 7), 7).tag(8))).toBe('wire type 7 does not exist (0 to 5 do) (byte 7)');
    expect(message(() => cursorOver(varint(3, 6), 7).length(20))).toBe('a length takes more than 5 bytes (byte 7)');
    expect(message(() => cursorOver(varint(10), 7).length(12))).toBe(
      'a field of 10 bytes does not fit: its message has 4 bytes left (byte 7)',
    );
  });

  test('nothing is read behind the limit, wherever the window begins', () => {
    for (const base of [0, 1, 1000, 2 ** 33]) {
      for (let cut = 0; cut < 3; cut++)
        expect(codeOf(() => cursorOver(varint(70_000), base).varint64(base + cut))).toBe('FEATX_WIRE_TRUNCATED');
      const cursor = cursorOver(varint(70_000), base);
      cursor.varint64(base + 3);
      expect([cursor.low, cursor.position]).toEqual([70_000, base + 3]);
    }
  });

  test('int32 keeps the low 32 bits', () => {
    const cursor = cursorOver(varint(-2));
    cursor.varint64(10);
    expect(cursor.int32()).toBe(-2);
  });

  test('a varint that is cut off is refused wherever the cut is', () => {
    const bytes = varint(2n ** 62n);
    for (let cut = 0; cut < bytes.length; cut++)
      expect(codeOf(() => cursorOver(bytes).varint64(cut))).toBe('FEATX_WIRE_TRUNCATED');
  });

  test('reading starts at the base of the window', () => {
    const cursor = cursorOver(varint(300), 2 ** 33);
    cursor.varint64(2 ** 33 + 2);
    expect(cursor.low).toBe(300);
    expect(cursor.position).toBe(2 ** 33 + 2);
  });
});

describe('tags', () => {
  test('number and wire type', () => {
    for (const base of [0, 2 ** 33]) {
      for (const [number, wireType] of [
        [1, 0],
        [15, 2],
        [16, 5],
        [2 ** 29 - 1, 3],
      ])
        expect(cursorOver(varint(number * 8 + wireType), base).tag(base + 5)).toBe((number * 8 + wireType) >>> 0);
      expect(cursorOver(varint(8, 5), base).tag(base + 5)).toBe(8);
    }
  });

  test.each([
    ['field number 0', varint(2)],
    ['wire type 6', varint(8 + 6)],
    ['wire type 7', varint(8 + 7)],
    ['more than 32 bits', varint(2n ** 32n + 8n)],
    ['six bytes', varint(8, 6)],
  ])('%s is refused', (_what, bytes) => {
    expect(codeOf(() => cursorOver(bytes).tag(bytes.length))).toBe('FEATX_WIRE_TAG');
  });
});

describe('lengths', () => {
  test('must fit into what is left of their message', () => {
    expect(cursorOver(varint(9)).length(10)).toBe(9);
    expect(codeOf(() => cursorOver(varint(10)).length(10))).toBe('FEATX_WIRE_TRUNCATED');
  });

  test.each([2n ** 31n - 1n, 2n ** 32n - 1n, 2n ** 34n])(
    '%s in a short message is refused without a buffer for it',
    (length) => {
      expect(codeOf(() => cursorOver(varint(length)).length(100))).toBe('FEATX_WIRE_TRUNCATED');
    },
  );

  test('over 2^31 is fine where the file is that long', () => {
    expect(cursorOver(varint(2n ** 33n)).length(2 ** 34)).toBe(2 ** 33);
    expect(cursorOver(varint(2n ** 33n + 5n)).length(2 ** 34)).toBe(2 ** 33 + 5);
    expect(cursorOver(varint(2n ** 32n - 1n), 2 ** 33).length(2 ** 34)).toBe(2 ** 32 - 1);
  });

  test.each([-1n, 2n ** 62n])('%s takes too many bytes', (length) => {
    expect(codeOf(() => cursorOver(varint(length)).length(2 ** 52))).toBe('FEATX_WIRE_LENGTH');
  });

  test('five bytes for a small length are accepted, six are not', () => {
    expect(cursorOver(varint(3, 5)).length(100)).toBe(3);
    expect(codeOf(() => cursorOver(varint(3, 6)).length(100))).toBe('FEATX_WIRE_LENGTH');
  });
});
