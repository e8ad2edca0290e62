import {
  close,
  closeSync,
  constants,
  copyFile,
  fchmod,
  fstatSync,
  fsync,
  ftruncate,
  lstatSync,
  mkdir,
  open,
  openSync,
  read,
  readdir,
  readFileSync,
  readSync,
  realpathSync,
  rename,
  statSync,
  unlink,
  unlinkSync,
  write,
  writeSync,
  type BigIntStats,
  type Stats,
} from 'node:fs';
import { devNull } from 'node:os';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { IoError } from '../errors.js';
import { decodeText, encodeText, isEscaped } from './text.js';

/**
 * The only file-system calls of the project, behind one small interface, so that a test can make the n-th of them fail.
 * Reads and writes may be short, as the operating system's are; callers loop. libuv asks again after EINTR at every
 * call but read and close; callers ask again at a read and a write, and tell it of any other.
 */
export interface FileSystem {
  open(path: string, flags: string | number, mode?: number): Promise<FileHandle>;
  stat(path: string): Promise<BigIntStats>;
  lstat(path: string): Promise<BigIntStats>;
  realpath(path: string): Promise<string>;
  readdir(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string): Promise<void>;
  /** A new file with the same bytes, shared with the old one where the file system can (reflink). */
  clone(from: string, to: string): Promise<void>;
}

/** An open file. */
export interface FileHandle {
  /** Fills `buffer` from `position` on; returns how many bytes came, 0 at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  write(buffer: Uint8Array, position: number): Promise<number>;
  stat(): Promise<BigIntStats>;
  chmod(mode: number): Promise<void>;
  truncate(size: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Reads up to this size are done in place: the thread pool costs more than a page-cache read. */
const LONGEST_DIRECT_READ = 1024 * 1024;
/** The bits of the flags of `open` that say whether a file is read or written. */
export const ACCESS_MODE = 3;

class NodeFileHandle implements FileHandle {
  constructor(
    private readonly fd: number,
    private readonly isReadOnly: boolean,
  ) {}

  async read(buffer: Uint8Array, position: number): Promise<number> {
    if (buffer.length <= LONGEST_DIRECT_READ) return readSync(this.fd, buffer, 0, buffer.length, position);
    const { bytesRead } = await promisify(read)(this.fd, buffer, 0, buffer.length, position);
    return bytesRead;
  }

  async write(buffer: Uint8Array, position: number): Promise<number> {
    const { bytesWritten } = await promisify(write)(this.fd, buffer, 0, buffer.length, position);
    return bytesWritten;
  }

  /** In place: the kernel has the answer. */
  async stat(): Promise<BigIntStats> {
    return fstatSync(this.fd, { bigint: true });
  }

  chmod(mode: number): Promise<void> {
    return promisify(fchmod)(this.fd, mode);
  }

  truncate(size: number): Promise<void> {
    return promisify(ftruncate)(this.fd, size);
  }

  sync(): Promise<void> {
    return promisify(fsync)(this.fd);
  }

