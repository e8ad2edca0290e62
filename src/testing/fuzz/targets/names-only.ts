import type { BigIntStats } from 'node:fs';
import type { FileHandle, FileSystem } from '../../../wire/fs.js';

const FOLDERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/models', ['a.onnx', 'b', 'sub', '.hidden.onnx', '__proto__.onnx']],
  ['/models/b', ['c.onnx', 'd.onnx']],
  ['/models/sub', ['a.onnx', 'deep']],
  ['/models/sub/deep', ['e.onnx']],
]);

function missing(path: string): never {
  throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
}

/** A few names in a few folders, and nothing that can be opened. */
export class NamesOnly implements FileSystem {
  async lstat(path: string): Promise<BigIntStats> {
    const isFolder = FOLDERS.has(path);
    const cut = path.lastIndexOf('/');
    if (!isFolder && FOLDERS.get(path.slice(0, cut))?.includes(path.slice(cut + 1)) !== true) missing(path);
    return { isDirectory: () => isFolder, isFile: () => !isFolder, isSymbolicLink: () => false } as BigIntStats;
  }

  stat(path: string): Promise<BigIntStats> {
    return this.lstat(path);
  }

  async readdir(path: string): Promise<string[]> {
    return [...(FOLDERS.get(path) ?? missing(path))];
  }

  async open(path: string): Promise<FileHandle> {
    return missing(path);
  }

  async realpath(path: string): Promise<string> {
    return path;
  }

  rename = missing;
  unlink = missing;
  mkdir = missing;
  clone = missing;
}
