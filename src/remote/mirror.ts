import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { IoError } from '../errors.js';
import { errnoOf, ioError, openAfresh, orNothing, writeFully, type FileHandle, type FileSystem } from '../wire/fs.js';
import { parseJson } from '../wire/json.js';
import { TemporaryFile } from '../wire/temporary-file.js';
import type { RemoteAddress } from './address.js';
import type { Version } from './answers.js';
import { RangeSet } from './ranges.js';
import type { RangeStore } from './store.js';

/**
 * A mirror is a sparse file of the size of a remote one, in which what was fetched stands at its own place, and a
 * record of what is real: a hole reads as zeros, and would be weights that nobody trained. The record names its data
 * file, whose name is never used again, so that it says nothing of any other; and it is written when the data have
 * reached the device.
 */
export interface MirrorRecord {
  readonly schema: 1;
  /** As it is shown; the name of the record says the rest. */
  readonly url: string;
  readonly size_bytes: number;
  readonly etag: string | null;
  readonly last_modified: string | null;
  readonly linked_etag: string | null;
  readonly data: string;
  readonly ranges: readonly (readonly [start: number, end: number])[];
}

const RECORD = '.mirror.json';
const DATA = /^[0-9a-f]{48}-[0-9a-f]{16}\.data$/;

/** The name of all mirrors of a URL begins with this. */
export function mirrorPrefix(url: string): string {
  return hashed(url).slice(0, 32);
}

function recordName(url: string, { size, etag, lastModified, linkedEtag }: Version): string {
  return `${mirrorPrefix(url)}${hashed(JSON.stringify([size, linkedEtag ?? etag ?? lastModified])).slice(0, 16)}${RECORD}`;
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Bytes of a remote file in a sparse file on this machine. */
export class MirrorStore implements RangeStore {
  private isSuperseded = false;

  private constructor(
    readonly path: string,
    readonly have: RangeSet,
    private readonly handle: FileHandle,
    private readonly fs: FileSystem,
    /** Where the record is, and what it says but for the ranges; null for a mirror that does not outlive its use. */
    private readonly record: { readonly path: string; readonly head: Omit<MirrorRecord, 'ranges'> } | null,
  ) {}

  /**
   * The mirror of one version of a file: what earlier runs fetched of it, or an empty one.
   * @param isKept whether later runs may believe it, for which the version must be known
   * @throws IoError
   */
  static async open(
    folder: string,
    address: RemoteAddress,
    version: Version,
    { fs, isKept }: { readonly fs: FileSystem; readonly isKept: boolean },
  ): Promise<MirrorStore> {
    await fs.mkdir(folder).catch((error: unknown) => {
      throw ioError(error, 'create the cache', folder);
    });
    const path = join(folder, recordName(address.url, version));
    const known = isKept ? await readRecord(path, fs) : null;
    const opened = known === null ? null : await MirrorStore.reopen(path, known, fs);
    if (opened !== null) return opened;
    const data = `${basename(path, RECORD)}-${randomBytes(8).toString('hex')}.data`;
    const head = {
      schema: 1,
      url: address.shown,
      size_bytes: version.size,
      etag: version.etag,
      last_modified: version.lastModified,
      linked_etag: version.linkedEtag,
      data,
    } as const;
    const target = join(folder, data);
    const handle = await openAfresh(fs, target, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600).catch(
      (error: unknown) => {
        throw ioError(error, 'create a file in the cache', target);
      },
    );
    try {
      await handle.truncate(version.size);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await fs.unlink(target).catch(() => undefined);
      throw ioError(error, 'give its size to', target);
    }
    const store = new MirrorStore(target, new RangeSet(), handle, fs, isKept ? { path, head } : null);
    // At once, so that others that open it share these data.
    await store.save(true);
    return store;
  }

  /** A mirror that is there, by its record. @returns null if its data are not */
  static async reopen(path: string, record: MirrorRecord, fs: FileSystem): Promise<MirrorStore | null> {
    const target = join(dirname(path), record.data);
    const handle = await openAfresh(fs, target, constants.O_RDWR | constants.O_NOFOLLOW).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return null;
      throw ioError(error, 'open', target);
    });
    if (handle === null) return null;
    const { size } = await handle.stat();
    if (Number(size) !== record.size_bytes) {
      await handle.close();
      return null;
    }
    const ranges = new RangeSet(record.ranges.map(([start, end]) => ({ start, end })));
    const { ranges: _ranges, ...head } = record;
    return new MirrorStore(target, ranges, handle, fs, { path, head });
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    await this.readInto(bytes, start);
    return bytes;
  }

  async readInto(bytes: Uint8Array, start: number): Promise<void> {
    if (!this.have.has({ start, end: start + bytes.length }))
      throw new Error(`bytes ${start} to ${start + bytes.length} of ${this.path} were not fetched`);
    for (let done = 0; done < bytes.length; ) {
      const count = await this.handle.read(bytes.subarray(done), start + done).catch((error: unknown) => {
        if (errnoOf(error) === 'EINTR') return null;
        throw ioError(error, 'read', this.path);
      });
      if (count === 0)
        throw new IoError(`${this.path} became shorter while it was used`, {
          code: 'FEATX_IO_CHANGED',
          path: this.path,
        });
      done += count ?? 0;
    }
  }

  async write(bytes: Uint8Array, start: number): Promise<void> {
    await writeFully(this.handle, bytes, start, this.path);
    this.have.add(start, start + bytes.length);
  }

  /** Data first, then the record; with what others have recorded meanwhile of the same data. */
  async save(isNew = false): Promise<void> {
    const { record, handle, fs, have } = this;
    if (record === null) return;
    const ranges = [...have];
    await handle.sync().catch((error: unknown) => {
      throw ioError(error, 'write', this.path);
    });
    const now = await readRecord(record.path, fs);
    // It was removed, or another's data stand for this version now; what is there stays good for this run.
    if (!isNew && now?.data !== record.head.data) {
      this.isSuperseded = true;
      return;
    }
    const all = new RangeSet(ranges);
    for (const [start, end] of now?.data === record.head.data ? now.ranges : []) all.add(start, end);
    const text = JSON.stringify({ ...record.head, ranges: [...all].map(({ start, end }) => [start, end]) });
    const bytes = new TextEncoder().encode(`${text}\n`);
    const file = await TemporaryFile.create(dirname(record.path), fs);
    try {
      await file.write(bytes, 0);
      await file.seal(bytes.length);
      await file.commit(record.path);
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
    if (this.record === null || this.isSuperseded) await this.fs.unlink(this.path).catch(() => undefined);
  }
}

