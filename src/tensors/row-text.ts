import type { TensorValue } from '../onnx/tensor-value.js';
import { toFloat32 } from './convert.js';
import { takeAlong, type Joining } from './joining.js';
import { isStrings, stackRows } from './tensor.js';

/** The value of one entry: a number or a text, or lists of them inside each other. */
export type Cell = string | number | bigint | boolean | readonly Cell[];

/** Reads single values of a tensor as what they are: float16 decoded, bool as true and false. */
export function valueReader(tensor: TensorValue): (index: number) => string | number | bigint | boolean {
  const { dtype, data } = tensor;
  if (isStrings(data)) return (index) => data[index];
  if (dtype === 'bool') return (index) => data[index] !== 0;
  const values = dtype === 'float16' || dtype === 'bfloat16' ? toFloat32(tensor) : data;
  return (index) => values[index];
}

/** A tensor of entries, one after the other, and the shape of each. */
export interface Rows {
  readonly tensor: TensorValue;
  readonly shape: readonly number[];
}

/**
 * The entries of a batch as rows: what lies along an axis is taken apart there, and a fixed number of parts of each
 * entry keeps its axis; what one entry has alone is all its own. Null for what has no part for each entry.
 */
export function rowsOf(tensor: TensorValue, rows: number, joining: Joining | null): Rows | null {
  const { shape } = tensor;
  if (joining?.kind === 'ragged' || (rows === 1 && joining === null))
    return rows !== 1 ? null : { tensor, shape: joining === null && shape[0] === 1 ? shape.slice(1) : shape };
  if (joining?.kind !== 'along') return null;
  const { axis } = joining;
  const parts = (shape[axis] ?? 0) / rows;
  if (!Number.isInteger(parts) || axis >= shape.length) return null;
  const own = shape.flatMap((size, at) => (at !== axis ? [size] : parts === 1 ? [] : [parts]));
  if (axis === 0) return { tensor, shape: own };
  const entries = Array.from({ length: rows }, (_, at) => takeAlong(tensor, axis, at * parts, (at + 1) * parts));
  return { tensor: stackRows(entries.map(({ dtype, data }) => ({ dtype, shape: [1, ...own], data }))), shape: own };
}

/** The values of an entry, one after the other from `start` on, as a cell of that shape. */
export function cellOf(read: (index: number) => Cell, shape: readonly number[], start: number): Cell {
  if (shape.length === 0) return read(start);
  const [count, ...rest] = shape;
  const width = rest.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, index) => cellOf(read, rest, start + index * width));
}

/** Digits that tell every float32 from the next; seven are often enough. */
const MOST_DIGITS = 9;
/** Whole numbers below it are float32 themselves. */
const EXACT_INTEGERS = 2 ** 24;

/** The fewest digits that read back as the same float32. */
function shortFloat(value: number): string {
  for (let digits = 7; digits < MOST_DIGITS; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(MOST_DIGITS)));
}

/** Writes values as JSON and counts those that JSON has no word for. */
export class JsonValues {
  /** Values that are not a number or infinite, and stand as null. */
  nulls = 0;

  /** @param isShort whether numbers have no more precision than a float32 */
  text(cell: Cell, isShort: boolean): string {
    if (typeof cell === 'string') return JSON.stringify(cell);
    if (typeof cell === 'number') return this.number(cell, isShort);
    if (typeof cell === 'object') return `[${cell.map((inner) => this.text(inner, isShort)).join(',')}]`;
    return String(cell);
  }

  private number(value: number, isShort: boolean): string {
    if (!Number.isFinite(value)) {
      this.nulls++;
      return 'null';
    }
    if (Object.is(value, -0)) return '-0';
    return !isShort || (Number.isInteger(value) && Math.abs(value) < EXACT_INTEGERS)
      ? String(value)
      : shortFloat(value);
  }
}

/** Whether values of a dtype have no more precision than a float32. */
export function isShortFloat(dtype: string): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';
}
