import type { FileHandle, FileSystem } from '../wire/fs.js';
import { nodeFileSystem } from '../wire/fs.js';

/** What happens at a call of the file system: an error of this code, or a write that takes one byte (`short`) or none (`zero`). */
export type Fault = string;

export interface FaultyFileSystem {
  readonly fileSystem: FileSystem;
  /** The calls so far, in order; a fault is marked with `!`. */
  readonly calls: readonly string[];
}

/** The real file system whose n-th call (from 1) goes wrong; with `persistent`, every later call but `unlink` and `close` too. */
export function faultyFileSystem(n: number, fault: Fault, persistent = false): FaultyFileSystem {
  const calls: string[] = [];
  const isDue = (name: string): boolean => {
    calls.push(name);
    const due = calls.length === n || (persistent && calls.length > n && name !== 'unlink' && name !== 'close');
    if (due) calls[calls.length - 1] += '!';
    return due;
  };
  async function call<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (isDue(name) && fault !== 'short' && fault !== 'zero') throw Object.assign(new Error(`${fault}: injected at ${name}`), { code: fault });
    return run();
  }
  const wrapped = (handle: FileHandle): FileHandle => ({
    read: (buffer, position) => call('read', () => handle.read(buffer, position)),
    write: async (buffer, position) => {
      if (fault !== 'short' && fault !== 'zero') return call('write', () => handle.write(buffer, position));
      if (!isDue('write')) return handle.write(buffer, position);
      return fault === 'zero' ? 0 : handle.write(buffer.subarray(0, 1), position);
    },
    stat: () => call('fstat', () => handle.stat()),
    chmod: (mode) => call('fchmod', () => handle.chmod(mode)),
    truncate: (size) => call('truncate', () => handle.truncate(size)),
    sync: () => call('fsync', () => handle.sync()),
    // A descriptor that cannot be closed is closed all the same.
    close: async () => {
      await handle.close();
      await call('close', async () => undefined);
    },
  });
  const fs = nodeFileSystem;
  const fileSystem: FileSystem = {
    open: async (path, flags, mode) => wrapped(await call('open', () => fs.open(path, flags, mode))),
    stat: (path) => call('stat', () => fs.stat(path)),
    lstat: (path) => call('lstat', () => fs.lstat(path)),
    realpath: (path) => call('realpath', () => fs.realpath(path)),
    readdir: (path) => call('readdir', () => fs.readdir(path)),
    rename: (from, to) => call('rename', () => fs.rename(from, to)),
    unlink: (path) => call('unlink', () => fs.unlink(path)),
    mkdir: (path) => call('mkdir', () => fs.mkdir(path)),
    clone: (from, to) => call('clone', () => fs.clone(from, to)),
  };
  return { fileSystem, calls };
}
