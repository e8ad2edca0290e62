import type { TensorValue } from '../onnx/tensor-value.js';
import { elementCount } from '../onnx/types.js';
import type { Entry } from './provenance.js';
import { cellOf, valueReader, type Cell } from './row-text.js';

/** A feature of a batch, an entry a row. */
export interface RowColumn {
  readonly key: string;
  readonly tensor: TensorValue;
  /** Shape of the values of one entry. */
  readonly shape: readonly number[];
}

/** Entries and their features. */
export interface RowBatch {
  readonly entries: readonly Entry[];
  readonly columns: readonly RowColumn[];
}

/** Turns entries into the bytes of a file, in order. */
export interface RowEncoder {
  /** Values that the format has no word for, and that stand as null. */
  readonly nulls: number;
  encode(batch: RowBatch): Promise<Uint8Array>;
  /** What comes after the last row. `provenance`: what the file says of itself, where it has a place for it. */
  end(provenance: string | undefined): Promise<Uint8Array>;
}

/** The cell of each entry in a column. */
export function cellsOf({ tensor, shape }: RowColumn, rows: number): Cell[] {
  const read = valueReader(tensor);
  const width = elementCount(shape) ?? 0;
  return Array.from({ length: rows }, (_, row) => cellOf(read, shape, row * width));
}
