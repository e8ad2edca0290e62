import type { Dim } from '../onnx/records.js';

/** What the record of a cut says of its inputs. */

/** A tensor that a cut begins with. */
export interface BeginningRecord {
  /** As it was asked for. */
  readonly name: string;
  readonly tensor: string;
  /** Name of the input that it is. */
  readonly input: string;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  /** What it is in the model: made by a node, an input, or a weight. */
  readonly source: 'node' | 'input' | 'initializer';
}

/** The shape of a tensor in front of a cut. */
export interface FoldedShapeRecord {
  /** The tensor that held the sizes. */
  readonly tensor: string;
  /** The tensor whose sizes they are. */
  readonly of: string;
  readonly sizes: readonly (number | string)[];
}

/** A size that was asked for, and the axes of inputs that have it. */
export interface DimRecord {
  /** The symbol, or the input and axis, as it was asked for. */
  readonly dim: string;
  readonly size: number | string;
  readonly at: readonly { readonly input: string; readonly axis: number }[];
}
