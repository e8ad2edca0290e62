import { csvCell, withoutFormula } from '../wire/spreadsheet.js';
import { encodeText } from '../wire/text.js';
import type { RowFormat } from './output-format.js';
import { ParquetEncoder } from './parquet.js';
import { cellsOf, type RowBatch, type RowColumn, type RowEncoder } from './row-encoder.js';
import { isShortFloat, JsonValues } from './row-text.js';

/** One JSON object a line. */
class JsonLines implements RowEncoder {
  private readonly values = new JsonValues();

  get nulls(): number {
    return this.values.nulls;
  }

  async encode({ entries, columns }: RowBatch): Promise<Uint8Array> {
    const cells = columns.map((column) => this.texts(column, entries.length));
    const lines = entries.map(
      ({ file, index }, row) =>
        `{"file":${JSON.stringify(file)},"index":${index}${columns.map(({ key }, at) => `,${JSON.stringify(key)}:${cells[at][row]}`).join('')}}\n`,
    );
    return encodeText(lines.join(''));
  }

  private texts(column: RowColumn, rows: number): string[] {
    const isShort = isShortFloat(column.tensor.dtype);
    return cellsOf(column, rows).map((cell) => this.values.text(cell, isShort));
  }

  async end(): Promise<Uint8Array> {
    return new Uint8Array(0);
  }
}

/** A line of names, then one line an entry; lists as JSON in quotes, as pgvector takes them. */
class CommaSeparated implements RowEncoder {
  private readonly values = new JsonValues();
  private begun = false;

  get nulls(): number {
    return this.values.nulls;
  }

  async encode({ entries, columns }: RowBatch): Promise<Uint8Array> {
    const head = this.begun ? '' : lineOf(['file', 'index', ...columns.map(({ key }) => withoutFormula(key))]);
    this.begun = true;
    const cells = columns.map((column) => this.texts(column, entries.length));
    const lines = entries.map(({ file, index }, row) =>
      lineOf([withoutFormula(file ?? ''), String(index), ...cells.map((column) => column[row])]),
    );
    return encodeText(head + lines.join(''));
  }

  private texts(column: RowColumn, rows: number): string[] {
    const isShort = isShortFloat(column.tensor.dtype);
    return cellsOf(column, rows).map((cell) => {
      if (typeof cell === 'string') return withoutFormula(cell);
      // Alone in a cell, what is not a finite number is a word that readers of CSV know.
      if (typeof cell === 'number' && !Number.isFinite(cell)) return String(cell);
      return this.values.text(cell, isShort);
    });
  }

  async end(): Promise<Uint8Array> {
    return new Uint8Array(0);
  }
}

function lineOf(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\n`;
}

const ENCODERS: { readonly [F in RowFormat]: () => RowEncoder } = {
  jsonl: () => new JsonLines(),
  csv: () => new CommaSeparated(),
  parquet: () => new ParquetEncoder(),
};

/** What encodes a format. */
export function rowEncoder(format: RowFormat): RowEncoder {
  return ENCODERS[format]();
}
