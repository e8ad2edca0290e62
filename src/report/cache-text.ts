import { escapeText } from './escape.js';
import type { CacheReport } from './records.js';
import type { TextStyle } from './style.js';
import { renderTable } from './table.js';
import { bytesText } from './units.js';
import { plural } from '../wire/counted.js';

/** What was fetched, or what became of it. */
export function cacheText({ action, folder, entries }: CacheReport, style: TextStyle): string {
  const total = entries.reduce((sum, entry) => sum + entry.fetched_bytes, 0);
  const sum = `${plural(entries.length, 'file')}, ${bytesText(total)}, in ${escapeText(folder)}\n`;
  if (action === 'rm') return `removed ${sum}`;
  const columns = [
    { title: 'url', least: 20 },
    { title: 'fetched', align: 'right' },
    { title: 'of', align: 'right' },
    { title: action === 'verify' ? 'state' : 'last' },
    ...(action === 'verify' ? [{ title: 'because', least: 10, expendable: 1 }] : []),
  ] as const;
  const rows = entries.map(({ url, fetched_bytes: fetched, size_bytes: size, fetched_at: at, state, reason }) => [
    escapeText(url),
    bytesText(fetched),
    bytesText(size),
    ...(action === 'verify' ? [state ?? '', escapeText(reason ?? '')] : [at.slice(0, 10)]),
  ]);
  return (entries.length === 0 ? '' : renderTable(columns, rows, style)) + sum;
}
