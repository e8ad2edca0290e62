import { constants } from 'node:fs';
import { errnoOf, ioError, nodeFileSystem, openAfresh, type FileHandle, type FileSystem } from '../wire/fs.js';
import { commit, remove, removeStale, temporaryName, writeFully, type FileIdentity } from '../wire/sink.js';

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
      return new StagingFile(
        path,
        await openAfresh(
          fs,
          path,
          constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0),
          0o666,
        ),
        fs,
      );
    } catch (error) {
      throw ioError(error, 'create a file in', directory);
    }
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    // The number of a closed descriptor may by now be another file's.
    if (!this.open) throw ioError(new Error('it is closed'), 'write', this.path);
    for (let at = 0; at < bytes.length; at += LARGEST_WRITE)
      await writeFully(this.handle, bytes.subarray(at, at + LARGEST_WRITE), position + at, this.path);
  }

  /** The bytes `[0, size)`, in chunks. */
  async *chunks(size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; ) {
      const chunk = new Uint8Array(Math.min(COPY_BUFFER, size - at));
      const count = await this.handle.read(chunk, at).catch((error: unknown) => {
        if (errnoOf(error) === 'EINTR') return null;
        throw ioError(error, 'read', this.path);
      });
      if (count === null) continue;
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
      await this.close().catch(() => undefined);
      throw ioError(error, 'write', this.path);
    }
    await this.close();
  }

  /** Puts a sealed file in the place of `target`. */
  commit(target: string): Promise<FileIdentity> {
    return commit(this.fs, this.path, target);
  }

  /**
   * Closes and removes the file. One that cannot be removed is left to the next run in this directory, which tidies up:
   * what made this necessary is the failure to report.
   */
  async discard(): Promise<void> {
    await this.close().catch(() => undefined);
    await remove(this.fs, this.path).catch(() => undefined);
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
