import type { MapLayout, PixelChannels } from '../options/choices.js';
import type { Dim } from '../onnx/records.js';
import type { Codes, Confidence, EmbeddingRole, Feature, HookType, Layout, ResolverName } from './feature.js';

/** Key of `metadata_props` under which a cut remembers the FeatureInfo of the model it was cut from. */
export const FEATURE_INFO_KEY = 'featx.feature_info';

/** A feature in a file: timm's keys and ours. */
export interface StoredFeature {
  readonly index: number;
  readonly module: string | null;
  readonly num_chs: number | null;
  readonly reduction: number | null;
  /** Null where the cut left it out. */
  readonly tensor: string | null;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  readonly layout: Layout | null;
  readonly hook_type: HookType;
  readonly prefix_tokens: number;
  /** Present where the tensor holds quantised codes. */
  readonly codes?: { readonly scale: Codes['scale']; readonly zero_point: Codes['zeroPoint'] };
  readonly grid: readonly [number, number] | null;
  readonly resolved_by: ResolverName;
  readonly confidence: Confidence;
  readonly because: string;
}

/** A list of features beside the FeatureInfo. */
export interface StoredGroup {
  readonly name: string;
  readonly features: readonly StoredFeature[];
}

/** One output of a cut and the feature that it carries. */
export interface StoredOutput {
  /** Null where the feature was selected by name. */
  readonly index: number | null;
  /** The group that the index counts in, where it is not the FeatureInfo. */
  readonly group?: string;
  /** Present where it is an embedding. */
  readonly embedding?: EmbeddingRole;
  readonly module: string | null;
  readonly tensor: string;
  readonly output: string;
  readonly layout: Layout | null;
  readonly prefix_tokens: number;
  /** Present where the tensor holds codes and the output the numbers that they stand for. */
  readonly codes?: StoredFeature['codes'];
  /** Present where the tensor holds blocks of channels (NCHWc) and the output a map of so many. */
  readonly blocked?: number;
  /** Present where the tensor is of a type that no runtime gives back, and the output the same as float32. */
  readonly cast_from?: string;
  /** Whether the output is another value than the tensor: in another layout, or several tensors in one. */
  readonly converted: boolean;
  /** What was computed of it before it leaves; absent if nothing was. */
  readonly steps?: readonly StoredStep[];
  /** What the steps were computed of; absent without steps, and where there are several. */
  readonly before?: StoredBefore;
  /** The features that are one in this output. */
  readonly parts?: readonly StoredPart[];
}

/** A step between a feature and the output of a cut: `{ step: 'pool', kind: 'avg' }`. */
export interface StoredStep {
  readonly step: string;
  readonly [key: string]: string | number | boolean | null;
}

/** A tensor of a cut that holds a feature as it would have left without steps. */
export type StoredBefore = Pick<StoredOutput, 'layout' | 'prefix_tokens' | 'converted'> & { readonly tensor: string };

/** One of several features in an output. */
export type StoredPart = Omit<
  StoredOutput,
  'output' | 'layout' | 'prefix_tokens' | 'converted' | 'before' | 'parts'
> & {
  readonly before: StoredBefore;
};

/** The tensors of a cut that hold its features: its outputs, and where steps stand before one, what they begin at. */
export function carriersOf(output: StoredOutput): readonly StoredOutput[] {
  const { steps: _steps, before, parts, ...plain } = output;
  const one = (facts: Omit<StoredPart, 'before'>, { tensor, ...held }: StoredBefore): StoredOutput => ({
    ...facts,
    ...held,
    output: tensor,
  });
  if (parts !== undefined) return parts.map(({ before: its, steps: _its, ...facts }) => one(facts, its));
  return before === undefined ? [output] : [one(plain, before)];
}

/** An input of a cut that is not the input of its name in the original. */
export interface StoredInput {
  readonly input: string;
  /** The tensor of the original that it stands for. */
  readonly tensor: string;
}

/** What pixels go through between an input of a cut and the tensor of its original that takes pictures. */
export interface StoredPixels extends StoredInput {
  readonly layout: MapLayout;
  readonly channels: PixelChannels;
  readonly [key: string]: unknown;
}

/** What every cut carries: the whole FeatureInfo of its original, and which outputs hold what. */
export interface StoredInfo {
  readonly schema: 1;
  readonly feature_info: readonly StoredFeature[];
  /** Absent in cuts of models without any. */
  readonly groups?: readonly StoredGroup[];
  readonly out_indices: readonly number[];
  readonly outputs: readonly StoredOutput[];
  /** Present where the cut begins behind the inputs of its original, or they have other names. */
  readonly inputs?: readonly StoredInput[];
  /** Present where axes of inputs of the original were given numbers. */
  readonly dims?: readonly { readonly input: string; readonly axis: number; readonly size: number }[];
  /** Present where pictures are prepared inside. */
  readonly preprocess?: readonly StoredPixels[];
}

/** A feature as a cut stores it. */
export function storedFeature(feature: Feature): StoredFeature {
  const {
    index,
    module,
    numChs,
    reduction,
    tensor,
    dtype,
    shape,
    layout,
    hookType,
    prefixTokens,
    codes,
    grid,
    resolvedBy,
    confidence,
    because,
  } = feature;
  return {
    index,
    module,
    num_chs: numChs,
    reduction,
    tensor,
    dtype,
    shape,
    layout,
    hook_type: hookType,
    prefix_tokens: prefixTokens,
    ...(codes == null ? {} : { codes: storedCodes(codes) }),
    grid,
    resolved_by: resolvedBy,
    confidence,
    because,
  };
}

/** The feature that a cut stored. */
export function featureOfStored(stored: StoredFeature): Feature {
  const {
    index,
    module,
    num_chs: numChs,
    reduction,
    tensor,
    dtype,
    shape,
    layout,
    hook_type: hookType,
    prefix_tokens: prefixTokens,
    codes,
    grid,
    resolved_by: resolvedBy,
    confidence,
    because,
  } = stored;
  return {
    index,
    module,
    numChs,
    reduction,
    tensor,
    folded: null,
    dtype,
    shape,
    layout,
    hookType,
    prefixTokens,
    codes: codes === undefined ? null : { scale: codes.scale, zeroPoint: codes.zero_point },
    grid,
    resolvedBy,
    confidence,
    because,
  };
}

/** Scale and zero point in the file's spelling. */
export function storedCodes({ scale, zeroPoint }: Codes): NonNullable<StoredFeature['codes']> {
  return { scale, zero_point: zeroPoint };
}
