import { IoError } from '../errors.js';
import { hashFile } from '../wire/hash.js';
import { ioError, orNothing } from '../wire/fs.js';
import { parseAddress } from './address.js';
import { contentOf } from './answers.js';
import { mirrorPrefix, MirrorStore, readRecord, recordsIn, strayData, type MirrorRecord } from './mirror.js';
import { openAddress } from './open-remote.js';
import { pieces, RangeSet } from './ranges.js';
import { RemoteSource } from './remote-source.js';
import type { Settings } from './settings.js';

/** A version of a remote file of which something was fetched. */
export interface CacheEntry {
  readonly record: MirrorRecord;
  /** Of the record. */
  readonly path: string;
  readonly fetchedBytes: number;
  readonly fetchedAt: Date;
}

/** How a mirror compares with what it is of. */
export interface CacheState {
  readonly state: 'good' | 'damaged' | 'outdated' | 'unchecked';
  readonly reason?: string;
}

const SAMPLES = 16;
const SAMPLE_BYTES = 4 * 1024;

/** What was fetched, of all URLs or of some. @throws IoError */
export async function cacheEntries(
  { folder, fs, hub }: Settings,
  urls: readonly string[] = [],
): Promise<readonly CacheEntry[]> {
  const prefixes = urls.length === 0 ? [''] : urls.map((url) => mirrorPrefix(parseAddress(url, hub.endpoint).url));
  const entries: CacheEntry[] = [];
  for (const prefix of prefixes)
    for (const path of await recordsIn(folder, fs, prefix)) {
      const record = await readRecord(path, fs);
      const state = await orNothing(fs.stat(path), path);
      if (record === null || state === null) continue;
      entries.push({ record, path, fetchedBytes: rangesOf(record).size, fetchedAt: new Date(Number(state.mtimeMs)) });
    }
  return entries;
}

function rangesOf({ ranges }: MirrorRecord): RangeSet {
  return new RangeSet(ranges.map(([start, end]) => ({ start, end })));
}

/** Removes mirrors, the records first; of the whole cache also data that no record names. @throws IoError */
export async function removeEntries(entries: readonly CacheEntry[], settings: Settings, isAll: boolean): Promise<void> {
  const { folder, fs } = settings;
  const data = entries.map(({ record }) => `${folder}/${record.data}`);
  const stray = isAll ? await strayData(folder, fs) : [];
  const records = isAll ? await recordsIn(folder, fs) : entries.map(({ path }) => path);
  for (const path of [...records, ...data, ...stray])
    await fs.unlink(path).catch(async (error: unknown) => {
      if ((await orNothing(fs.stat(path), path)) !== null) throw ioError(error, 'remove', path);
    });
}

/**
 * Holds a mirror against the digest that the hub gave it, where it is whole, and otherwise samples of it against the
 * server.
 */
export async function checkEntry({ record, path }: CacheEntry, settings: Settings): Promise<CacheState> {
  const store = await MirrorStore.reopen(path, record, settings.fs);
  if (store === null) return { state: 'damaged', reason: 'its data are not there, or have another size' };
  try {
    const digest = contentOf(record.linked_etag);
    if (digest !== null && store.have.has({ start: 0, end: record.size_bytes })) {
      const { sha256 } = await hashFile(settings.fs, store.path);
      return sha256 === digest
        ? { state: 'good' }
        : { state: 'damaged', reason: `its sha256 is ${sha256}, not ${digest}` };
    }
    return settings.offline
      ? { state: 'unchecked', reason: 'nothing may be fetched' }
      : await sampled(store, record, settings);
  } finally {
    await store.close();
  }
}

async function sampled(store: MirrorStore, record: MirrorRecord, settings: Settings): Promise<CacheState> {
  let source: Awaited<ReturnType<typeof openAddress>>;
  try {
    source = await openAddress(parseAddress(record.url, settings.hub.endpoint), settings, 1);
  } catch (error) {
    if (!(error instanceof IoError)) throw error;
    return { state: 'unchecked', reason: error.message };
  }
  try {
    if (!(source instanceof RemoteSource)) return { state: 'unchecked', reason: 'another cache has it whole' };
    if (source.mirror !== store.path) return { state: 'outdated', reason: 'the server has another version' };
    const blocks = pieces(store.have, SAMPLE_BYTES);
    for (let sample = 0; sample < Math.min(SAMPLES, blocks.length); sample++) {
      const { start, end } = blocks[Math.floor((sample * (blocks.length - 1)) / Math.max(1, SAMPLES - 1))];
      const [kept, fresh] = [await store.read(start, end), await source.readAfresh(start, end)];
      if (kept.some((byte, at) => byte !== fresh[at]))
        return { state: 'damaged', reason: `bytes ${start} to ${end} are not those of the server` };
    }
    return { state: 'good' };
  } finally {
    await source.close();
  }
}