  /** In place where nothing was written: there is nothing to wait for. */
  async close(): Promise<void> {
    if (this.isReadOnly) closeSync(this.fd);
    else await promisify(close)(this.fd);
  }
}

/**
 * A path as the system takes it. Its names are bytes, which need not be UTF-8: a string holds the others as
 * `decodeText` does. Windows has names of UTF-16.
 */
function nativePath(path: string): string | Buffer {
  return isEscaped(path) && process.platform !== 'win32' ? Buffer.from(encodeText(path)) : path;
}

/**
 * The last `count` arguments of this process as they were given: Node replaces bytes that are not UTF-8 in
 * `process.argv`. Null if the system does not keep them.
 */
export function rawArguments(count: number): readonly string[] | null {
  try {
    const text = decodeText(readFileSync('/proc/self/cmdline'));
    return text.split('\0').slice(0, -1).slice(-count);
  } catch {
    return null;
  }
}

/** The file system of Node.js. A look at a path is done in place, as reads are. */
export const nodeFileSystem: FileSystem = {
  open: async (path, flags, mode) =>
    new NodeFileHandle(
      isImmediate(flags)
        ? openSync(nativePath(path), flags, mode)
        : await promisify(open)(nativePath(path), flags, mode),
      typeof flags === 'number' ? (flags & ACCESS_MODE) === constants.O_RDONLY : flags === 'r',
    ),
  stat: async (path) => statSync(nativePath(path), { bigint: true }),
  lstat: async (path) => lstatSync(nativePath(path), { bigint: true }),
  realpath: async (path) => {
    // What Node resolves itself it takes apart as a string, and what the system does differs on Windows.
    const real = isEscaped(path) ? '\ufffd' : realpathSync(path);
    return real.includes('\ufffd') ? decodeText(realpathSync.native(nativePath(path), { encoding: 'buffer' })) : real;
  },
  readdir: async (path) =>
    (await promisify(readdir)(nativePath(path), { encoding: 'buffer' })).map((name) => decodeText(name)),
  rename: (from, to) => promisify(rename)(nativePath(from), nativePath(to)),
  unlink: (path) => promisify(unlink)(nativePath(path)),
  mkdir: async (path) => void (await promisify(mkdir)(nativePath(path), { recursive: true })),
  clone: (from, to) =>
    promisify(copyFile)(nativePath(from), nativePath(to), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL),
};

/** Whether opening waits for nobody: neither for the other end of a named pipe, nor for a disk that writes. */
function isImmediate(flags: string | number): boolean {
  return flags === (constants.O_RDONLY | constants.O_NONBLOCK);
}

/** What is printed goes into: a stream of Node's, or an open descriptor. */
export interface OutputStream {
  on(event: 'error', listener: (error: Error) => void): unknown;
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
}

/** What an open descriptor leads to: `file` is what takes every write at once, devices among it. */
export type DescriptorKind = 'file' | 'pipe' | 'terminal' | 'other';

/** What a descriptor leads to; only for a device is the module of terminals loaded. */
export function descriptorKind(descriptor: number): DescriptorKind {
  try {
    const state = fstatSync(descriptor);
    if (state.isFIFO() || state.isSocket()) return 'pipe';
    if (state.isCharacterDevice()) return !isNull(state) && isatty(descriptor) ? 'terminal' : 'file';
    return state.isFile() || state.isBlockDevice() ? 'file' : 'other';
  } catch {
    // Windows cannot look at every handle; what it cannot look at is not a file.
    return isatty(descriptor) ? 'terminal' : 'other';
  }
}

/** Whether this is the null device; Windows numbers no devices. */
function isNull({ rdev }: Stats): boolean {
  return process.platform !== 'win32' && rdev === statSync(devNull).rdev;
}

/** What a pipe of Linux that nobody has written to takes without waiting for its reader. */
const DIRECT_BYTES = process.platform === 'linux' ? 65_536 : 0;

/**
 * An open descriptor that is printed to. A file takes every write in place, all of it: Node's own stream takes a short
 * write for a whole one, so that what a full disk has no room for is lost without a word. So does a pipe, up to what it
 * takes at once: Node's stream, which `stream` gives for the rest and for anything else, takes longer to load than most
 * reports to write.
 * @see lib/internal/fs/sync_write_stream.js of Node.js
 */
export class DescriptorOutput implements OutputStream {
  private readonly listeners: ((error: Error) => void)[] = [];
  /** Bytes that may still be written in place. */
  private direct: number;
  private opened: OutputStream | null = null;

  constructor(
    private readonly descriptor: number,
    kind: DescriptorKind,
    private readonly stream: () => OutputStream,
  ) {
    this.direct = kind === 'file' ? Infinity : kind === 'pipe' ? DIRECT_BYTES : 0;
  }

  on(event: 'error', listener: (error: Error) => void): void {
    if (this.opened === null) this.listeners.push(listener);
    else this.opened.on(event, listener);
  }

  write(data: string | Uint8Array, done: (error?: Error | null) => void = () => undefined): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    try {
      const written = this.writeNow(bytes);
      if (written === bytes.length) done();
      else this.rest().write(bytes.subarray(written), done);
    } catch (error) {
      done(error as Error);
    }
  }

