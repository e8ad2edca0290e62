import { csvCell, withoutFormula } from '../wire/spreadsheet.js';
import { escapeText } from './escape.js';

/** What a cell can hold; null is an empty one. */
export type CsvCell = string | number | null;

/**
 * One record of a CSV file, CRLF included. Text is escaped, and text that a spreadsheet would run as a formula gets an
 * apostrophe in front.
 */
export function csvLine(cells: readonly CsvCell[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(value: CsvCell): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  // A tab or a carriage return in front counts too: it is looked for before escapeText makes it visible.
  const isFormula = withoutFormula(value) !== value;
  return csvCell(`${isFormula ? "'" : ''}${escapeText(value)}`);
}
