import { option } from '../options/words.js';
import { constants } from 'node:fs';
import { createHash, randomBytes, type Hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { FeatxError, IoError, UsageError } from '../errors.js';
import { FileSource } from './file-source.js';
import {
  errnoOf,
  ioError,
  nodeFileSystem,
  openAfresh,
  orNothing,
  removeNow,
  type FileHandle,
  type FileSystem,
} from './fs.js';
import { chunksOf, chunksOfRun, pieceSize, runsOf, sizeOf, type Piece } from './pieces.js';
import type { ByteSource } from './source.js';
import { isGone, thisWriter } from './writers.js';

/** How a file is written and put in its place. */
export interface WriteOptions {
  readonly fileSystem?: FileSystem;
  /** Refuse to replace an existing file. */
  readonly noClobber?: boolean;
  /** Where the target is a symbolic link, replace what it points to. */
  readonly follow?: boolean;
  /** Allow the target to be one of the files that are read. */
  readonly inPlace?: boolean;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
  /** Called with the finished temporary file; it is discarded where this throws. */
  readonly beforeCommit?: (temporaryPath: string) => Promise<void>;
}

/** Patching a clone pays where more than this stays in place. */
const SMALLEST_CLONE = 4 * 1024 * 1024;
const TEMPORARY = /^\.featx-([0-9a-f]{8})-(\d+)-[0-9a-f]+\.tmp$/;
const STALE_MS = 3_600_000;
/** Windows answers these while a virus scanner or another reader holds the target. */
const RENAME_LATER = new Set(['EPERM', 'EACCES', 'EBUSY']);
const RENAME_RETRIES = 4;
const RENAME_RETRY_MS = 250;

/** A file that appears whole or not at all: written beside its target, synced, then renamed over it. */
export interface StagedFile {
  readonly temporaryPath: string;
  readonly size: number;
  /** Hex digest of the content; only where `hash` was asked for. */
  readonly sha256: string | null;
  /** Puts it in the place of `target`. @throws IoError, `NOT_DURABLE` where the file is in its place all the same */
  commit(target: string): Promise<FileIdentity>;
  /**
   * Removes it. One that cannot be removed is left to the next run, which tidies up: what made this necessary is the
   * failure to report.
   */
  discard(): Promise<void>;
}

/** Which file stands under a name. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * Code of the error of a file that is whole and in its place, but could not be made to stay there through a loss of
 * power.
 */
const NOT_DURABLE = 'FEATX_IO_NOT_DURABLE';

/**
 * Checks a target before any long work and returns the path that will really be replaced.
 * @throws UsageError for links, non-files and targets that are also inputs; IoError for a missing directory or
 * `noClobber`
 */
export async function resolveTarget(
  target: string,
  inputs: readonly string[],
  options: WriteOptions = {},
): Promise<string> {
  const fs = options.fileSystem ?? nodeFileSystem;
  const existing = await lstatOrNull(fs, target);
  if (existing?.isSymbolicLink()) {
    if (!options.follow)
      throw new UsageError(`${target} is a symbolic link`, {
        code: 'FEATX_USAGE_LINK',
        path: target,
        hint: `name the file itself, or pass ${option('follow', true)} to replace what the link points to`,
      });
    const real = await fs.realpath(target).catch((error: unknown) => {
      throw ioError(error, 'follow the link', target);
    });
    return resolveTarget(real, inputs, options);
  }
  if (existing !== null && !existing.isFile())
    throw new UsageError(`${target} is ${existing.isDirectory() ? 'a directory' : 'not a regular file'}`, {
      code: 'FEATX_USAGE_OUTPUT',
      path: target,
      hint: 'name a file as the output',
    });
  if (existing !== null && options.noClobber)
    throw new IoError(`${target} exists`, {
      code: 'FEATX_IO_EXISTS',
      path: target,
      hint: `leave out ${option('noClobber', true)} to replace it`,
    });
  const directory = dirname(target);
  try {
    if (!(await fs.stat(directory)).isDirectory())
      throw new IoError(`${directory} is not a directory`, { path: directory });
  } catch (error) {
    throw error instanceof IoError ? error : ioError(error, 'write into', directory);
  }
  if (existing !== null && !options.inPlace) {
    for (const input of inputs) {
      const state = await orNothing(fs.stat(input), input);
      if (state !== null && state.dev === existing.dev && state.ino === existing.ino) {
        throw new UsageError(`the output ${target} is also an input (${input})`, {
          code: 'FEATX_USAGE_SAME_FILE',
          path: target,
          hint:
            options.inPlace === false
              ? 'choose another output: the result still needs that file'
              : `choose another output, or pass ${option('inPlace', true)} to replace the input`,
        });
      }
    }
  }
  return target;
}

async function lstatOrNull(fs: FileSystem, path: string): Promise<Awaited<ReturnType<FileSystem['lstat']>> | null> {
  try {
    return await fs.lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw ioError(error, 'look at', path);
  }
}

/** Writes pieces into a temporary file in `directory`, synced to the device. */
export async function stage(
  source: ByteSource,
  pieces: readonly Piece[],
  directory: string,
  options: WriteOptions & { readonly hash?: boolean } = {},
): Promise<StagedFile> {
  const fs = options.fileSystem ?? nodeFileSystem;
  await removeStale(fs, directory);
  const temporaryPath = temporaryName(directory);
  const discard = (): Promise<void> => remove(fs, temporaryPath).catch(() => undefined);
  const total = sizeOf(pieces);
  const digest = options.hash ? createHash('sha256') : null;
  try {
    const handle = await createTemporary(fs, temporaryPath, digest === null ? cloneable(source, pieces, total) : null);
    try {
      await writePieces({ handle, source, pieces, total, digest, options, path: temporaryPath });
      await handle.file.sync();
    } catch (error) {
      await handle.file.close().catch(() => undefined);
      throw error;
    }
    await handle.file.close();
    await assertSourcesUnchanged(source, pieces);
  } catch (error) {
    await discard();
    throw error instanceof FeatxError || errnoOf(error) === undefined ? error : ioError(error, 'write', temporaryPath);
  }
  return {
    temporaryPath,
    size: total,
    sha256: digest?.digest('hex') ?? null,
    commit: (target) => commit(fs, temporaryPath, target),
    discard,
  };
}

/** Removes a file that may be gone already. @throws IoError */
export async function remove(fs: FileSystem, path: string): Promise<void> {
  await fs.unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw ioError(error, 'remove', path);
  });
  unfinished.delete(path);
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
    if (!(piece instanceof Uint8Array) && piece.from === undefined && piece.start === at)
      inPlace += piece.end - piece.start;
    at += pieceSize(piece);
  }
  return inPlace > SMALLEST_CLONE && inPlace > 0.9 * total && inPlace > 0.9 * source.size ? source : null;
}