  /** Writes what may be and can be written in place; returns how many bytes that is. */
  private writeNow(bytes: Uint8Array): number {
    if (bytes.length > this.direct) return 0;
    let at = 0;
    while (at < bytes.length) {
      try {
        const count = writeSync(this.descriptor, bytes, at);
        if (count === 0) throw Object.assign(new Error('the system accepts no more bytes'), { code: 'ENOSPC' });
        at += count;
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === 'EAGAIN') break;
        if (errno !== 'EINTR') throw error;
      }
    }
    this.direct -= at;
    return at;
  }

  private rest(): OutputStream {
    if (this.opened === null) {
      this.direct = 0;
      this.opened = this.stream();
      for (const listener of this.listeners) this.opened.on('error', listener);
    }
    return this.opened;
  }
}

/**
 * Whether what is written to a descriptor is lost because it was closed when this process began: Node puts the null
 * device there, open in both ways, where `> /dev/null` opens it for writing alone. A parent that wants no output may
 * open it in both ways too.
 */
export function isLost(descriptor: number): boolean {
  try {
    const state = fstatSync(descriptor);
    return (
      state.isCharacterDevice() &&
      state.rdev === statSync(devNull).rdev &&
      readSync(descriptor, new Uint8Array(1)) === 0
    );
  } catch {
    return false;
  }
}

/** Removes a file in a process that is about to end and can wait for nothing; one that cannot be removed stays. */
export function removeNow(path: string): void {
  try {
    unlinkSync(nativePath(path));
  } catch {
    // Whoever writes here next tidies up.
  }
}

/** The operating system's code of an error (`ENOENT`), if it has one. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/**
 * Opens a file. A network file system answers ESTALE once where the file or its directory was replaced on the server
 * since it was last looked at; the second look is a fresh one.
 */
export function openAfresh(fs: FileSystem, path: string, flags: string | number, mode?: number): Promise<FileHandle> {
  return fs.open(path, flags, mode).catch((error: unknown) => {
    if (errnoOf(error) !== 'ESTALE') throw error;
    return fs.open(path, flags, mode);
  });
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

const REASONS: { readonly [errno: string]: string } = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'too many symbolic links',
  EIO: 'the device reports an input/output error',
  EXDEV: 'it is on another file system',
  EFBIG: 'the file may not grow any further',
  EBUSY: 'it is in use',
  EEXIST: 'it exists',
  EINTR: 'the call was interrupted',
  ENFILE: 'too many open files on this machine',
  ESTALE: 'its handle is stale, it was replaced on the file server',
};

/**
 * That this process may open one more file: without, whatever is looked for seems to be absent.
 * @throws IoError that says what was to be done
 */
export function assertOpenable(doing: string, path: string): void {
  try {
    closeSync(openSync(devNull, 'r'));
  } catch (error) {
    throw ioError(error, doing, path);
  }
}

/** What says that nothing is there. */
const NOTHING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL']);

/**
 * What was looked at, or null if there is nothing.
 * @throws IoError for anything else: a fault of the machine must not pass for an absence
 */
export async function orNothing<T>(looking: Promise<T>, path: string): Promise<T | null> {
  try {
    return await looking;
  } catch (error) {
    if (NOTHING.has(errnoOf(error) ?? '')) return null;
    throw ioError(error, 'look at', path);
  }
}

/** What stands under a name, links not followed; null if there is nothing. @throws IoError */
export async function look(fs: FileSystem, path: string): Promise<BigIntStats | null> {
  try {
    return await fs.lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw ioError(error, 'look at', path);
  }
}

/** An IoError that says what was being done to which file, and why it failed. */
export function ioError(cause: unknown, doing: string, path: string, hint?: string): IoError {
  const errno = errnoOf(cause);
  const reason = (errno && REASONS[errno]) ?? (cause instanceof Error ? cause.message : String(cause));
  return new IoError(`cannot ${doing} ${path}: ${reason}${errno ? ` (${errno})` : ''}`, {
    code: errno === 'ENOENT' ? 'FEATX_IO_NOT_FOUND' : 'FEATX_IO',
    path,
    hint,
    cause,
  });
}
