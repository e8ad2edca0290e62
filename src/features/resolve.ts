import type { GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { analyse, type Analysis } from './analysis.js';
import { embeddingsOf } from './embedding.js';
import { factsOf } from './facts.js';
import type { Attempt, Feature, Resolution, ResolverName } from './feature.js';
import type { FeatureEntry } from './feature-info.js';
import { moduleTree } from './modules.js';
import { nodePaths } from './names.js';
import { behindQuantization } from './quantized.js';
import { resolveExplicit } from './resolvers/explicit.js';
import type { Family } from './resolvers/families.js';
import { resolveStored } from './resolvers/metadata.js';
import { resolveByModules, type Answer } from './resolvers/module-path.js';
import { resolveByTopology } from './resolvers/topology.js';
import type { StoredInfo } from './stored-info.js';

export interface ResolveOptions {
  /** Use these features instead of looking for some. */
  readonly explicit?: readonly FeatureEntry[];
  /** What a cut remembers of its original. */
  readonly stored?: StoredInfo | null;
  /** Also the unit behind the trunk where the family's FeatureInfo leaves it out. */
  readonly includeHead?: boolean;
  /** Ask every resolver, for `--explain`, not only until one answers. */
  readonly explain?: boolean;
  /** The families to look for. */
  readonly families?: readonly Family[];
}

interface Resolver {
  readonly name: ResolverName;
  /** Null where the resolver has nothing to go by. */
  readonly answer: () =>
    | (Answer & Partial<Pick<Resolution, 'outIndices' | 'cutOutputs' | 'groups' | 'embeddings'>>)
    | null;
}

/**
 * The features of a model: what timm's `features_only=True` would return. Resolvers are asked in order; the first that finds features is believed.
 * @throws UsageError, ResolveError where features were given that the graph does not have
 */
export function resolveFeatures(view: GraphView, types: InferredTypes, options: ResolveOptions = {}): Resolution {
  const analysis = analyse(view, types);
  const { explicit, stored, explain = false } = options;
  const tree = lazy(() => moduleTree(analysis.flow, nodePaths(view, analysis.flow.nodes)));
  const wholeTree = lazy(() => moduleTree(analysis.whole, nodePaths(view, analysis.whole.nodes)));
  const topology = lazy(() => resolveByTopology(analysis, tree()));
  const byModules = lazy(() => resolveByModules(view, analysis, tree(), topology, options));
  const resolvers: readonly Resolver[] = [
    {
      name: 'explicit',
      answer: () => (explicit === undefined ? null : resolveExplicit(view, analysis, wholeTree(), explicit, byModules)),
    },
    { name: 'metadata', answer: () => (stored == null ? null : resolveStored(view, analysis, stored)) },
    { name: 'module-path', answer: byModules },
    { name: 'topology', answer: topology },
  ];
  const tried: Attempt[] = [];
  let chosen: ReturnType<Resolver['answer']> = null;
  for (const { name, answer } of resolvers) {
    if (chosen !== null && !explain) break;
    const found = answer();
    if (found === null) continue;
    tried.push({ resolver: name, outcome: found.outcome, features: found.features });
    if (chosen === null && (found.features.length > 0 || name === 'explicit')) chosen = found;
  }
  const embeddings = chosen?.embeddings ?? [];
  const features = (chosen?.features ?? []).map((feature) => dequantized(view, analysis, feature));
  return {
    features,
    outIndices: chosen?.outIndices ?? features.filter(({ tensor }) => tensor !== null).map(({ index }) => index),
    groups: chosen?.groups ?? [],
    ...(embeddings.length > 0 ? { embeddings, embedding: embeddings[0] } : embeddingsOf(analysis)),
    cutOutputs: chosen?.cutOutputs ?? [],
    tried,
    warnings: [...(chosen?.warnings ?? []), ...warningsOf(analysis, features)],
  };
}

/** A feature that was found, tapped where a quantized network reads it. */
function dequantized(view: GraphView, analysis: Analysis, feature: Feature): Feature {
  if (feature.tensor === null || feature.resolvedBy === 'explicit' || feature.resolvedBy === 'metadata') return feature;
  const tensor = behindQuantization(view, feature.tensor);
  if (tensor === feature.tensor) return feature;
  const { dtype, shape } = factsOf(analysis, tensor);
  return {
    ...feature,
    tensor,
    dtype: dtype ?? feature.dtype,
    shape: shape ?? feature.shape,
    because: `${feature.because}; behind its DequantizeLinear`,
  };
}

function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

function warningsOf({ flow, types }: Analysis, features: readonly Feature[]): readonly string[] {
  if (flow.input === null)
    return ['no input holds an image (rank 3 or 4), so there is no feature pyramid; name tensors with --tensor'];
  if (features.length === 0)
    return [
      'no feature pyramid was found: nothing on the way to the outputs is a smaller map of the image; name tensors with --tensor',
    ];
  const unknown = features.filter(
    ({ tensor, numChs, reduction }) => tensor !== null && (numChs === null || reduction === null),
  );
  const gone = features.filter(({ tensor, resolvedBy }) => tensor === null && resolvedBy !== 'metadata');
  const left = gone.map(
    ({ index, module, because }) =>
      `feature ${index}${module === null ? '' : ` (${module})`} is left out unless it is asked for: ${because}`,
  );
  if (unknown.length === 0 || types.types.size === 0) return left;
  return [
    ...left,
    `channels or stride of ${unknown.length === 1 ? `feature ${unknown[0].index}` : `features ${unknown.map(({ index }) => index).join(', ')}`} are not known: no shapes are known there`,
  ];
}
