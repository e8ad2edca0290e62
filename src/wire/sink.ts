import { createHash, type Hash } from 'node:crypto';
import { dirname } from 'node:path';
import { FileSource } from './file-source.js';
import { chunksOf, chunksOfRun, fetchBorrowed, pieceSize, runsOf, sizeOf, type Piece } from './pieces.js';
import type { ByteSource } from './source.js';
import type { TargetOptions } from './target.js';
import { TemporaryFile } from './temporary-file.js';

/** How a file is written and put in its place. */
export interface WriteOptions extends TargetOptions {
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
  /** Called with the finished temporary file, which is discarded if this throws. */
  readonly beforeCommit?: (temporaryPath: string) => Promise<void>;
}

/** Patching a clone pays if more than this stays in place. */
const SMALLEST_CLONE = 4 * 1024 * 1024;

/** A file that is written and sealed, and not yet in its place. */
export interface Staged {
  readonly file: TemporaryFile;
  readonly size: number;
  /** Hex digest of the content; null unless `hash` was asked for. */
  readonly sha256: string | null;
}

/** Writes pieces into a temporary file in `directory`, synced to the device. @throws IoError */
export async function stage(
  source: ByteSource,
  pieces: readonly Piece[],
  directory: string,
  options: WriteOptions & { readonly hash?: boolean } = {},
): Promise<Staged> {
  const size = sizeOf(pieces);
  const digest = options.hash ? createHash('sha256') : null;
  const original = digest === null ? cloneable(source, pieces, size) : null;
  let fetched = 0;
  await fetchBorrowed(source, pieces, {
    signal: options.signal,
    onProgress: (bytes) => options.onProgress?.((fetched += bytes), size),
  });
  const file = await TemporaryFile.create(directory, options.fileSystem, original);
  try {
    await writePieces({ file, source, pieces, size, digest, options });
    await file.seal(size);
    await assertSourcesUnchanged(source, pieces);
  } catch (error) {
    await file.discard();
    throw error;
  }
  return { file, size, sha256: digest?.digest('hex') ?? null };
}

/** @throws IoError if the model or one of its sidecars changed while it was copied */
async function assertSourcesUnchanged(source: ByteSource, pieces: readonly Piece[]): Promise<void> {
  const sources = new Set<ByteSource>([source]);
  for (const piece of pieces) if (!(piece instanceof Uint8Array) && piece.from !== undefined) sources.add(piece.from);
  for (const each of sources) await each.assertUnchanged?.();
}

/** A file whose pieces stand mostly where they stood in `source` is cheaper to clone and patch than to stream. */
function cloneable(source: ByteSource, pieces: readonly Piece[], total: number): FileSource | null {
  if (!(source instanceof FileSource)) return null;
  let at = 0;
  let inPlace = 0;
  for (const piece of pieces) {
    if (isInOrder(piece, at)) inPlace += pieceSize(piece);
    at += pieceSize(piece);
  }
  return inPlace > SMALLEST_CLONE && inPlace > 0.9 * total && inPlace > 0.9 * source.size ? source : null;
}

interface Writing extends Pick<Staged, 'file' | 'size'> {
  readonly source: ByteSource;
  readonly pieces: readonly Piece[];
  readonly digest: Hash | null;
  readonly options: WriteOptions;
}

async function writePieces({ file, source, pieces, size, digest, options }: Writing): Promise<void> {
  let at = 0;
  const copy = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) {
      options.signal?.throwIfAborted();
      digest?.update(chunk);
      await file.write(chunk, at);
      at += chunk.length;
      options.onProgress?.(at, size);
    }
  };
  if (!file.isClone) {
    for (const run of runsOf(pieces)) await copy(chunksOfRun(run, source));
    return;
  }
  for (const piece of pieces) {
    if (isInOrder(piece, at)) at += pieceSize(piece);
    else await copy(chunksOf(piece, source));
  }
}

/** Whether a piece stands in the result where it stood in the source. */
function isInOrder(piece: Piece, at: number): boolean {
  return !(piece instanceof Uint8Array) && piece.from === undefined && piece.start === at;
}

/** Writes pieces to `target`, whole or not at all; returns the number of bytes. @throws IoError */
export async function writeFile(
  source: ByteSource,
  pieces: readonly Piece[],
  target: string,
  options: WriteOptions = {},
): Promise<number> {
  const staged = await stage(source, pieces, dirname(target), options);
  try {
    await options.beforeCommit?.(staged.file.path);
    await assertSourcesUnchanged(source, pieces);
    options.signal?.throwIfAborted();
  } catch (error) {
    await staged.file.discard();
    throw error;
  }
  await staged.file.commit(target);
  return staged.size;
}
