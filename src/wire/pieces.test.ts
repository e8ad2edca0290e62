import * as fc from 'fast-check';
import { CountingSource, SparseSource } from '../testing/counting-source.js';
import { wrap } from './encode.js';
import {
  chunksOf,
  chunksOfRun,
  coalesced,
  concat,
  materialize,
  pieceSize,
  runsOf,
  sizeOf,
  type Piece,
} from './pieces.js';
import { BufferSource } from './source.js';

const file = Uint8Array.from({ length: 64 }, (_, index) => index);
const source = new BufferSource(file);
const other = new BufferSource(file.map((byte) => 255 - byte));

const borrowed = fc
  .tuple(fc.nat(64), fc.nat(64), fc.boolean())
  .map(
    ([a, b, isOther]): Piece => ({ start: Math.min(a, b), end: Math.max(a, b), ...(isOther ? { from: other } : {}) }),
  );
const pieces = fc.array(fc.oneof(borrowed, fc.uint8Array({ maxLength: 5 })), { maxLength: 12 });

test('merging changes how bytes are listed, never the bytes', async () => {
  await fc.assert(
    fc.asyncProperty(pieces, async (list) => {
      const merged = coalesced(list);
      expect([...(await materialize(source, merged))]).toEqual([...(await materialize(source, list))]);
      expect(sizeOf(merged)).toBe(sizeOf(list));
      expect(merged.every((piece) => pieceSize(piece) > 0)).toBe(true);
    }),
  );
});

test('neighbours of one file become one range; of two files they do not', () => {
  expect(
    coalesced([
      { start: 0, end: 4 },
      { start: 4, end: 9 },
      { start: 10, end: 11 },
    ]),
  ).toEqual([
    { start: 0, end: 9 },
    { start: 10, end: 11 },
  ]);
  expect(
    coalesced([
      { start: 0, end: 4 },
      { start: 4, end: 9, from: other },
    ]),
  ).toHaveLength(2);
});

test('fresh neighbours become one piece, also across an empty range', () => {
  expect(coalesced([Uint8Array.of(1), { start: 5, end: 5 }, Uint8Array.of(2, 3), new Uint8Array(0)])).toEqual([
    Uint8Array.of(1, 2, 3),
  ]);
  expect(coalesced([])).toEqual([]);
});

test('merging leaves its input alone', () => {
  const first = { start: 0, end: 4 };
  coalesced([first, { start: 4, end: 9 }]);
  expect(first).toEqual({ start: 0, end: 4 });
});

test('wrap puts the tag and the length of all pieces in front', async () => {
  const content = [Uint8Array.of(9), { start: 1, end: 200 }];
  const big = new BufferSource(new Uint8Array(200));
  const bytes = await materialize(big, wrap(7, content));
  expect([...bytes.subarray(0, 4)]).toEqual([0x3a, 200, 1, 9]);
  expect(bytes).toHaveLength(203);
});

test('concat', () => {
  expect(concat([])).toEqual(new Uint8Array(0));
  expect(concat([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2)])).toEqual(Uint8Array.of(1, 2));
});

describe('chunksOf', () => {
  const gather = async (piece: Piece): Promise<Uint8Array[]> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(piece, long)) chunks.push(chunk);
    return chunks;
  };
  const long = new BufferSource(Uint8Array.from({ length: 9 * 1024 * 1024 }, (_, index) => index % 251));

  test('gives a fresh piece as it is, and a borrowed one in chunks of 1 MiB', async () => {
    const fresh = Uint8Array.of(1, 2);
    expect(await gather(fresh)).toEqual([fresh]);
    const chunks = await gather({ start: 1, end: long.size });
    expect(chunks.map(({ length }) => length)).toEqual([...Array<number>(8).fill(1024 * 1024), 1024 * 1024 - 1]);
    expect(Buffer.compare(concat(chunks), await long.read(1, long.size))).toBe(0);
    expect(await gather({ start: 5, end: 5 })).toEqual([]);
    expect(await gather({ start: 0, end: 3, from: other })).toEqual([Uint8Array.of(255, 254, 253)]);
  });

  test('a chunk that fails ahead of time fails when it is its turn', async () => {
    const failing = {
      size: long.size,
      read: (start: number, end: number) => (start > 0 ? Promise.reject(new Error('gone')) : long.read(start, end)),
    };
    const chunks = chunksOf({ start: 0, end: long.size }, failing);
    expect((await chunks.next()).done).toBe(false);
    await expect(chunks.next()).rejects.toThrow('gone');
  });
});

describe('runs of pieces', () => {
  const copied = async (list: readonly Piece[], from: BufferSource | CountingSource): Promise<Uint8Array[]> => {
    const chunks: Uint8Array[] = [];
    for (const run of runsOf(list)) for await (const chunk of chunksOfRun(run, from)) chunks.push(chunk.slice());
    return chunks;
  };

  test('are the bytes of the pieces, in any order and of any files', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, async (list) =>
        expect([...concat(await copied(list, source))]).toEqual([...(await materialize(source, list))]),
      ),
    );
  });

  test('take one read and one write for thousands of small pieces, and leave out what lies between', async () => {
    const sparse = new CountingSource(new SparseSource(100_000_000, []));
    const small = Array.from({ length: 4000 }, (_, index): Piece[] => [
      { start: index * 200, end: index * 200 + 20 },
      Uint8Array.of(index % 256),
    ]).flat();
    const chunks = await copied(
      [...small, { start: 50_000_000, end: 50_100_000 }, { start: 90_000_000, end: 90_000_005 }],
      sparse,
    );
    expect(chunks.map(({ length }) => length)).toEqual([84_000, 100_000, 5]);
    expect(sparse.reads).toEqual([
      { start: 0, end: 799_820 },
      { start: 50_000_000, end: 50_100_000 },
      { start: 90_000_000, end: 90_000_005 },
    ]);
  });
});
