import { createHash } from 'node:crypto';
import { FileSource } from './file-source.js';
import type { FileState } from './file-state.js';
import { type FileSystem, ioError } from './fs.js';

const HASH_WINDOW = 128 * 1024;
const SPARE_WINDOWS = 4;
/** Windows that are not in use: a new one for every file is work for the collector. */
const spare: Uint8Array[] = [];

/** What the bytes of a file are, and the state of the file that they were read from. */
export interface Digest {
  readonly size: number;
  readonly sha256: string;
  readonly state: FileState;
}

/**
 * Digest of the bytes of a file in `ranges`; null if it ends before them or changes while it is read.
 * @throws IoError
 */
export async function hashRanges(fs: FileSystem, path: string, ranges: readonly number[]): Promise<Digest | null> {
  const source = await FileSource.open(path, fs);
  const window = spare.pop() ?? new Uint8Array(HASH_WINDOW);
  try {
    if (ranges.length > 0 && ranges[ranges.length - 1] > source.size) return null;
    const hash = createHash('sha256');
    for (let at = 0; at < ranges.length; at += 2) {
      for (let start = ranges[at]; start < ranges[at + 1]; start += window.length) {
        const part = window.subarray(0, Math.min(window.length, ranges[at + 1] - start));
        await source.readInto(part, start);
        hash.update(part);
      }
    }
    await source.assertUnchanged();
    return { size: source.size, sha256: hash.digest('hex'), state: source.state };
  } finally {
    if (spare.length < SPARE_WINDOWS) spare.push(window);
    await source.close();
  }
}

/** Digest of a whole file. @throws IoError if it cannot be read or changes meanwhile */
export async function hashFile(fs: FileSystem, path: string): Promise<Digest> {
  const { size } = await fs.stat(path).catch((error: unknown) => {
    throw ioError(error, 'look at', path);
  });
  const digest = await hashRanges(fs, path, size === 0n ? [] : [0, Number(size)]);
  if (digest === null) throw new Error(`${path} became shorter while it was hashed`);
  return digest;
}