interface Temporary {
  readonly file: FileHandle;
  readonly cloned: boolean;
}

/** Windows has no O_NOFOLLOW; what is undefined sets no bit. */
async function createTemporary(fs: FileSystem, path: string, cloneOf: FileSource | null): Promise<Temporary> {
  if (cloneOf !== null) {
    const clone = await openClone(fs, path, cloneOf);
    if (clone !== null) return { file: clone, cloned: true };
    await remove(fs, path);
    unfinished.add(path);
  }
  return {
    file: await openAfresh(
      fs,
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o666,
    ),
    cloned: false,
  };
}

/**
 * A writable clone; null if the path of the source now names another file, or the clone is as read-only as its
 * original.
 */
async function openClone(
  fs: FileSystem,
  path: string,
  { path: original, state }: FileSource,
): Promise<FileHandle | null> {
  await fs.clone(original, path);
  const now = await fs.stat(original);
  if (now.dev !== state.dev || now.ino !== state.ino) return null;
  return fs.open(path, constants.O_RDWR | constants.O_NOFOLLOW).catch((error: unknown) => {
    if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM') return null;
    throw error;
  });
}

interface Writing {
  readonly handle: Temporary;
  readonly source: ByteSource;
  readonly pieces: readonly Piece[];
  readonly total: number;
  readonly digest: Hash | null;
  readonly options: WriteOptions;
  readonly path: string;
}

async function writePieces({
  handle: { file, cloned },
  source,
  pieces,
  total,
  digest,
  options,
  path,
}: Writing): Promise<void> {
  let at = 0;
  const copy = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) {
      options.signal?.throwIfAborted();
      digest?.update(chunk);
      await writeFully(file, chunk, at, path);
      at += chunk.length;
      options.onProgress?.(at, total);
    }
  };
  if (!cloned) {
    for (const run of runsOf(pieces)) await copy(chunksOfRun(run, source));
    return;
  }
  await file.truncate(total);
  for (const piece of pieces) {
    if (!(piece instanceof Uint8Array) && piece.from === undefined && piece.start === at) at += pieceSize(piece);
    else await copy(chunksOf(piece, source));
  }
}

/** Writes all of `bytes` at `position`, however short the single writes are. @throws IoError */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    let count: number;
    try {
      count = await file.write(done === 0 ? bytes : bytes.subarray(done), position + done);
    } catch (error) {
      if (errnoOf(error) === 'EINTR') continue;
      throw ioError(error, 'write', path);
    }
    if (count === 0) throw new IoError(`cannot write ${path}: the system accepts no more bytes`, { path });
    done += count;
  }
}

/**
 * Renames a finished temporary file over its target, keeps the target's mode, and makes the rename durable.
 * @throws IoError; the temporary file is gone then, unless it cannot be removed
 */
