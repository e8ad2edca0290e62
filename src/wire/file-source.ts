import { constants } from 'node:fs';
import { IoError } from '../errors.js';
import { isSameState, stateOf, type FileState } from './file-state.js';
import { errnoOf, ioError, nodeFileSystem, openAfresh, type FileHandle, type FileSystem } from './fs.js';
import { ExactSource } from './source.js';

/** One system call reads at most 2^31-1 bytes. */
const LARGEST_READ = 2 ** 30;

/** A regular file, read by position. Stays open until `close`. */
export class FileSource extends ExactSource {
  readonly size: number;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    readonly state: FileState,
  ) {
    super();
    this.size = Number(state.size);
  }

  /** @throws IoError if the file is missing, unreadable, or not a regular file */
  static async open(path: string, fs: FileSystem = nodeFileSystem): Promise<FileSource> {
    let handle: FileHandle;
    try {
      // Without O_NONBLOCK, opening a named pipe waits for a writer. Windows has none; what is undefined sets no bit.
      handle = await openAfresh(fs, path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw ioError(error, 'open', path);
    }
    try {
      const state = await handle.stat();
      if (state.isDirectory())
        throw new IoError(`${path} is a directory, not a model file`, { path, code: 'FEATX_IO_KIND' });
      if (!state.isFile())
        throw new IoError(`${path} is not a regular file`, {
          path,
          code: 'FEATX_IO_KIND',
          hint: 'give a file, or - to read standard input',
        });
      return new FileSource(path, handle, stateOf(state));
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error instanceof IoError ? error : ioError(error, 'read', path);
    }
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    await this.readInto(bytes, start);
    return bytes;
  }

  /** Fills `bytes` from `start` on. */
  async readInto(bytes: Uint8Array, start: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      let count: number;
      try {
        count = await this.handle.read(bytes.subarray(done, done + LARGEST_READ), start + done);
      } catch (error) {
        if (errnoOf(error) === 'EINTR') continue;
        throw ioError(error, 'read', this.path);
      }
      if (count === 0) {
        throw new IoError(
          `${this.path} ends at byte ${start + done}: it is shorter than when it was opened (${this.size} bytes)`,
          { code: 'FEATX_IO_CHANGED', path: this.path, offset: start + done },
        );
      }
      done += count;
    }
  }

  async assertUnchanged(): Promise<void> {
    const now = await this.handle.stat().catch((error: unknown) => {
      throw ioError(error, 'look at', this.path);
    });
    const { state } = this;
    if (!isSameState(now, state)) {
      throw new IoError(`${this.path} changed while it was being read`, {
        code: 'FEATX_IO_CHANGED',
        path: this.path,
        hint: 'run again once nothing else writes to it',
      });
    }
  }

  /** A file that was only read has nothing to lose when it cannot be closed; closing it twice is a mistake of ours. */
  async close(): Promise<void> {
    await this.handle.close().catch((error: unknown) => {
      if (errnoOf(error) === 'EBADF') throw error;
    });
  }
}
