import type { GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import type { FeatureEntry } from './feature-info.js';
import type { Resolution } from './feature.js';
import { resolveFeatures, type ResolveOptions } from './resolve.js';
import { readStoredInfo } from './resolvers/metadata.js';
import { findBeginnings, type FoundBeginning } from './beginnings.js';
import { selectFeatures } from './select.js';
import { asksBeyondFeatures, selectorsOf, type Selection, type SelectOptions } from './selectors.js';

/** Which features are looked for, how, and which of them are taken. */
export interface FindOptions extends SelectOptions {
  /** The FeatureInfo that a caller gives. */
  readonly features?: readonly FeatureEntry[];
  readonly includeHead?: boolean;
  /** Where a cut begins; nothing is selected then but what is asked for. */
  readonly from?: readonly (string | number)[];
  /** Whether the whole model is meant: nothing is selected. */
  readonly isWhole?: boolean;
  /** How features are looked for. */
  readonly resolve?: ResolveOptions;
  /**
   * Whether features are listed and not taken: nothing is selected but what is asked for by name, and what resolvers
   * missed matters whatever is selected.
   */
  readonly isListing?: boolean;
}

/** The features of a model, and those that were asked for. */
export interface Found {
  readonly resolution: Resolution;
  readonly selections: readonly Selection[];
  readonly beginnings: readonly FoundBeginning[];
  readonly warnings: readonly string[];
}

/** Finds the features of a model and selects those that are asked for. @throws UsageError, ResolveError */
export async function findFeatures(view: GraphView, types: InferredTypes, options: FindOptions): Promise<Found> {
  const byName = asksBeyondFeatures(options);
  const stored = await readStoredInfo(view.model);
  const resolution = resolveFeatures(view, types, { stored, ...resolving(options) });
  const { from = [] } = options;
  const takesNone =
    options.isWhole === true ||
    (options.isListing && !byName) ||
    (from.length > 0 && selectorsOf(options).length === 0);
  return {
    resolution,
    selections: takesNone ? [] : selectFeatures(view, types, resolution, options),
    beginnings: from.length === 0 ? [] : findBeginnings(view, types, resolution, from, options),
    // What resolvers miss does not matter to a caller who names tensors.
    warnings: [...types.warnings, ...(options.isListing || !(byName || takesNone) ? resolution.warnings : [])],
  };
}

/** How features are looked for; entries that were given take the default where they do not say what their hook sees. */
function resolving({ features, includeHead, hookType, resolve }: FindOptions): ResolveOptions {
  const given = resolve?.explicit ?? features;
  const explicit =
    hookType === undefined ? given : given?.map((entry): FeatureEntry => ({ hook_type: hookType, ...entry }));
  return { includeHead, ...resolve, explicit };
}
