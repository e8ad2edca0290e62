import type { TensorValue } from '../onnx/tensor-value.js';
import type { RowRange } from './lazy-array.js';
import type { Entry } from './provenance.js';
import type { ValueMemory } from './tensor.js';
import type { Preprocessing } from '../preprocessing/recipe.js';

/** Values of an input from one place; entries are counted along axis 0. */
export interface InputItem {
  readonly file: string | null;
  readonly rows: number;
  /** Whether it gives as many entries as are asked for (random values); `rows` is then what it gives on its own. */
  readonly isEndless: boolean;
  /** Shape of one entry, null where a picture brings its own size; null for a scalar. */
  readonly rest: readonly (number | null)[] | null;
  /** Whether an entry is a run of its own, so that others may have other sizes. */
  readonly isAlone: boolean;
  /** How a picture is prepared; null for what is no picture. */
  readonly picture: Preprocessing | null;
  /** How many samples it gives, if it is a file of sound. */
  readonly samples?: number;
  /** Where each entry came from, if that is not a place in `file`. */
  readonly entries?: readonly Entry[];
  /** The values of some entries, in memory that goes back to where it came from. */
  readonly read: (rows: RowRange, memory?: ValueMemory) => Promise<TensorValue>;
}

/** What one input of the model is fed with. */
export interface PlannedInput {
  readonly name: string;
  readonly items: readonly InputItem[];
  /** Whether its entries are split over batches; otherwise all of it goes into each. */
  readonly isBatched: boolean;
  /** Whether its axis 0 counts entries; otherwise an entry is the whole input, and a batch has one. */
  readonly hasBatchAxis: boolean;
}
