import { escapeText } from './escape.js';
import type { PageReport } from './page-records.js';
import type { TextStyle } from './style.js';
import { renderTable } from './table.js';
import { bytesText, plural } from './units.js';

/** What was drawn, and the numbers that warn. */
export function pageText(
  { features, input_check: check, output, size_bytes: size, entries, pictures }: PageReport,
  style: TextStyle,
): string {
  const table = renderTable(
    [
      { title: 'feature' },
      { title: 'channels', align: 'right' },
      { title: 'silent', align: 'right' },
      { title: 'zeros', align: 'right' },
      { title: 'explained', align: 'right' },
      { title: 'tensor', least: 10, expendable: 1 },
    ],
    features.map(({ output: name, channels, silent_channels: silent, zeros_share: zeros, explained, tensor }) => [
      escapeText(name),
      String(channels),
      silent === null ? '-' : String(silent),
      `${(zeros * 100).toFixed(0)} %`,
      explained.map((share) => `${(share * 100).toFixed(0)}`).join('/') || '-',
      escapeText(tensor),
    ]),
    style,
  );
  const checked = (check ?? []).map(
    ({ name, silent_channels: silent, is_used: isUsed }) =>
      `  ${name}${isUsed ? ' (used)' : ''}: ${silent === null ? 'one vector, of which no channel can be called silent' : `${plural(silent, 'silent channel')} in the last feature`}\n`,
  );
  const files = pictures.length === 0 ? '' : `, ${plural(pictures.length, 'picture')}`;
  return `${table}${checked.join('')}wrote ${escapeText(output)}  ${bytesText(size)}, ${plural(entries, 'entry').replace(/entrys$/, 'entries')}${files}\n`;
}
