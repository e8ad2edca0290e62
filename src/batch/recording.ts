import { constants } from 'node:fs';
import { basename } from 'node:path';
import { isSameFile, isSameState, type FileState } from '../wire/file-state.js';
import { hashFile, hashRanges } from '../wire/hash.js';
import { ACCESS_MODE, errnoOf, orNothing, type FileHandle, type FileSystem } from '../wire/fs.js';
import { relativeTo } from '../wire/find-files.js';

/**
 * What a cut was made of and what came out, as the file system saw it. A cut is a function of the bytes it reads, the
 * sizes it sees and its options: where all of these are the same, so is the result, and it need not be made again.
 */

/** A `FileState` in a record: nanoseconds and inode numbers as decimal text. */
export interface RecordedState {
  readonly dev: string;
  readonly ino: string;
  readonly mtime_ns: string;
  readonly ctime_ns: string;
}

/** A file that was read: which bytes, and their digest. */
export interface ReadRecord {
  /** Relative to the root. */
  readonly path: string;
  readonly size: number;
  /** Start and end of every range of bytes, in turn, ascending. */
  readonly ranges: readonly number[];
  readonly sha256: string;
  readonly state: RecordedState;
}

/** A file that was written, whole. */
export interface WrittenRecord {
  readonly path: string;
  readonly ranges?: undefined;
  readonly size: number;
  readonly sha256: string;
  readonly state: RecordedState;
}

type Stats = Awaited<ReturnType<FileSystem['stat']>>;

interface Reading {
  readonly stats: Stats;
  readonly ranges: [start: number, end: number][];
}

/** Ranges closer than this become one: a few bytes more to hash, fewer to list. */
const GAP = 64 * 1024;
/** A time that no file has: its record never holds by its state alone. */
const UNKNOWN = -1n;

/** A file system that remembers what was read and written through it. */
export class RecordingFileSystem implements FileSystem {
  private readonly readings = new Map<string, Reading>();
  private readonly asked = new Map<string, string>();
  private readonly written: WrittenRecord[] = [];
  private readonly missed = new Set<string>();

  constructor(
    private readonly base: FileSystem,
    private readonly root: string,
    /** The files that count; whatever else is read and written is not for the record. Every file by default. */
    private readonly isOwn: ((path: string) => boolean) | null = null,
  ) {}

  async open(path: string, flags: string | number, mode?: number): Promise<FileHandle> {
    const handle = await this.base.open(path, flags, mode);
    const readsOnly = typeof flags === 'number' && (flags & ACCESS_MODE) === constants.O_RDONLY;
    if (!readsOnly || isTemporary(path) || this.isOwn?.(path) === false) return handle;
    const name = this.asked.get(path) ?? path;
    let reading: Reading | undefined;
    const note = (stats: Stats): Reading => {
      reading ??= this.readings.get(name) ?? { stats, ranges: [] };
      this.readings.set(name, reading);
      return reading;
    };
    return {
      read: async (buffer, position) => {
        const done = await handle.read(buffer, position);
        note(reading?.stats ?? (await handle.stat())).ranges.push([position, position + done]);
        return done;
      },
      stat: async () => {
        const stats = await handle.stat();
        if (stats.isFile()) note(stats);
        return stats;
      },
      write: (buffer, position) => handle.write(buffer, position),
      chmod: (bits) => handle.chmod(bits),
      truncate: (size) => handle.truncate(size),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  }

  async realpath(path: string): Promise<string> {
    const real = await this.base.realpath(path);
    // A link is checked again under its own name: it may point elsewhere by then.
    if (!this.asked.has(real)) this.asked.set(real, path);
    return real;
  }

  async clone(from: string, to: string): Promise<void> {
    const stats = await this.base.stat(from);
    const reading = this.readings.get(from) ?? { stats, ranges: [] };
    reading.ranges.push([0, Number(stats.size)]);
    this.readings.set(from, reading);
    await this.base.clone(from, to);
  }

  async rename(from: string, to: string): Promise<void> {
    if (this.isOwn?.(to) === false) return this.base.rename(from, to);
    const { size, sha256, state: before } = await hashFile(this.base, from);
    await this.base.rename(from, to);
    // The file is in its place, so this may not fail any more. Another run may have put its own result there since;
    // then the digest is right and nothing else is.
    const stats = await this.base.lstat(to).catch(() => null);
    const state = stats !== null && isSameFile(stats, before) ? stats : { ...before, ctimeNs: UNKNOWN };
    this.written.push({ path: relativeTo(this.root, to), size, sha256, state: recorded(state) });
  }

  /** Temporary files of killed runs are tidied once per directory by the batch, not once per item. */
  readdir(path: string): Promise<string[]> {
    return this.isOwn === null ? Promise.resolve([]) : this.base.readdir(path);
  }

  async stat(path: string): Promise<Stats> {
    try {
      return await this.base.stat(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') this.missed.add(path);
      throw error;
    }
  }

  lstat(path: string): Promise<Stats> {
    return this.base.lstat(path);
  }

  unlink(path: string): Promise<void> {
    return this.base.unlink(path);
  }

  mkdir(path: string): Promise<void> {
    return this.base.mkdir(path);
  }

  /** Everything that was read, with `first` in front; null where a file has changed since. */
  async reads(first: string): Promise<readonly ReadRecord[] | null> {
    const records: ReadRecord[] = [];
    for (const [path, { stats, ranges }] of this.readings) {
      const merged = mergeRanges(ranges);
      const digest = await hashRanges(this.base, path, merged);
      if (digest === null || !isSameState(digest.state, stats)) return null;
      const record = {
        path: relativeTo(this.root, path),
        size: digest.size,
        ranges: merged,
        sha256: digest.sha256,
        state: recorded(stats),
      };
      if (record.path === first) records.unshift(record);
      else records.push(record);
    }
    return records[0]?.path === first ? records : null;
  }

  /** Files that were looked for, such as configs beside a model, and are not there: with them a cut may be another. */
  async absent(): Promise<readonly string[]> {
    const looked = await Promise.all(
      [...this.missed].map(async (path) => ((await orNothing(this.base.stat(path), path)) === null ? [path] : [])),
    );
    return looked.flat().map((path) => relativeTo(this.root, path));
  }

  writes(): readonly WrittenRecord[] {
    return this.written;
  }
}

function isTemporary(path: string): boolean {
  return /^\.featx-.*\.tmp$/.test(basename(path));
}

/** A state as it stands in a record. */
export function recorded({ dev, ino, mtimeNs, ctimeNs }: FileState): RecordedState {
  return { dev: String(dev), ino: String(ino), mtime_ns: String(mtimeNs), ctime_ns: String(ctimeNs) };
}

/** The state that a file had when it was recorded. */
export function stateOf({ size, state: { dev, ino, mtime_ns, ctime_ns } }: ReadRecord | WrittenRecord): FileState {
  return {
    dev: BigInt(dev),
    ino: BigInt(ino),
    size: BigInt(size),
    mtimeNs: BigInt(mtime_ns),
    ctimeNs: BigInt(ctime_ns),
  };
}

/** Sorted and joined, as a flat list. */
function mergeRanges(ranges: readonly (readonly [number, number])[]): readonly number[] {
  const merged: number[] = [];
  for (const [start, end] of [...ranges].sort(([a], [b]) => a - b)) {
    if (end <= start) continue;
    const last = merged.length - 1;
    if (last > 0 && start <= merged[last] + GAP) merged[last] = Math.max(merged[last], end);
    else merged.push(start, end);
  }
  return merged;
}