const LARGEST_RECORD = 16 * 1024 * 1024;

/** A record that can be believed; null if there is none. */
export async function readRecord(path: string, fs: FileSystem): Promise<MirrorRecord | null> {
  const state = await orNothing(fs.stat(path), path);
  if (state === null || !state.isFile() || state.size > LARGEST_RECORD) return null;
  const handle = await openAfresh(fs, path, constants.O_RDONLY).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null;
    throw ioError(error, 'open', path);
  });
  if (handle === null) return null;
  try {
    const bytes = new Uint8Array(Number(state.size));
    for (let at = 0; at < bytes.length; ) {
      const count = await handle.read(bytes.subarray(at), at);
      if (count === 0) return null;
      at += count;
    }
    const record: unknown = parseJson(new TextDecoder().decode(bytes));
    return isRecordOf(record, basename(path)) ? record : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw ioError(error, 'read', path);
  } finally {
    await handle.close();
  }
}

function isRecordOf(value: unknown, name: string): value is MirrorRecord {
  const { schema, url, size_bytes: size, data, ranges } = (value ?? {}) as { readonly [key: string]: unknown };
  return (
    schema === 1 &&
    typeof url === 'string' &&
    Number.isSafeInteger(size) &&
    typeof data === 'string' &&
    DATA.test(data) &&
    data.startsWith(basename(name, RECORD)) &&
    Array.isArray(ranges) &&
    ranges.every((range: unknown) => isRangeWithin(range, Number(size)))
  );
}

function isRangeWithin(range: unknown, size: number): boolean {
  if (!Array.isArray(range) || range.length !== 2) return false;
  const [start, end] = range as readonly unknown[];
  return (
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(end) &&
    0 <= Number(start) &&
    Number(start) < Number(end) &&
    Number(end) <= size
  );
}

/** The records of a folder, or those of one URL. @throws IoError */
export async function recordsIn(folder: string, fs: FileSystem, prefix = ''): Promise<readonly string[]> {
  const names = await fs.readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw ioError(error, 'list', folder);
  });
  return names
    .filter((name) => name.endsWith(RECORD) && name.startsWith(prefix))
    .sort()
    .map((name) => join(folder, name));
}

/** Data files of a folder that no record names. */
export async function strayData(folder: string, fs: FileSystem): Promise<readonly string[]> {
  const records = await Promise.all((await recordsIn(folder, fs)).map((path) => readRecord(path, fs)));
  const named = new Set(records.map((record) => record?.data));
  const names = await fs.readdir(folder).catch(() => []);
  return names.filter((name) => DATA.test(name) && !named.has(name)).map((name) => join(folder, name));
}
