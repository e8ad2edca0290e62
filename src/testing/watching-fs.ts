import { nodeFileSystem, type FileSystem } from '../wire/fs.js';

/** A call that was made on a path. */
export interface Seen {
  readonly call: keyof FileSystem;
  readonly path: string;
}

export interface WatchingFileSystem {
  readonly fileSystem: FileSystem;
  /** Every call so far; one that takes two paths is two. */
  readonly seen: Seen[];
  /** The paths that were opened, or copied from. */
  readonly opened: () => readonly string[];
}

/** A file system, the real one by default, and every path that it is asked about. */
export function watchingFileSystem(inner: FileSystem = nodeFileSystem): WatchingFileSystem {
  const seen: Seen[] = [];
  const note = (call: keyof FileSystem, ...paths: readonly string[]): void => {
    for (const path of paths) seen.push({ call, path });
  };
  const fileSystem: FileSystem = {
    open: (path, flags, mode) => (note('open', path), inner.open(path, flags, mode)),
    stat: (path) => (note('stat', path), inner.stat(path)),
    lstat: (path) => (note('lstat', path), inner.lstat(path)),
    realpath: (path) => (note('realpath', path), inner.realpath(path)),
    readdir: (path) => (note('readdir', path), inner.readdir(path)),
    rename: (from, to) => (note('rename', from, to), inner.rename(from, to)),
    unlink: (path) => (note('unlink', path), inner.unlink(path)),
    mkdir: (path) => (note('mkdir', path), inner.mkdir(path)),
    clone: (from, to) => (note('clone', from, to), inner.clone(from, to)),
  };
  return {
    fileSystem,
    seen,
    opened: () => seen.filter(({ call }) => call === 'open' || call === 'clone').map(({ path }) => path),
  };
}
