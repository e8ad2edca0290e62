import type { Dim } from '../onnx/records.js';

/** What `split` writes beside the parts, and what it returns. */

/** One part of a model. */
export interface PartRecord {
  /** Name of its file, beside the manifest. */
  readonly file: string;
  /** Null under `--dry-run`. */
  readonly sha256: string | null;
  /** `from`: the number of the part that makes it, counted from 1, or `model` for an input of the model. */
  readonly inputs: readonly { readonly name: string; readonly from: number | 'model' }[];
  readonly outputs: readonly string[];
  readonly nodes: number;
  readonly weights_bytes: number;
  readonly size_bytes: number;
}

/** A tensor that one part hands on to a later one. */
export interface FrontierRecord {
  readonly tensor: string;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  /** At nominal sizes; null where they are not known. */
  readonly bytes: number | null;
}

/** What lies between two parts. */
export interface CutRecord {
  /** As it was asked for; null where the place was found. */
  readonly at: string | null;
  readonly frontier: readonly FrontierRecord[];
}

/** What the parts of a model are, and how they go together: `<name>.split.json`. */
export interface SplitManifest {
  readonly schema: 1;
  readonly model: {
    readonly file: string | null;
    readonly size_bytes: number;
    /** Of all bytes but large weights, and of sampled blocks. */
    readonly fingerprint: string;
  };
  /** Names of the outputs of the model. */
  readonly outputs: readonly string[];
  readonly parts: readonly PartRecord[];
  readonly cuts: readonly CutRecord[];
  /** Weights that several parts hold. */
  readonly shared_weights: { readonly count: number; readonly bytes: number };
}

/** What `split` returns. */
export interface SplitReport extends Omit<SplitManifest, 'model'> {
  readonly command: 'split';
  readonly input: string | null;
  /** Path of the manifest. */
  readonly manifest: string;
  readonly weights: 'keep' | 'embed' | 'external' | 'reference';
  /** The largest part against one of equal parts; null where the places were given. */
  readonly imbalance: number | null;
  /** Null if it was not asked for. */
  readonly verified: boolean | null;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}
