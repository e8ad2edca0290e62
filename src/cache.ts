import { UsageError } from './errors.js';
import { assertList, called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import { cacheEntries, checkEntry, removeEntries, type CacheEntry, type CacheState } from './remote/cache.js';
import { settingsOf } from './remote/settings.js';
import type { CacheEntryRecord, CacheReport } from './report/records.js';
import type { FileSystem } from './wire/fs.js';

/** What `cache` takes: the options of the table, and what only a program can give. */
export type CacheOptions = OptionsOf<'cache'> & { readonly fileSystem?: FileSystem };

/** What `cache` does: list what was fetched, remove it, or hold it against its server. */
export const CACHE_ACTIONS = ['ls', 'rm', 'verify'] as const;

/**
 * What was fetched of remote files and is kept on this machine.
 * @param urls of these only; all by default, for `rm` with `all`
 * @throws UsageError, IoError
 */
export async function cache(
  action: (typeof CACHE_ACTIONS)[number],
  urls: readonly string[] = [],
  options: CacheOptions = {},
): Promise<CacheReport> {
  return called('cache', options, async () => {
    const started = performance.now();
    if (!CACHE_ACTIONS.includes(action))
      throw new UsageError(`cache cannot '${String(action)}'; it can ${CACHE_ACTIONS.join(', ')}`);
    assertList<string>('the URLs', urls, 'texts', (url) => typeof url === 'string');
    const { remote, all = false, fileSystem, signal } = options;
    if (action === 'rm' && urls.length === 0 && !all)
      throw new UsageError('nothing says what to remove', {
        hint: `name URLs, or remove everything with ${option('all', true)}`,
      });
    const settings = settingsOf(remote, { fileSystem, signal });
    const entries = await cacheEntries(settings, urls);
    if (action === 'rm') await removeEntries(entries, settings, urls.length === 0);
    const records: CacheEntryRecord[] = [];
    for (const entry of entries)
      records.push(recordOf(entry, action === 'verify' ? await checkEntry(entry, settings) : {}));
    return {
      schema: 1,
      command: 'cache',
      action,
      folder: settings.folder,
      entries: records,
      warnings: [],
      elapsed_ms: Math.round(performance.now() - started),
    };
  });
}

function recordOf({ record, fetchedBytes, fetchedAt }: CacheEntry, state: Partial<CacheState>): CacheEntryRecord {
  return {
    url: record.url,
    size_bytes: record.size_bytes,
    fetched_bytes: fetchedBytes,
    etag: record.etag,
    fetched_at: fetchedAt.toISOString(),
    ...state,
  };
}
