import type { GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { analyse } from './analysis.js';
import type { Resolution } from './feature.js';
import type { FeatureEntry } from './feature-info.js';
import { moduleTree } from './modules.js';
import { nodePaths } from './names.js';
import { resolveByModules } from './resolvers/module-path.js';
import type { Family } from './resolvers/families.js';
import { resolveByTopology } from './resolvers/topology.js';
import type { StoredInfo } from './stored-info.js';

export interface ResolveOptions {
  /** Use these features instead of looking for some. */
  readonly explicit?: readonly FeatureEntry[];
  /** What a cut remembers of its original. */
  readonly stored?: StoredInfo | null;
  /** Also the unit behind the trunk where the family's FeatureInfo leaves it out. */
  readonly includeHead?: boolean;
  /** Ask every resolver, for `--explain`, not only until one is sure. */
  readonly explain?: boolean;
  /** The families to look for. */
  readonly families?: readonly Family[];
}

/** The features of a model: what timm's `features_only=True` would return. */
export function resolveFeatures(view: GraphView, types: InferredTypes, options: ResolveOptions = {}): Resolution {
  const analysis = analyse(view, types);
  const tree = moduleTree(analysis.flow, nodePaths(view, analysis.flow.nodes));
  let { features, outcome, warnings } = resolveByModules(view, analysis, tree, options);
  if (features.length === 0 || (globalThis as any).TOPO) ({ features, outcome, warnings } = resolveByTopology(analysis));
  return { features, outIndices: features.map(({ index }) => index), embedding: null, tried: [{ resolver: 'module-path', outcome, features }], warnings };
}
