import type { ByteRange } from './fields.js';
import type { ByteSource, FetchOptions } from './source.js';

/** Bytes of a result: borrowed from a source (`from` absent: the model file itself) or fresh. */
export type Piece = BorrowedPiece | Uint8Array;

/** Bytes of a file that is being copied from. */
export interface BorrowedPiece extends ByteRange {
  /** Another file than the model: a sidecar of its weights. */
  readonly from?: ByteSource;
}

/** How many bytes a piece has. */
export function pieceSize(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.end - piece.start;
}

/** How many bytes the pieces have together. */
export function sizeOf(pieces: Iterable<Piece>): number {
  let size = 0;
  for (const piece of pieces) size += pieceSize(piece);
  return size;
}

/** Drops empty pieces, joins borrowed neighbours and small fresh ones. */
export function coalesced(pieces: Iterable<Piece>): Piece[] {
  const merged: Piece[] = [];
  let fresh: Uint8Array[] = [];
  const flush = (): void => {
    if (fresh.length > 0) merged.push(fresh.length === 1 ? fresh[0] : concat(fresh));
    fresh = [];
  };
  for (const piece of pieces) {
    if (pieceSize(piece) === 0) continue;
    if (piece instanceof Uint8Array) {
      fresh.push(piece);
      continue;
    }
    flush();
    const last = merged.at(-1);
    if (last !== undefined && !(last instanceof Uint8Array) && last.end === piece.start && last.from === piece.from)
      merged[merged.length - 1] = { ...last, end: piece.end };
    else merged.push(piece);
  }
  flush();
  return merged;
}

/** The parts one after another, in bytes of their own. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const part of parts) size += part.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Brings near what pieces borrow of sources that are far away. @throws IoError */
export async function fetchBorrowed(
  source: ByteSource,
  pieces: Iterable<Piece>,
  options: FetchOptions = {},
): Promise<void> {
  const wanted = new Map<ByteSource, ByteRange[]>();
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) continue;
    const from = piece.from ?? source;
    if (from.fetch === undefined) continue;
    const ranges = wanted.get(from);
    if (ranges === undefined) wanted.set(from, [piece]);
    else ranges.push(piece);
  }
  for (const [from, ranges] of wanted) await from.fetch?.(ranges, options);
}

/** The bytes of pieces, in memory: for small results and tests. */
export async function materialize(source: ByteSource, pieces: readonly Piece[]): Promise<Uint8Array> {
  await fetchBorrowed(source, pieces);
  const whole = new Uint8Array(sizeOf(pieces));
  let at = 0;
  for (const run of runsOf(pieces))
    for await (const chunk of chunksOfRun(run, source)) {
      whole.set(chunk, at);
      at += chunk.length;
    }
  return whole;
}

const COPY_BUFFER = 1024 * 1024;

/**
 * The bytes of a piece, the next chunk read while the last is written. A chunk holds good until the next one is asked
 * for: its buffer is used again.
 */
export async function* chunksOf(piece: Piece, source: ByteSource): AsyncGenerator<Uint8Array> {
  if (piece instanceof Uint8Array) {
    for (let start = 0; start < piece.length; start += COPY_BUFFER) yield piece.subarray(start, start + COPY_BUFFER);
    return;
  }
  const from = piece.from ?? source;
  const buffers: Uint8Array[] = [];
  const readAt = (start: number): Promise<Uint8Array> | null => {
    if (start >= piece.end) return null;
    const end = Math.min(piece.end, start + COPY_BUFFER);
    if (from.readInto === undefined) return from.read(start, end);
    // Two take turns: one is written while the other is read.
    const buffer = buffers.length < 2 ? new Uint8Array(end - start) : buffers[0];
    if (buffers.length === 2) buffers.reverse();
    else buffers.push(buffer);
    const chunk = buffer.subarray(0, end - start);
    return from.readInto(chunk, start).then(() => chunk);
  };
  let next = readAt(piece.start);
  for (let start = piece.start; next !== null; start += COPY_BUFFER) {
    const chunk = await next;
    next = readAt(start + COPY_BUFFER);
    // A chunk that fails while its predecessor is being written must not become an unhandled rejection.
    next?.catch(() => undefined);
    yield chunk;
  }
}

/** Pieces up to this size are gathered: a call of the file system for each would take longer than they do. */
const SMALL_PIECE = 32 * 1024;
/** Bytes between borrowed neighbours that are read and left out rather than sought over. */
const LARGEST_GAP = 4 * 1024;

/** Pieces as they are best copied: large ones alone, small ones in runs that one read and one write cover. */
export function* runsOf(pieces: Iterable<Piece>): Generator<readonly Piece[]> {
  let run: Piece[] = [];
  let size = 0;
  let first: BorrowedPiece | null = null;
  let last: BorrowedPiece | null = null;
  for (const piece of pieces) {
    const length = pieceSize(piece);
    const borrowed = piece instanceof Uint8Array ? null : piece;
    const isNear =
      borrowed === null ||
      first === null ||
      last === null ||
      (borrowed.from === last.from &&
        borrowed.start >= last.end &&
        borrowed.start - last.end <= LARGEST_GAP &&
        borrowed.end - first.start <= COPY_BUFFER);
    if (run.length > 0 && (length > SMALL_PIECE || !isNear || size + length > COPY_BUFFER)) {
      yield run;
      [run, size, first, last] = [[], 0, null, null];
    }
    if (length > SMALL_PIECE) {
      yield [piece];
      continue;
    }
    run.push(piece);
    size += length;
    if (borrowed !== null) {
      first ??= borrowed;
      last = borrowed;
    }
  }
  if (run.length > 0) yield run;
}

/** The bytes of a run of `runsOf`; each chunk holds good until the next one is asked for. */
export async function* chunksOfRun(run: readonly Piece[], source: ByteSource): AsyncGenerator<Uint8Array> {
  if (run.length === 1) {
    yield* chunksOf(run[0], source);
    return;
  }
  const borrowed = run.filter((piece): piece is BorrowedPiece => !(piece instanceof Uint8Array));
  const start = borrowed.at(0)?.start ?? 0;
  const around =
    borrowed.length === 0
      ? new Uint8Array(0)
      : await (borrowed[0].from ?? source).read(start, borrowed[borrowed.length - 1].end);
  yield concat(
    run.map((piece) => (piece instanceof Uint8Array ? piece : around.subarray(piece.start - start, piece.end - start))),
  );
}
