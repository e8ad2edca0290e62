import { option } from '../options/words.js';
import { UsageError } from '../errors.js';
import {
  indexSelectors,
  type EmbeddingSelector,
  type IndexSelector,
  type NamedSelector,
  type Selector,
} from '../options/feature-kinds.js';
import type { SelectOptions } from '../options/types.js';
import type { HookType, TensorFacts } from './feature.js';

export type { EmbeddingSelector, IndexSelector, NamedSelector, Selector, SelectOptions };

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
  /** What its output is called where steps are computed of it. */
  readonly alias?: string;
  readonly by: 'index' | 'module' | 'tensor' | 'node' | 'embedding';
  /** Whether codes are to leave as numbers, and blocks as a map. */
  readonly asValue?: boolean;
  /** Whether it is to leave as float32, as no runtime gives back the type that it has. */
  readonly asFloat?: boolean;
  /** What was computed of it when the model was cut. */
  readonly done?: readonly { readonly step: string }[];
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
    throw new UsageError(`${option('out')} and ${option('last')} both say which indices`, { hint: 'give one of them' });
  return [
    ...(out === undefined ? [] : indexSelectors(option('out'), out)),
    ...(last === undefined ? [] : [{ by: 'last', count: last } as const]),
    ...select,
    ...(embedding === false ? [] : [{ by: 'embedding', role: embedding === true ? undefined : embedding } as const]),
  ];
}

/** Whether a request names anything that the resolvers need not have looked at. */
export function asksBeyondFeatures(options: SelectOptions): boolean {
  const { select = [], embedding = false } = options;
  return (
    embedding !== false ||
    select.some((selector) => selector.by !== 'last' && (selector.by !== 'index' || selector.group !== undefined))
  );
}
