import { UsageError } from '../errors.js';
import type { EmbeddingRole, HookType, TensorFacts } from './feature.js';

/** A feature by name; `name` is exact or a glob. */
export interface NamedSelector {
  readonly by: 'module' | 'tensor' | 'node';
  readonly name: string;
}

/** Features by index, negatives from the end: of the FeatureInfo, or of a group beside it. */
export interface IndexSelector {
  readonly by: 'index';
  readonly group?: string;
  readonly indices: readonly number[];
}

/** The model's embedding, or the one that has a role. */
export interface EmbeddingSelector {
  readonly by: 'embedding';
  readonly role?: EmbeddingRole;
}

export type Selector =
  | NamedSelector
  | IndexSelector
  | EmbeddingSelector
  /** The last `count` of the FeatureInfo. */
  | { readonly by: 'last'; readonly count: number };

export interface SelectOptions {
  /** What to take, in the order wanted; behind `out` and `last`, in front of `embedding`. The model's own `outIndices` where nothing is asked for. */
  readonly select?: readonly Selector[];
  /** Indices into the FeatureInfo, negatives from the end. */
  readonly out?: readonly number[];
  /** The last n. */
  readonly last?: number;
  readonly embedding?: boolean | EmbeddingRole;
  /** What is taken of a module or a node where its entry does not say: its output (default) or its input. */
  readonly hookType?: HookType;
  /** Take the value after a fold where the module's own is gone. */
  readonly allowFolded?: boolean;
  /** Module names with the first Sequential level flattened: `features_1`. */
  readonly flattenSequential?: boolean;
  /** All outputs of a module that has several, not the first alone. */
  readonly featureConcat?: boolean;
}

/** One thing to take out of the graph: a tensor, or several to be concatenated on axis 1. */
export interface Selection extends TensorFacts {
  /** Absolute index into the FeatureInfo or the group; null where it was selected by name. */
  readonly index: number | null;
  /** The group that the index counts in; null for the FeatureInfo. */
  readonly group: string | null;
  readonly module: string | null;
  readonly hookType: HookType;
  readonly tensors: readonly string[];
  /** What its output is called in every mode where nothing else is asked for. */
  readonly name?: string;
  /** What its output is called in a dict: `1`, `neck.0`, `embedding`; its tensor's name where left out. */
  readonly key?: string;
  readonly by: 'index' | 'module' | 'tensor' | 'node' | 'embedding';
}

/** What a name means: selections, or why there are none. */
export interface Found {
  readonly selections: readonly Selection[];
  readonly problem: string | null;
  readonly hint?: string;
}

/** The whole request as one list. @throws UsageError where `out` and `last` both say which indices */
export function selectorsOf({ out, last, select = [], embedding = false }: SelectOptions): readonly Selector[] {
  if (out !== undefined && last !== undefined)
    throw new UsageError('--out and --last both say which indices', { hint: 'give one of them' });
  return [
    ...(out === undefined ? [] : [{ by: 'index', indices: out } as const]),
    ...(last === undefined ? [] : [{ by: 'last', count: last } as const]),
    ...select,
    ...(embedding === false ? [] : [{ by: 'embedding', role: embedding === true ? undefined : embedding } as const]),
  ];
}

/** Whether a request names anything that the resolvers need not have looked at. */
export function asksBeyondFeatures(options: SelectOptions): boolean {
  return selectorsOf(options).some(({ by }) => by !== 'index' && by !== 'last');
}
