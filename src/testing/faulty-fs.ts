import type { FileHandle, FileSystem } from '../wire/fs.js';
import { nodeFileSystem } from '../wire/fs.js';

/**
 * What happens at a call of the file system: an error of this code, a read or write of one byte (`short`), a write that
 * takes none (`zero`), or a read at the end of a file that has shrunk (`end`). Calls that a fault cannot happen to go
 * well.
 */
export type Fault = string;

export interface FaultyFileSystem {
  readonly fileSystem: FileSystem;
  /** The calls so far, in order; a fault is marked with `!`. */
  readonly calls: readonly string[];
  /** What each call was about: one path, or two. */
  readonly paths: readonly (readonly string[])[];
}

const PARTIAL = new Set<Fault>(['short', 'zero', 'end']);

/**
 * The real file system whose n-th call (from 1) goes wrong; with `persistent`, every later call but those in `spared`
 * too.
 */
export function faultyFileSystem(
  n: number,
  fault: Fault,
  persistent = false,
  spared: ReadonlySet<string> = new Set(['unlink', 'close']),
): FaultyFileSystem {
  const calls: string[] = [];
  const paths: (readonly string[])[] = [];
  const isDue = (name: string, about: readonly string[]): boolean => {
    calls.push(name);
    paths.push(about);
    const due = calls.length === n || (persistent && calls.length > n && !spared.has(name));
    if (due) calls[calls.length - 1] += '!';
    return due;
  };
  async function call<T>(name: string, about: readonly string[], run: () => Promise<T>): Promise<T> {
    if (isDue(name, about) && !PARTIAL.has(fault))
      throw Object.assign(new Error(`${fault}: injected at ${name}`), { code: fault });
    return run();
  }
  const wrapped = (handle: FileHandle, path: string): FileHandle => ({
    read: async (buffer, position) => {
      if (!PARTIAL.has(fault)) return call('read', [path], () => handle.read(buffer, position));
      if (!isDue('read', [path]) || fault === 'zero') return handle.read(buffer, position);
      return fault === 'end' ? 0 : handle.read(buffer.subarray(0, 1), position);
    },
    write: async (buffer, position) => {
      if (!PARTIAL.has(fault)) return call('write', [path], () => handle.write(buffer, position));
      if (!isDue('write', [path]) || fault === 'end') return handle.write(buffer, position);
      return fault === 'zero' ? 0 : handle.write(buffer.subarray(0, 1), position);
    },
    stat: () => call('fstat', [path], () => handle.stat()),
    chmod: (mode) => call('fchmod', [path], () => handle.chmod(mode)),
    truncate: (size) => call('truncate', [path], () => handle.truncate(size)),
    sync: async () => {
      const due = calls.length;
      try {
        await call('fsync', [path], () => handle.sync());
      } catch (error) {
        // Linux drops what it could not write: later reads find it, a machine that starts again does not. A directory
        // has nothing to drop.
        if (calls[due]?.endsWith('!')) await handle.truncate(0).catch(() => undefined);
        throw error;
      }
    },
    // A descriptor that cannot be closed is closed all the same.
    close: async () => {
      await handle.close();
      await call('close', [path], async () => undefined);
    },
  });
  const fs = nodeFileSystem;
  const fileSystem: FileSystem = {
    open: async (path, flags, mode) => wrapped(await call('open', [path], () => fs.open(path, flags, mode)), path),
    stat: (path) => call('stat', [path], () => fs.stat(path)),
    lstat: (path) => call('lstat', [path], () => fs.lstat(path)),
    realpath: (path) => call('realpath', [path], () => fs.realpath(path)),
    readdir: (path) => call('readdir', [path], () => fs.readdir(path)),
    rename: (from, to) => call('rename', [from, to], () => fs.rename(from, to)),
    unlink: (path) => call('unlink', [path], () => fs.unlink(path)),
    mkdir: (path) => call('mkdir', [path], () => fs.mkdir(path)),
    clone: (from, to) => call('clone', [from, to], () => fs.clone(from, to)),
  };
  return { fileSystem, calls, paths };
}

/** Faults that the operating system gives at each call; ESTALE of a network file system once. */
export const FAULTS_OF: { readonly [call: string]: readonly Fault[] } = {
  open: ['EMFILE', 'EACCES', 'EIO', 'EROFS', 'ENOSPC', 'ESTALE'],
  read: ['EIO', 'EINTR', 'short', 'end'],
  write: ['ENOSPC', 'EIO', 'EINTR', 'short', 'zero'],
  fstat: ['EIO'],
  fchmod: ['EROFS'],
  truncate: ['ENOSPC'],
  fsync: ['EIO', 'ENOSPC', 'EINTR'],
  close: ['EIO', 'EINTR'],
  stat: ['EACCES', 'EIO'],
  lstat: ['EACCES', 'EIO'],
  realpath: ['EACCES', 'EIO'],
  readdir: ['EMFILE', 'EIO'],
  rename: ['EIO', 'EROFS', 'EACCES'],
  unlink: ['EIO'],
  mkdir: ['ENOSPC', 'EROFS'],
  clone: ['ENOSPC', 'EIO'],
};
