import { poolOf, type Pool } from '../options/steps.js';
import type { Cast, Concat } from '../options/choices.js';
import type { Dim } from '../onnx/records.js';
import type { Layout } from '../features/feature.js';

/** A linear map of channels: [rows, columns], and what is subtracted from the channels before it. */
export interface Projection {
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float32Array;
  readonly mean: Float32Array | null;
}

/** What is computed of every feature before it leaves, in this order. */
export interface Steps {
  readonly pool: Pool | null;
  readonly flatten: boolean;
  readonly project: Projection | null;
  readonly normalize: boolean;
  readonly concat: Concat | null;
  readonly cast: Cast | null;
}

/** Features leave as they are. */
export const NO_STEPS: Steps = {
  pool: null,
  flatten: false,
  project: null,
  normalize: false,
  concat: null,
  cast: null,
};

/** Whether anything is computed of features before they leave. */
export function hasSteps(steps: Steps): boolean {
  return Object.values(steps).some((step) => step !== null && step !== false);
}

/** What a caller asks for; the files of a projection are already read. */
export interface AskedSteps {
  readonly pool?: string;
  readonly flatten?: boolean;
  readonly projection?: Projection | null;
  readonly normalize?: boolean;
  readonly concat?: boolean | Concat;
  readonly cast?: Cast;
}

/** The steps that a caller asks for. */
export function stepsOf({ pool, flatten, projection, normalize, concat, cast }: AskedSteps): Steps {
  return {
    pool: pool === undefined ? null : poolOf(pool),
    flatten: flatten ?? false,
    project: projection ?? null,
    normalize: normalize ?? false,
    concat: concat === true ? 'linear' : concat || null,
    cast: cast ?? null,
  };
}

/** A step as a cut remembers it and a report shows it. */
export type StepRecord =
  | { readonly step: 'pool'; readonly kind: Exclude<Pool['kind'], 'gem' | 'mean' | 'last'> }
  | { readonly step: 'pool'; readonly kind: 'gem'; readonly p: number }
  | { readonly step: 'pool'; readonly kind: 'max' | 'mean' | 'last'; readonly mask: string | null }
  | { readonly step: 'flatten' }
  | { readonly step: 'project'; readonly rows: number; readonly columns: number; readonly mean: boolean }
  | { readonly step: 'normalize' }
  | { readonly step: 'concat'; readonly resize: Concat | null }
  | { readonly step: 'cast'; readonly dtype: 'float16' }
  | { readonly step: 'cast'; readonly dtype: 'int8'; readonly scale: number; readonly zero_point: 0 };

/** A tensor on its way out. */
export interface StepValue {
  readonly tensor: string;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  /** Null for vectors, and where it is not known. */
  readonly layout: Layout | null;
  readonly prefixTokens: number;
  /** How many channels there are, if it is known. */
  readonly channels: number | null;
}
