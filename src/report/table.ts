import { paint, type TextStyle } from './style.js';
import { displayWidth, padEnd, padStart, shorten } from './width.js';

/** A column of a table: its title, and how it gives way if the table is too wide. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right' | 'center';
  /** Narrowest width this column may be cut to; absent: it is never cut. */
  readonly least?: number;
  /** Cut only once every column that is more expendable is gone. */
  readonly isFirm?: boolean;
  /** Cut last of all: what its cells say is how something is asked for. */
  readonly isKey?: boolean;
  /**
   * A tree: spaces in front of a cell say what it is in. Rows are told apart by their place in it, so that any other
   * column may go or be cut, and its lines are never drawn as records.
   */
  readonly isTree?: boolean;
  /** Left out when the table does not fit otherwise; the highest number goes first. */
  readonly expendable?: number;
  readonly dim?: boolean;
}

/** What stands between two columns. */
export const COLUMN_GAP = '  ';
/** Where nothing bounds a line, one long name must not pad every other one to its length. */
const WIDEST_PADDING = 200;

/**
 * Rows under their titles, in columns that fit `style.width`: long cells lose their middle, then expendable columns go,
 * then firm ones are cut, keys last. No two names are cut to the same. What fits in no such way is a record of lines
 * for each row. Columns that say nothing go before anything is cut. Cells are escaped already.
 * @param left takes the titles of columns that are left out; without it a line under the table names them
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: TextStyle,
  left?: Set<string>,
): string {
  const found = fitted(columns, rows, style);
  if (found === null) return stacked(columns, rows, style);
  const { kept, widths } = found;
  const line = (cells: readonly string[], emphasis?: 'bold'): string => {
    const drawn = kept.map((at, place) => {
      const { align, dim } = columns[at];
      const text = style.width === null ? cells[at] : cut(columns[at], cells[at], widths[place], style);
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
  const gone = columns
    .filter(({ title }, at) => title !== '' && !kept.includes(at) && !isEmpty(rows, at))
    .map(({ title }) => title);
  for (const title of gone) left?.add(title);
  return [
    line(
      columns.map(({ title }) => title),
      'bold',
    ),
    ...rows.map((row) => line(row)),
    ...(left === undefined && gone.length > 0
      ? [paint(style, 'dim', shorten(leftOutText(gone), style.width ?? Infinity, ellipsisOf(style)))]
      : []),
  ]
    .map((text) => `${text}\n`)
    .join('');
}

/** `not shown here: layout, tensor`. */
export function leftOutText(titles: Iterable<string>): string {
  return `not shown in this width: ${[...titles].join(', ')}`;
}

/** Whether a table is shown as it is, nothing cut and nothing left out. */
export function isRoomy(columns: readonly Column[], rows: readonly (readonly string[])[], style: TextStyle): boolean {
  if (style.width === null) return true;
  const natural = naturalWidths(columns, rows);
  return sum(natural) + COLUMN_GAP.length * (columns.length - 1) <= style.width;
}

/** Without the last column if it says what the first one says, and there is no room for both. */
export function withoutRepetition(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: TextStyle,
): readonly Column[] {
  const last = columns.length - 1;
  const isRepeated = rows.every((row) => row[0] === row[last]);
  return isRepeated && !isRoomy(columns, rows, style) ? columns.slice(0, last) : columns;
}

function cut({ isTree }: Column, cell: string, width: number, style: TextStyle): string {
  if (isTree !== true) return shorten(cell, width, ellipsisOf(style));
  const name = cell.trimStart();
  const indent = Math.max(0, Math.min(cell.length - name.length, width - Math.min(displayWidth(name), LEAST_IN_TREE)));
  return ' '.repeat(indent) + shorten(name, Math.max(1, width - indent), ellipsisOf(style));
}

/** Columns that a name deep in a tree has at least. */
const LEAST_IN_TREE = 8;

function ellipsisOf({ unicode }: TextStyle): string {
  return unicode ? '…' : '...';
}

/** Where not even the columns that must stay fit beside each other: a line for each cell. */
function stacked(columns: readonly Column[], rows: readonly (readonly string[])[], style: TextStyle): string {
  const titles = columns.map(({ title }) => title).filter((title) => title !== '');
  const title = Math.max(...titles.map(displayWidth));
  const room = Math.max(1, (style.width ?? Infinity) - title - COLUMN_GAP.length);
  const records = rows.map((row) =>
    columns.flatMap(({ title: name }, at) => {
      const cell = shorten(row[at], room, ellipsisOf(style));
      return name === '' || SAYS_NOTHING.has(cell)
        ? []
        : [`${paint(style, 'bold', padEnd(name, title))}${COLUMN_GAP}${cell}\n`];
    }),
  );
  return records.map((lines) => lines.join('')).join('\n');
}

/** Cells of what a row does not have. */
const SAYS_NOTHING = new Set(['', '-']);

/** Whether a column says nothing in any row. */
function isEmpty(rows: readonly (readonly string[])[], at: number): boolean {
  return rows.length > 0 && rows.every((row) => SAYS_NOTHING.has(row[at]));
}

function center(text: string, width: number): string {
  return padEnd(padStart(text, displayWidth(text) + Math.floor((width - displayWidth(text)) / 2)), width);
}

interface Fit {
  readonly kept: readonly number[];
  readonly widths: readonly number[];
}

