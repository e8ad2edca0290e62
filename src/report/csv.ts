import { escapeText } from './escape.js';

/** What a cell can hold; null is an empty one. */
export type CsvCell = string | number | null;

/**
 * One record of a CSV file, CRLF included. Text is escaped, and text that a spreadsheet would run as a formula gets an
 * apostrophe in front.
 * @see https://www.rfc-editor.org/rfc/rfc4180
 * @see https://owasp.org/www-community/attacks/CSV_Injection
 */
export function csvLine(cells: readonly CsvCell[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(value: CsvCell): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  // A tab or a carriage return in front counts too, and escapeText has made those visible.
  const guarded = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${escapeText(value)}` : escapeText(value);
  return /[",\n\r]/.test(guarded) || guarded !== guarded.trim() ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}