export async function commit(fs: FileSystem, temporaryPath: string, target: string): Promise<FileIdentity> {
  let finished: FileIdentity;
  try {
    finished = await fs.lstat(temporaryPath);
    const existing = await lstatOrNull(fs, target);
    if (existing?.isFile()) await keepMode(fs, temporaryPath, Number(existing.mode & 0o777n));
    await replace(fs, temporaryPath, target, finished);
  } catch (error) {
    await remove(fs, temporaryPath).catch(() => undefined);
    throw error instanceof FeatxError ? error : ioError(error, 'replace', target);
  }
  unfinished.delete(temporaryPath);
  await syncDirectory(fs, target);
  return finished;
}

async function replace(fs: FileSystem, temporaryPath: string, target: string, finished: FileIdentity): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await fs.rename(temporaryPath, target);
      return;
    } catch (error) {
      const errno = errnoOf(error) ?? '';
      // A file server may rename, lose its answer, and be asked again: then there is nothing left to rename.
      if (errno === 'ENOENT' && isSameFile(await lstatOrNull(fs, target), finished)) return;
      if (attempt >= RENAME_RETRIES || !RENAME_LATER.has(errno)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RENAME_RETRY_MS));
    }
  }
}

/** Whether an error is that of a file that is in its place all the same. */
export function isInPlace(error: unknown): error is IoError {
  return error instanceof IoError && error.code === NOT_DURABLE;
}

/** Takes back a file that nothing came to need, unless another run has put its own there since. */
export async function withdraw(fs: FileSystem, path: string, placed: FileIdentity): Promise<void> {
  const found = await fs.lstat(path).catch(() => null);
  if (isSameFile(found, placed)) await fs.unlink(path).catch(() => undefined);
}

/** Whether what stands under a name is that file. */
function isSameFile(found: FileIdentity | null, { dev, ino }: FileIdentity): boolean {
  return found !== null && found.dev === dev && found.ino === ino;
}

async function keepMode(fs: FileSystem, path: string, mode: number): Promise<void> {
  const handle = await fs.open(path, constants.O_RDONLY);
  try {
    // Some file systems have one mode for all files and refuse to set any.
    if (Number((await handle.stat()).mode & 0o777n) !== mode) await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

/**
 * Makes a rename durable; file systems that cannot sync a directory say so with EINVAL, ENOTSUP, or EPERM and EISDIR on
 * Windows.
 */
async function syncDirectory(fs: FileSystem, target: string): Promise<void> {
  const directory = dirname(target);
  try {
    const handle = await fs.open(directory, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (['EINVAL', 'ENOTSUP', 'EPERM', 'EISDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return;
    const { message } = ioError(error, 'sync', directory);
    throw new IoError(`${target} is written, but might not outlive a loss of power: ${message}`, {
      code: NOT_DURABLE,
      path: target,
      cause: error,
      hint: 'run again once the device is in order',
    });
  }
}

/** A name beside the target that tells which process of which machine writes it. */
export function temporaryName(directory: string): string {
  const { host, process } = thisWriter();
  const path = join(directory, `.featx-${host}-${process}-${randomBytes(6).toString('hex')}.tmp`);
  unfinished.add(path);
  return path;
}

/** Temporary files of this process that are neither in their place nor removed. */
const unfinished = new Set<string>();

/** Removes what is being written, in a process that ends without waiting. */
export function removeUnfinished(): void {
  for (const path of unfinished) removeNow(path);
}

/**
 * Removes temporary files that a killed run left behind: of a process of this machine that is gone, or of another
 * machine and old.
 */
export async function removeStale(fs: FileSystem, directory: string): Promise<void> {
  const own = thisWriter();
  let names: string[];
  try {
    names = await fs.readdir(directory);
  } catch (error) {
    // A directory may be writable and not listable; then there is nothing to tidy.
    if (errnoOf(error) === 'EACCES') return;
    throw ioError(error, 'write into', directory);
  }
  for (const name of names) {
    const [, host, process] = TEMPORARY.exec(name) ?? [];
    // A thousand files of this run are no reason to look at each a thousand times.
    if (host === undefined || (host === own.host && Number(process) === own.process)) continue;
    const path = join(directory, name);
    const state = await lstatOrNull(fs, path);
    if (state === null) continue;
    const old = host !== thisWriter().host && Date.now() - Number(state.mtimeMs) > STALE_MS;
    if (!old && !isGone({ host, process: Number(process) })) continue;
    await fs.unlink(path).catch((error: unknown) => {
      // Another user's file in a shared directory is that user's to remove.
      if (!['ENOENT', 'EPERM', 'EACCES'].includes(errnoOf(error) ?? '')) throw ioError(error, 'remove', path);
    });
  }
}

/** Writes pieces to `target`, atomically; returns the number of bytes. */
export async function writeFile(
  source: ByteSource,
  pieces: readonly Piece[],
  target: string,
  options: WriteOptions = {},
): Promise<number> {
  const staged = await stage(source, pieces, dirname(target), options);
  try {
    await options.beforeCommit?.(staged.temporaryPath);
    await assertSourcesUnchanged(source, pieces);
    options.signal?.throwIfAborted();
  } catch (error) {
    await staged.discard();
    throw error;
  }
  await staged.commit(target);
  return staged.size;
}