function naturalWidths(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly number[] {
  return columns.map(({ title }, at) => Math.max(displayWidth(title), ...widest(rows, at)));
}

/** Which columns are shown, and how wide; null if they do not fit beside each other. */
function fitted(columns: readonly Column[], rows: readonly (readonly string[])[], style: TextStyle): Fit | null {
  const natural = naturalWidths(columns, rows);
  const { width: available } = style;
  const isTree = columns.some(({ isTree: is }) => is);
  let kept: readonly number[] = columns.map((_, at) => at);
  if (available === null) return { kept, widths: natural.map((width) => Math.min(width, WIDEST_PADDING)) };
  if (!isRoomy(columns, rows, style)) kept = kept.filter((at) => !isEmpty(rows, at));
  const leasts = new Map<number, number>();
  const leastOf = (at: number): number => {
    const { least = Infinity } = columns[at];
    const atLeast = Math.min(least, natural[at]);
    const known = leasts.get(at) ?? (isTree ? atLeast : Math.min(natural[at], distinctWidth(rows, at, atLeast, style)));
    leasts.set(at, known);
    return known;
  };
  for (;;) {
    const soft = kept.filter(
      (at) => columns[at].least !== undefined && columns[at].isFirm !== true && columns[at].isKey !== true,
    );
    const widths = squeezed(kept, natural, { available, columns: soft, leastOf });
    if (widths !== null) return withMore({ kept, widths }, natural, { columns, available });
    const [goes] = kept
      .filter((at) => columns[at].expendable !== undefined && (isTree || !isTelling(rows, kept, at)))
      .sort((a, b) => (columns[b].expendable ?? 0) - (columns[a].expendable ?? 0));
    if (goes === undefined) break;
    if (columns[goes].isFirm) {
      const cut = squeezed(kept, natural, { available, columns: cuttableOf(columns, kept), leastOf });
      if (cut !== null) return { kept, widths: cut };
    }
    kept = kept.filter((at) => at !== goes);
  }
  const cuttable = kept.filter((at) => columns[at].least !== undefined);
  const widths =
    squeezed(kept, natural, { available, columns: cuttableOf(columns, kept), leastOf }) ??
    squeezed(kept, natural, { available, columns: cuttable, leastOf });
  if (widths !== null) return { kept, widths };
  return isTree ? { kept: kept.filter((at) => columns[at].isTree), widths: [available] } : null;
}

/** Columns that may be cut before keys are. */
function cuttableOf(columns: readonly Column[], kept: readonly number[]): readonly number[] {
  return kept.filter((at) => columns[at].least !== undefined && columns[at].isKey !== true);
}

/** The same with the columns that were left out and have room after all, now that wider ones are gone. */
function withMore(
  { kept, widths }: Fit,
  natural: readonly number[],
  { columns, available }: { readonly columns: readonly Column[]; readonly available: number },
): Fit {
  const byColumn = new Map(kept.map((at, place) => [at, widths[place]]));
  const used = (): number => sum([...byColumn.values()]) + COLUMN_GAP.length * (byColumn.size - 1);
  const gone = natural
    .map((_width, at) => at)
    .filter((at) => !byColumn.has(at) && columns[at].expendable !== undefined)
    .sort((a, b) => (columns[a].expendable ?? 0) - (columns[b].expendable ?? 0));
  for (const at of gone) if (used() + COLUMN_GAP.length + natural[at] <= available) byColumn.set(at, natural[at]);
  const all = [...byColumn].sort(([a], [b]) => a - b);
  return { kept: all.map(([at]) => at), widths: all.map(([, width]) => width) };
}

interface Squeeze {
  readonly available: number;
  /** Those that may be cut. */
  readonly columns: readonly number[];
  readonly leastOf: (at: number) => number;
}

/** Widths that fit, the widest columns cut first; null if cutting does not do. */
function squeezed(
  kept: readonly number[],
  natural: readonly number[],
  { available, columns, leastOf }: Squeeze,
): readonly number[] | null {
  const widths = kept.map((at) => natural[at]);
  let excess = sum(widths) + COLUMN_GAP.length * (kept.length - 1) - available;
  const slack = (place: number): number =>
    columns.includes(kept[place]) ? widths[place] - Math.min(widths[place], leastOf(kept[place])) : 0;
  while (excess > 0) {
    const place = widths.reduce(
      (best, _, at) => (slack(at) > 0 && (best < 0 || widths[at] > widths[best]) ? at : best),
      -1,
    );
    if (place < 0) return null;
    const taken = Math.min(slack(place), excess, Math.max(1, widths[place] - secondWidest(widths, place)));
    widths[place] -= taken;
    excess -= taken;
  }
  return widths;
}

/** How wide a column must be at least so that no two of its cells are cut to the same. */
function distinctWidth(rows: readonly (readonly string[])[], at: number, least: number, style: TextStyle): number {
  const cells = new Set(rows.map((row) => row[at]));
  const longest = widest(rows, at)[0];
  for (let width = least; width < longest; width += Math.max(1, width >> 3)) {
    const cut = new Set([...cells].map((cell) => shorten(cell, width, ellipsisOf(style))));
    if (cut.size === cells.size) return width;
  }
  return Math.max(least, longest);
}

/** Whether rows are told apart by a column alone. */
function isTelling(rows: readonly (readonly string[])[], kept: readonly number[], at: number): boolean {
  const keysOf = (columns: readonly number[]): number =>
    new Set(rows.map((row) => columns.map((column) => row[column]).join('\n'))).size;
  return keysOf(kept) !== keysOf(kept.filter((other) => other !== at));
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
