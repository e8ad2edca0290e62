import { constants } from 'node:fs';
import { FeatxError } from '../errors.js';
import { ioError, nodeFileSystem, type FileHandle, type FileSystem } from '../wire/fs.js';
import { commit, removeStale, temporaryName, writeFully } from '../wire/sink.js';

const LARGEST_WRITE = 64 * 1024 * 1024;
const COPY_BUFFER = 4 * 1024 * 1024;

/** A temporary file that is written at any position and renamed over its target once it is whole. */
export class StagingFile {
  private open = true;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly fs: FileSystem,
  ) {}

  /** Creates the file, so that a directory that cannot be written to is known before any long work. @throws IoError */
  static async create(directory: string, fs: FileSystem = nodeFileSystem): Promise<StagingFile> {
    await removeStale(fs, directory);
    const path = temporaryName(directory);
    try {
      return new StagingFile(path, await fs.open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0), 0o666), fs);
    } catch (error) {
      throw ioError(error, 'create a file in', directory);
    }
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += LARGEST_WRITE) await writeFully(this.handle, bytes.subarray(at, at + LARGEST_WRITE), position + at, this.path);
  }

  /** The bytes `[0, size)`, in chunks. */
  async *chunks(size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; ) {
      const chunk = new Uint8Array(Math.min(COPY_BUFFER, size - at));
      const count = await this.handle.read(chunk, at).catch((error: unknown) => {
        throw ioError(error, 'read', this.path);
      });
      if (count === 0) throw ioError(new Error(`it ends at byte ${at} of ${size}`), 'read', this.path);
      yield chunk.subarray(0, count);
      at += count;
    }
  }

  /** Makes the bytes durable and closes the file. */
  async seal(size: number): Promise<void> {
    try {
      await this.handle.truncate(size);
      await this.handle.sync();
    } catch (error) {
      throw ioError(error, 'write', this.path);
    } finally {
      await this.close();
    }
  }

  /** Puts a sealed file in the place of `target`. */
  commit(target: string): Promise<void> {
    return commit(this.fs, this.path, target);
  }

  /** Removes the file. */
  async discard(): Promise<void> {
    await this.close();
    try {
      await this.fs.unlink(this.path);
    } catch (error) {
      const failure = ioError(error, 'remove', this.path);
      if (failure.code !== 'FEATX_IO_NOT_FOUND') throw failure;
    }
  }

  private async close(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    try {
      await this.handle.close();
    } catch (error) {
      throw ioError(error, 'close', this.path);
    }
  }
}

/** Discards files after a failure; the failure itself is what the caller reports, with anything that could not be removed. */
export async function discardAll(files: Iterable<StagingFile>): Promise<void> {
  const failures: FeatxError[] = [];
  for (const file of files) {
    await file.discard().catch((error: unknown) => {
      if (!(error instanceof FeatxError)) throw error;
      failures.push(error);
    });
  }
  if (failures.length > 0) throw failures[0];
}
