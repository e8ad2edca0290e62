import type { Dim } from '../onnx/records.js';

/** What `common` returns. */
export interface CommonReport {
  readonly schema: 1;
  readonly command: 'common';
  readonly models: readonly string[];
  /** Values of the first model that nodes compute from its inputs, and how many of them every model has. */
  readonly values: number;
  readonly common: number;
  /** Where the models part, in the names of the first; empty if they are the same. */
  readonly frontier: readonly {
    readonly tensor: string;
    readonly dtype: string | null;
    readonly shape: readonly Dim[] | null;
  }[];
  /** The same in the names of each model. */
  readonly tensor_in: { readonly [model: string]: readonly string[] };
  /** Weights of the trunk, and those of the first model. */
  readonly shared_weights_bytes: number;
  readonly weights_bytes: number;
  /** Null if the models are the same. */
  readonly first_difference: {
    readonly tensor: string;
    readonly kind: 'weights' | 'attributes' | 'operator' | 'end';
    readonly what: string;
    /** How far, if it is the values of a weight of floats: in standard deviations of the first, and how many differ. */
    readonly distance?: { readonly deviations: number | null; readonly differing: number; readonly values: number };
  } | null;
  /** Files that were written, under `--split`. */
  readonly trunk?: string;
  readonly heads?: readonly string[];
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}
