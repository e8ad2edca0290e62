import { escapeText } from './escape.js';
import type { PageReport } from './page-records.js';
import { inputVerdict } from './input-check.js';
import { paint, type TextStyle } from './style.js';
import { renderTable } from './table.js';
import { bytesText } from './units.js';
import { plural } from '../wire/counted.js';

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
  const words = [
    ...(features.some(({ silent_channels: silent }) => silent !== null)
      ? ['silent: channels with one value in every cell']
      : []),
    'zeros: values that are 0',
    ...(features.some(({ explained }) => explained.length > 0)
      ? ['explained: per cent of the variance of the first entry in its first components']
      : []),
  ];
  const legend = `${paint(style, 'dim', words.join('; '))}\n`;
  const verdict = check === null ? '' : `input check: ${inputVerdict(check).text}\n`;
  const compared = (check ?? []).some(({ silent_channels: silent }) => silent !== null) ? (check ?? []) : [];
  const checked = compared.map(
    ({ name, silent_channels: silent, is_used: isUsed }) =>
      `  ${name}${isUsed ? ' (used)' : ''}: ${plural(silent ?? 0, 'silent channel')} in the last feature\n`,
  );
  const files = pictures.length === 0 ? '' : `, ${plural(pictures.length, 'picture')}`;
  return `${table}${legend}${checked.join('')}${verdict}wrote ${escapeText(output)}  ${bytesText(size)}, ${plural(entries, 'entry')}${files}\n`;
}
