import type { GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { analyse, type Analysis } from './analysis.js';
import { embeddingsOf } from './embedding.js';
import { factsOf, isVector } from './facts.js';
import type { Attempt, Embedding, Feature, FeatureGroup, Resolution, ResolverName, TensorFacts } from './feature.js';
import type { FeatureEntry } from './feature-info.js';
import type { Flow } from './flow.js';
import { groupsBeside } from './groups.js';
import { modulesOf, type ModuleTree } from './modules.js';
import { parameterLabels } from './names/labels.js';
import { mapGroups } from './necks.js';
import { resolveExplicit } from './resolvers/explicit.js';
import type { Family } from './resolvers/families.js';
import { resolveStored } from './resolvers/metadata.js';
import { namedByModules, resolveByModules, type Answer } from './resolvers/module-path.js';
import { readsTokensAlone, resolveSequences } from './resolvers/sequences.js';
import { resolveByTopology } from './resolvers/topology.js';
import type { StoredInfo } from './stored-info.js';
import { selectionByName, selectionFromGroups } from './suggestion.js';
import { towersOf } from './towers.js';

/** How features are looked for. */
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
 * The features of a model: what timm's `features_only=True` would return. Resolvers are asked in order; the first that
 * finds features is believed.
 * @throws UsageError, ResolveError where features were given that the graph does not have
 */
export function resolveFeatures(view: GraphView, types: InferredTypes, options: ResolveOptions = {}): Resolution {
  const analysis = analyse(view, types);
  const { explicit, stored, explain = false } = options;
  const tree = lazy(() => modulesOf(analysis.view, analysis.flow));
  const wholeTree = lazy(() => modulesOf(view, analysis.whole));
  const topology = lazy(() => labelled(analysis, tree(), resolveByTopology(analysis, tree())));
  const byModules = lazy(() => resolveByModules(analysis.view, analysis, tree(), topology, options));
  const resolvers: readonly Resolver[] = [
    {
      name: 'explicit',
      answer: () => (explicit === undefined ? null : resolveExplicit(view, analysis, wholeTree(), explicit, byModules)),
    },
    { name: 'metadata', answer: () => (stored == null ? null : resolveStored(view, analysis, stored)) },
    { name: 'sequence', answer: () => resolveSequences(analysis) },
    ...(readsTokensAlone(analysis)
      ? []
      : [{ name: 'module-path', answer: byModules } as const, { name: 'topology', answer: topology } as const]),
  ];
  const tried: Attempt[] = [];
  let cutOutputs: Resolution['cutOutputs'] = [];
  let chosen: ReturnType<Resolver['answer']> = null;
  for (const { name, answer } of resolvers) {
    if (chosen !== null && !explain) break;
    const found = answer();
    if (found === null) continue;
    // What a cut was made to give counts, also if its original has no features.
    if ('cutOutputs' in found && found.cutOutputs !== undefined) cutOutputs = found.cutOutputs;
    tried.push({ resolver: name, outcome: found.outcome, features: found.features });
    if (chosen === null && (found.features.length > 0 || name === 'explicit')) chosen = found;
  }
  const embeddings = chosen?.embeddings ?? [];
  const isFound = ({ resolvedBy }: Feature): boolean => resolvedBy !== 'explicit' && resolvedBy !== 'metadata';
  const features = (chosen?.features ?? []).map((feature) => (isFound(feature) ? carried(analysis, feature) : feature));
  const groups = stored == null ? groupsFound(analysis, chosen?.groups ?? [], features) : (chosen?.groups ?? []);
  return {
    features,
    outIndices: chosen?.outIndices ?? features.filter(({ tensor }) => tensor !== null).map(({ index }) => index),
    groups,
    ...(embeddings.length > 0 ? { embeddings, embedding: embeddings[0] } : embeddingsFound(analysis)),
    cutOutputs,
    tried,
    warnings: [...(chosen?.warnings ?? []), ...warningsOf(analysis, features, groups)],
  };
}

/** Features that the shape of the graph showed, under the modules that the names of parameters tell. */
function labelled({ view, flow }: Analysis, { style }: ModuleTree, answer: Answer): Answer {
  return style === 'parameters' ? { ...answer, features: labelledByParameters(view, flow, answer.features) } : answer;
}

function labelledByParameters(view: GraphView, flow: Flow, found: readonly Feature[]): readonly Feature[] {
  const labels = parameterLabels(view, flow).ofTensors(found.map(({ tensor }) => tensor));
  return found.map((feature, at) => {
    const module = labels[at];
    const because =
      module === null ? feature.because : `${feature.because}; the parameters in it are named ${module}.…`;
    return { ...feature, module, because };
  });
}

/** The maps beside the backbone, under the modules of the whole network that made them. */
function namedGroups({ view, network }: Analysis, groups: readonly FeatureGroup[]): readonly FeatureGroup[] {
  if (groups.length === 0) return groups;
  const tree = modulesOf(view, network);
  return groups.map(({ name, features }) => ({
    name,
    features:
      tree.style === 'parameters'
        ? labelledByParameters(view, network, features)
        : namedByModules(network, view, tree, features),
  }));
}

function groupsFound(
  analysis: Analysis,
  given: readonly FeatureGroup[],
  features: readonly Feature[],
): readonly FeatureGroup[] {
  const towers = (features.length > 0 ? [] : towersOf(analysis)).map((tower, at): FeatureGroup => {
    const tree = modulesOf(tower.view, tower.flow);
    return { name: `tower.${at}`, features: resolveByTopology(tower, tree).features };
  });
  return [
    ...given,
    ...namedGroups(analysis, mapGroups(analysis, features)),
    ...towers,
    ...groupsBeside(analysis, features),
  ].flatMap(({ name, features: list }) =>
    list.length === 0 ? [] : [{ name, features: list.map((feature) => carried(analysis, feature)) }],
  );
}

function embeddingsFound(analysis: Analysis): Pick<Resolution, 'embeddings' | 'embedding'> {
  const { embeddings, embedding } = embeddingsOf(analysis);
  const here = (found: Embedding): Embedding => {
    const at = carried<Omit<Embedding, 'tensor'> & { readonly tensor: string | null }>(analysis, found);
    return { ...at, tensor: at.tensor ?? found.tensor };
  };
  return { embeddings: embeddings.map(here), embedding: embedding === null ? null : here(embedding) };
}

/** What was found in the float view, with the tensor of the file that carries it. */
function carried<T extends TensorFacts & { readonly tensor: string | null; readonly because: string }>(
  analysis: Analysis,
  found: T,
): T {
  if (found.tensor === null) return found;
  const { tensor, codes, blocked, channels, isPadded } = analysis.float.carrierOf(found.tensor);
  if (tensor === null)
    return {
      ...found,
      tensor,
      because: `${found.because}; the file holds only what was fused behind it`,
    };
  const kept = {
    ...found,
    ...(codes === null ? {} : { codes }),
    ...(blocked === null ? {} : { blocked }),
    ...(channels === null ? {} : { numChs: channels }),
    ...(isPadded && 'confidence' in found && found.confidence === 'high' ? { confidence: 'medium' } : {}),
    ...(isPadded ? { because: `${found.because}; its channels may be padded to whole blocks` } : {}),
  };
  if (tensor === found.tensor) return kept;
  const { dtype, shape } = factsOf(analysis, tensor);
  return {
    ...kept,
    tensor,
    dtype: dtype ?? found.dtype,
    shape: shape ?? found.shape,
    because: `${found.because}; ${tensor} holds its value`,
  };
}

function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

function warningsOf(
  { view, flow, types }: Analysis,
  features: readonly Feature[],
  groups: readonly FeatureGroup[],
): readonly string[] {
  if (features.length === 0) {
    const byName = selectionByName(view);
    if (groups.length > 0)
      return [
        `the network has no features of its own; select from its groups with ${selectionFromGroups(groups)}, or ${byName}`,
      ];
    const why =
      flow.input === null
        ? 'no features were found: no input holds an image, and no sequence runs through equal blocks'
        : `no feature pyramid was found: nothing on the way to the outputs is a smaller map of the input '${flow.input}'`;
    return [`${why}; ${byName}`];
  }
  const unknown = features.filter(
    ({ tensor, numChs, reduction, shape }) =>
      tensor !== null && (numChs === null || (reduction === null && !isVector(shape))),
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
