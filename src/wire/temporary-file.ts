import { constants } from 'node:fs';
import { IoError } from '../errors.js';
import type { FileSource } from './file-source.js';
import { isSameFile, type FileIdentity } from './file-state.js';
import {
  errnoOf,
  ioError,
  nodeFileSystem,
  openAfresh,
  orNothing,
  writeFully,
  type FileHandle,
  type FileSystem,
} from './fs.js';
import { putInPlace } from './put-in-place.js';
import { remove, removeStale, temporaryName } from './temporary-names.js';

const LARGEST_WRITE = 64 * 1024 * 1024;
const COPY_BUFFER = 4 * 1024 * 1024;
/** Windows has no O_NOFOLLOW; what is undefined sets no bit. */
const FRESH = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A file that appears whole or not at all: written beside its target at any position, sealed, renamed over it. */
export class TemporaryFile {
  private isOpen = true;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly fs: FileSystem,
    /** Whether it began as a copy of another file. */
    readonly isClone: boolean,
  ) {}

  /**
   * Creates a file in a folder, which is made if it is missing, and removes what killed runs have left there.
   * @param original the file to begin with a copy of, if its path still names it and the copy can be written to
   * @throws IoError if the folder cannot be written to
   */
  static async create(
    directory: string,
    fs: FileSystem = nodeFileSystem,
    original: FileSource | null = null,
  ): Promise<TemporaryFile> {
    await madeFolder(fs, directory);
    await removeStale(fs, directory);
    const path = temporaryName(directory);
    try {
      const clone = original === null ? null : await openClone(fs, path, original);
      return new TemporaryFile(path, clone ?? (await openAfresh(fs, path, FRESH, 0o666)), fs, clone !== null);
    } catch (error) {
      await remove(fs, path).catch(() => undefined);
      throw error instanceof IoError ? error : ioError(error, 'create a file in', directory);
    }
  }

  /** Writes bytes at a position. @throws IoError */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    // The number of a closed descriptor may by now be another file's.
    if (!this.isOpen) throw ioError(new Error('it is closed'), 'write', this.path);
    for (let at = 0; at < bytes.length; at += LARGEST_WRITE)
      await writeFully(this.handle, bytes.subarray(at, at + LARGEST_WRITE), position + at, this.path);
  }

  /** `size` bytes from `start` on, in chunks. @throws IoError */
  async *chunks(size: number, start = 0): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; ) {
      const chunk = new Uint8Array(Math.min(COPY_BUFFER, size - at));
      const count = await this.handle.read(chunk, start + at).catch((error: unknown) => {
        if (errnoOf(error) === 'EINTR') return null;
        throw ioError(error, 'read', this.path);
      });
      if (count === null) continue;
      if (count === 0) throw ioError(new Error(`it ends at byte ${start + at} of ${start + size}`), 'read', this.path);
      yield chunk.subarray(0, count);
      at += count;
    }
  }

  /** Gives the file its size, makes its bytes durable and closes it. @throws IoError */
  async seal(size: number): Promise<void> {
    try {
      await this.handle.truncate(size);
      await this.handle.sync();
      await this.close();
    } catch (error) {
      await this.close().catch(() => undefined);
      throw ioError(error, 'write', this.path);
    }
  }

  /**
   * Puts a sealed file in the place of `target`.
   * @returns which file stands there now
   * @throws IoError; one for which `isInPlace` holds if the file is in its place all the same
   */
  commit(target: string): Promise<FileIdentity> {
    return putInPlace(this.fs, this.path, target);
  }

  /**
   * Closes and removes the file. One that cannot be removed is left to the next run in this folder, which tidies up:
   * what made this necessary is the failure to report.
   */
  async discard(): Promise<void> {
    await this.close().catch(() => undefined);
    await remove(this.fs, this.path).catch(() => undefined);
  }

  private async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.handle.close();
  }
}

/** @throws IoError */
async function madeFolder(fs: FileSystem, directory: string): Promise<void> {
  if ((await orNothing(fs.stat(directory), directory)) !== null) return;
  await fs.mkdir(directory).catch((error: unknown) => {
    throw ioError(error, 'create the directory', directory);
  });
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
  const isSame = isSameFile(await fs.stat(original), state);
  const handle = !isSame
    ? null
    : await fs.open(path, constants.O_RDWR | constants.O_NOFOLLOW).catch((error: unknown) => {
        if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM') return null;
        throw error;
      });
  if (handle === null)
    await fs.unlink(path).catch((error: unknown) => {
      throw ioError(error, 'remove', path);
    });
  return handle;
}
