import type { FreedRecord } from '../rewrite/freed.js';
import type { Dim } from '../onnx/records.js';
import type { RecipeWords } from '../preprocessing/stored.js';
import type { PixelsRecord } from '../rewrite/pixels.js';
import type { StepRecord } from '../rewrite/steps.js';
import type { BeginningRecord, DimRecord, FoldedShapeRecord } from './cut-records.js';

/** What `extract` returns and `--json` prints. */

/** A feature of a cut, and the output that carries it. */
export interface ExtractedFeatureRecord {
  /** Index into the model's FeatureInfo or the group; null if it was selected by name. */
  readonly index: number | null;
  /** The group that the index counts in, where it is not the FeatureInfo. */
  readonly group?: string;
  readonly module: string | null;
  readonly tensor: string;
  /** Name of the output that carries it. */
  readonly output: string;
  readonly num_chs: number | null;
  readonly reduction: number | null;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  /** How the model keeps these values, where it is in another type: codes, or a type that no runtime gives back. */
  readonly stored?: {
    readonly dtype: string | null;
    readonly scale: number | readonly number[] | null;
    readonly zero_point: number | readonly number[] | null;
  };
  /** What is computed of the tensor before it leaves; absent if it leaves as it is. */
  readonly steps?: readonly StepRecord[];
  /** The features that are one in this output (`--concat`). */
  readonly parts?: readonly FeaturePartRecord[];
}

/** One of several features in an output. */
export interface FeaturePartRecord {
  readonly index: number | null;
  readonly group?: string;
  readonly module: string | null;
  readonly tensor: string;
  readonly steps?: readonly StepRecord[];
}

/** How large a graph is. */
export interface CountRecord {
  readonly nodes: number;
  readonly initializers: number;
  readonly weights_bytes: number;
}

/** What `extract` returns. */
export interface ExtractReport {
  readonly schema: 1;
  readonly command: 'extract';
  readonly input: string | null;
  /** Null under `--dry-run` to nowhere, `-` for standard output. */
  readonly output: string | null;
  readonly mode: 'dict' | 'list' | 'hook';
  readonly weights: 'keep' | 'embed' | 'external' | 'reference';
  readonly features: readonly ExtractedFeatureRecord[];
  /** What the cut begins with, if it does not begin at the inputs of the model. */
  readonly from?: readonly BeginningRecord[];
  /** Names of all outputs of such a cut. */
  readonly outputs?: readonly string[];
  /** Inputs of the model that such a cut keeps, and those that it does not. */
  readonly inputs_kept?: readonly string[];
  readonly inputs_dropped?: readonly string[];
  /** Shapes of tensors in front of such a cut, and the sizes that stand in for them. */
  readonly shapes_folded?: readonly FoldedShapeRecord[];
  /** Sizes of inputs that were asked for: numbers, or new names of symbols. */
  readonly dims?: readonly DimRecord[];
  /** How the batch was freed. */
  readonly freed?: FreedRecord;
  /** What pixels go through in front of the network; absent if pictures come prepared. */
  readonly preprocess?: PixelsRecord;
  /** How pictures are prepared for inputs of the cut, as its metadata says; absent if nothing says it. */
  readonly preprocessing?: readonly CutPreprocessingRecord[];
  readonly kept: CountRecord;
  readonly dropped: CountRecord;
  /** Of the model file. */
  readonly size_bytes: number;
  /** The fresh sidecar, where the weights went into one. */
  readonly sidecar?: { readonly path: string | null; readonly size_bytes: number };
  /** Bytes taken over from the original as they are. */
  readonly bytes_copied: number;
  /** Null if it was not asked for. */
  readonly verified: boolean | null;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
  /** The edit itself, under `--dry-run`. */
  readonly plan?: unknown;
}

/** How pictures are prepared for an input of a cut, and who says so. */
export interface CutPreprocessingRecord extends RecipeWords {
  readonly input: string;
  readonly source: string;
  readonly path: string | null;
  readonly preset: string | null;
}
