import type { Dim } from '../onnx/records.js';
import { EMBEDDING_ROLES, type EmbeddingRole, type HookType, type Layout } from '../options/choices.js';

export type { HookType, Layout };

/** The axis of a feature that its channels lie on. */
export const CHANNEL_AXIS: { readonly [L in Layout]: number } = { NCHW: 1, NHWC: 3, NLC: 2, NCL: 1 };

/** The axes that are its places: height and width, or the tokens. */
export const PLACE_AXES: { readonly [L in Layout]: readonly number[] } = {
  NCHW: [2, 3],
  NHWC: [1, 2],
  NLC: [1],
  NCL: [2],
};

/** How the axes of a layout are put into the order of another one of its rank: their letters say which is which. */
export function permutation(from: Layout, to: Layout): readonly number[] {
  return Array.from(to, (letter) => from.indexOf(letter));
}

/** What found a feature. */
export type ResolverName = 'explicit' | 'metadata' | 'sequence' | 'module-path' | 'topology';

/** high: nearly always right; medium: usually; low: a guess from the shape of the graph alone. */
export type Confidence = 'high' | 'medium' | 'low';

/** How quantised codes become values: `(code - zeroPoint) * scale`; one of each for the tensor, or one per channel. */
export interface Codes {
  /** Null where they are computed, or the file keeps them elsewhere. */
  readonly scale: number | readonly number[] | null;
  readonly zeroPoint: number | readonly number[] | null;
  /** The tensors of the file that hold them, `''` for no zero point; absent in what a cut remembers. */
  readonly tensors?: { readonly scale: string; readonly zeroPoint: string };
}

/** What a tensor is as a feature. Null where nothing says. */
export interface TensorFacts {
  readonly numChs: number | null;
  /** Nominal stride against the model's input: the product of the strides on the way. */
  readonly reduction: number | null;
  /** numpy's word. */
  readonly dtype: string | null;
  /** May be printed and written: symbols where they are proven, never a nominal number. */
  readonly shape: readonly Dim[] | null;
  readonly layout: Layout | null;
  /** Tokens in front of the map's own (class token, registers); 0 for maps. */
  readonly prefixTokens: number;
  /** Where the tensor holds quantised codes; null or absent where it holds values. */
  readonly codes?: Codes | null;
  /**
   * Where ONNX Runtime keeps the tensor in blocks of channels (NCHWc): the channels it has without what fills the last
   * block.
   */
  readonly blocked?: number | null;
  /**
   * Height and width of the map behind a token axis, with nominal numbers; null for maps, where unknown, and where
   * tokens are not in the order of a map (Hiera).
   */
  readonly grid: readonly [number, number] | null;
}

/** One entry of a model's FeatureInfo, tied to the tensor that carries it. */
export interface Feature extends TensorFacts {
  /** Absolute index into the model's FeatureInfo. */
  readonly index: number;
  /** Module path; null where the graph carries no module names. */
  readonly module: string | null;
  /** The tensor; null where the model has the feature by convention and the graph no longer holds it. */
  readonly tensor: string | null;
  /** Where the module's own value was folded away: the value after the fold, for `--allow-folded`. */
  readonly folded: string | null;
  readonly hookType: HookType;
  readonly resolvedBy: ResolverName;
  readonly confidence: Confidence;
  /** One line: why this tensor. */
  readonly because: string;
  /** What was computed of it when the model was cut; the tensor is what came of that. */
  readonly done?: CutOutput['done'];
}

/** What one resolver made of the model, for `--explain`. */
export interface Attempt {
  readonly resolver: ResolverName;
  /** One line: chosen, or why not. */
  readonly outcome: string;
  readonly features: readonly Feature[];
}

export { EMBEDDING_ROLES, type EmbeddingRole };

/** A vector per entry that stands for the whole input. */
export interface Embedding extends TensorFacts {
  readonly tensor: string;
  readonly role: EmbeddingRole;
  /** One line: why this tensor. */
  readonly because: string;
  /** What was computed of it when the model was cut; the tensor is what came of that. */
  readonly done?: CutOutput['done'];
}

/** Features beside the FeatureInfo: `neck`, `decoder`, `tower.<input name>`, `blocks`, `attention`. */
export interface FeatureGroup {
  readonly name: string;
  /** Their indices count within the group. */
  readonly features: readonly Feature[];
}

/** An output of a cut that carries a feature. */
export interface CutOutput extends TensorFacts {
  /** Null where the feature was selected by name. */
  readonly index: number | null;
  /** The group that the index counts in; null for the FeatureInfo. */
  readonly group: string | null;
  readonly module: string | null;
  readonly output: string;
  /** What was computed of the feature when the model was cut. */
  readonly done?: readonly { readonly step: string }[];
}

/** The features of a model, in order of their index, and how they were found. */
export interface Resolution {
  readonly features: readonly Feature[];
  /** Indices in use by default: all, or what a cut model was cut to. */
  readonly outIndices: readonly number[];
  readonly groups: readonly FeatureGroup[];
  /** Every vector that may be meant, the likeliest first. */
  readonly embeddings: readonly Embedding[];
  /** The first of `embeddings`; null where none is, or where nothing says which. */
  readonly embedding: Embedding | null;
  /** What a cut was made to give, in the order of its outputs; empty for any other model. */
  readonly cutOutputs: readonly CutOutput[];
  readonly tried: readonly Attempt[];
  readonly warnings: readonly string[];
}
