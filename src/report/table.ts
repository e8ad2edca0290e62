import { paint, type TextStyle } from './style.js';
import { displayWidth, padEnd, padStart, shorten } from './width.js';

/** A column of a table: its title, and how it gives way if the table is too wide. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right' | 'center';
  /** Narrowest width this column may be cut to; absent: it is never cut. */
  readonly least?: number;
  /** Left out when the table does not fit otherwise; the highest number goes first. */
  readonly expendable?: number;
  readonly dim?: boolean;
}

const COLUMN_GAP = '  ';
/** Where nothing bounds a line, one long name must not pad every other one to its length. */
const WIDEST_PADDING = 200;

/**
 * Rows under their titles, in columns that fit `style.width`: long cells lose their middle, then expendable columns go.
 * Cells are escaped already.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: TextStyle,
): string {
  const { kept, widths } = fitted(columns, rows, style.width);
  const ellipsis = style.unicode ? '…' : '...';
  const line = (cells: readonly string[], emphasis?: 'bold'): string => {
    const drawn = kept.map((at, place) => {
      const { align, dim } = columns[at];
      const text = style.width === null ? cells[at] : shorten(cells[at], widths[place], ellipsis);
      const padded =
        align === 'right'
          ? padStart(text, widths[place])
          : align === 'center'
            ? center(text, widths[place])
            : padEnd(text, widths[place]);
      return emphasis ? paint(style, emphasis, padded) : dim ? paint(style, 'dim', padded) : padded;
    });
    return drawn.join(COLUMN_GAP).trimEnd();
  };
  return [
    line(
      columns.map(({ title }) => title),
      'bold',
    ),
    ...rows.map((row) => line(row)),
  ]
    .map((text) => `${text}\n`)
    .join('');
}

function center(text: string, width: number): string {
  return padEnd(padStart(text, displayWidth(text) + Math.floor((width - displayWidth(text)) / 2)), width);
}

/** Which columns are shown, and how wide. */
function fitted(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  available: number | null,
): { kept: readonly number[]; widths: readonly number[] } {
  const natural = columns.map(({ title }, at) => Math.max(displayWidth(title), ...widest(rows, at)));
  let kept = columns.map((_, at) => at);
  if (available === null) return { kept, widths: natural.map((width) => Math.min(width, WIDEST_PADDING)) };
  for (;;) {
    const widths = kept.map((at) => Math.min(natural[at], available));
    let excess = sum(widths) + COLUMN_GAP.length * (kept.length - 1) - available;
    const slack = (place: number): number =>
      widths[place] - Math.min(widths[place], columns[kept[place]].least ?? Infinity);
    while (excess > 0) {
      const place = widths.reduce(
        (best, _, at) => (slack(at) > 0 && (best < 0 || widths[at] > widths[best]) ? at : best),
        -1,
      );
      if (place < 0) break;
      const taken = Math.min(slack(place), excess, Math.max(1, widths[place] - secondWidest(widths, place)));
      widths[place] -= taken;
      excess -= taken;
    }
    const expendable = kept
      .filter((at) => columns[at].expendable !== undefined)
      .sort((a, b) => (columns[b].expendable ?? 0) - (columns[a].expendable ?? 0));
    if (excess <= 0 || expendable.length === 0) return { kept, widths };
    kept = kept.filter((at) => at !== expendable[0]);
  }
}

function widest(rows: readonly (readonly string[])[], at: number): readonly number[] {
  let width = 0;
  for (const row of rows) width = Math.max(width, displayWidth(row[at]));
  return [width];
}

function secondWidest(widths: readonly number[], except: number): number {
  let width = 0;
  for (const [at, value] of widths.entries()) if (at !== except) width = Math.max(width, value);
  return width;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
