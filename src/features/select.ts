import { ResolveError, UsageError } from '../errors.js';
import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import type { InferredTypes } from '../onnx/types.js';
import { analyse, type Analysis } from './analysis.js';
import { concatenatedFacts, factsOf } from './facts.js';
import type { Feature, HookType, Resolution, TensorFacts } from './feature.js';
import { takeIndices } from './feature-info.js';
import { innerNames } from './inner-tensors.js';
import { isGlob, matchesGlob, nearestNames, unescaped } from './glob.js';
import { matchesOfGlobs } from './glob-set.js';
import { moduleTree, type ModuleTree } from './modules.js';
import { nodePaths } from './names.js';
import { callsOf, concatenated, exitsOf, foldedModules, tapModule } from './taps.js';
import { flattenedName, sequentialModules } from './sequential.js';

/** A feature by name; `name` is exact or a glob. */
export interface NamedSelector {
  readonly by: 'module' | 'tensor' | 'node';
  readonly name: string;
}

export interface SelectOptions {
  /** Indices into the FeatureInfo, negatives from the end; the model's own `outIndices` where left out. */
  readonly out?: readonly number[];
  /** The last n. */
  readonly last?: number;
  /** In the order wanted; excludes `out` and `last`. */
  readonly named?: readonly NamedSelector[];
  /** What is taken of a module where its entry does not say: its output (default) or its input. */
  readonly hookType?: HookType;
  readonly embedding?: boolean;
  /** Take the value after a fold where the module's own is gone. */
  readonly allowFolded?: boolean;
  /** Module names with the first Sequential level flattened: `features_1`. */
  readonly flattenSequential?: boolean;
  /** All outputs of a module that has several, not the first alone. */
  readonly featureConcat?: boolean;
}

/** One thing to take out of the graph: a tensor, or several to be concatenated on axis 1. */
export interface Selection extends TensorFacts {
  /** Absolute index into the FeatureInfo; null where it was selected by name. */
  readonly index: number | null;
  readonly module: string | null;
  readonly hookType: HookType;
  readonly tensors: readonly string[];
  /** What its output is called where nothing else is asked for. */
  readonly name?: string;
  readonly by: 'index' | 'module' | 'tensor' | 'node' | 'embedding';
}

/** Everything that can be selected by module in a graph. */
interface ModuleNames {
  readonly tree: ModuleTree;
  readonly analysis: Analysis;
  readonly folded: ReadonlyMap<string, string>;
  /** Flattened spellings, empty where they were not asked for. */
  readonly flattened: ReadonlyMap<string, string>;
}

/**
 * What a request means in this graph, in the order asked.
 * @throws UsageError where index and name are mixed
 * @throws ResolveError naming every index, module, tensor and node that is missing, with the nearest names
 */
export function selectFeatures(
  view: GraphView,
  types: InferredTypes,
  resolution: Resolution,
  options: SelectOptions = {},
): readonly Selection[] {
  const { named = [], embedding = false } = options;
  const byIndex = options.out !== undefined || options.last !== undefined;
  if (byIndex && named.length > 0)
    throw new UsageError('features are selected by index and by name at once', {
      hint: 'give indices (--out, --last) or names (--module, --tensor, --node)',
    });
  if (options.out !== undefined && options.last !== undefined)
    throw new UsageError('--out and --last both say which indices', { hint: 'give one of them' });
  const analysis = analyse(view, types);
  const asCut =
    named.length === 0 && !byIndex && !embedding && options.hookType === undefined ? resolution.cutOutputs : [];
  if (asCut.length > 0)
    return asCut.map(
      ({ output, ...facts }): Selection => ({
        ...facts,
        hookType: 'forward',
        tensors: [output],
        name: output,
        by: 'index',
      }),
    );
  const features =
    named.length > 0
      ? selectNamed(view, analysis, resolution, named, options)
      : byIndex || !embedding
        ? selectIndices(view, analysis, resolution, options)
        : [];
  return embedding ? [...features, embeddingOf(resolution)] : features;
}

function embeddingOf({ embedding }: Resolution): Selection {
  if (embedding === null)
    throw new ResolveError('no embedding was found: the graph has no classifier that a pooled vector enters', {
      code: 'FEATX_RESOLVE_EMBEDDING',
      hint: 'name the tensor with --tensor',
    });
  const { tensor, ...facts } = embedding;
  return { ...facts, index: null, module: null, hookType: 'forward', tensors: [tensor], by: 'embedding' };
}

function selectIndices(
  view: GraphView,
  analysis: Analysis,
  resolution: Resolution,
  options: SelectOptions,
): readonly Selection[] {
  const features =
    options.hookType === 'forward_pre' ? withInputs(view, analysis, resolution.features) : resolution.features;
  if (features.length === 0)
    throw new ResolveError('the model has no features to select by index', {
      code: 'FEATX_RESOLVE_NONE',
      hint: 'name tensors with --tensor; `featx inspect MODEL --tensors` lists them',
    });
  const { indices } = takeIndices(features.length, options.out ?? options.last ?? resolution.outIndices);
  const wanted = indices.map((index) => features[index]);
  const gone = wanted.filter((feature) => tensorOf(feature, options) === null);
  if (gone.length > 0) {
    const why = gone.map(
      ({ index, module, because }) => `feature ${index}${module === null ? '' : ` (${module})`}: ${because}`,
    );
    const folded = gone.some((feature) => feature.folded !== null);
    throw new ResolveError(`the graph no longer holds ${why.join('; ')}`, {
      code: 'FEATX_RESOLVE_FOLDED',
      hint: folded
        ? 'take the value after the fold with --allow-folded'
        : 'leave it out of --out, or name another tensor with --tensor',
    });
  }
  const names = options.flattenSequential || options.featureConcat ? moduleNames(view, analysis, options) : null;
  return wanted.map((feature): Selection => {
    const {
      index,
      hookType,
      module,
      tensor,
      folded: _folded,
      resolvedBy: _by,
      confidence: _confidence,
      because: _because,
      ...facts
    } = feature;
    const single = [tensor ?? feature.folded ?? ''];
    const several =
      options.featureConcat && names !== null && module !== null && tensor !== null
        ? exitsAt(view, names, module, tensor)
        : single;
    const own = several[0] === tensor && several.length === 1 ? facts : concatenatedFacts(analysis, several);
    return {
      ...own,
      index,
      hookType,
      module: module !== null && names !== null ? (names.flattened.get(module) ?? module) : module,
      tensors: several,
      by: 'index',
    };
  });
}

/** The features at what their modules read, as `hook_type: forward_pre` has it; entries that were given have said which they mean. */
function withInputs(view: GraphView, analysis: Analysis, features: readonly Feature[]): readonly Feature[] {
  const tree = moduleTree(analysis.whole, nodePaths(view, analysis.whole.nodes));
  return features.map((feature) => {
    const { module: path, hookType, resolvedBy } = feature;
    if (hookType === 'forward_pre' || resolvedBy === 'explicit') return feature;
    const module = path === null || path === '' ? undefined : tree.modules.get(path);
    const [tensor = null] = module === undefined ? [] : tapModule(view, analysis.whole, module, 'forward_pre').tensors;
    const because =
      module === undefined
        ? 'its input is asked for, and the graph does not name its module'
        : `the module ${path} reads ${tensor === null ? 'no tensor made outside it' : `'${tensor}'`}`;
    return {
      ...feature,
      ...(tensor === null ? {} : factsOf(analysis, tensor)),
      tensor,
      folded: null,
      hookType: 'forward_pre',
      because,
    };
  });
}

function tensorOf(feature: Feature, { allowFolded = false }: SelectOptions): string | null {
  return feature.tensor ?? (allowFolded ? feature.folded : null);
}

/** All outputs of the module that ends in `tensor`. */
function exitsAt(view: GraphView, names: ModuleNames, path: string, tensor: string): readonly string[] {
  const module = names.tree.modules.get(path);
  if (module === undefined) return [tensor];
  const exits = exitsOf(names.analysis.whole, module.nodes, view.outputs);
  return exits.length > 1 && exits.includes(tensor) ? concatenated(view, exits) : [tensor];
}

/** Names in an error; and how many of them are looked up elsewhere in the model. */
const MOST_PROBLEMS = 100;
const MOST_EXPLAINED = 20;
/** More than any graph has outputs; a glob that is given again and again is a slip. */
const MOST_SELECTED = 100_000;

function selectNamed(
  view: GraphView,
  analysis: Analysis,
  resolution: Resolution,
  named: readonly NamedSelector[],
  options: SelectOptions,
): readonly Selection[] {
  const problems: string[] = [];
  const hints = new Set<string>();
  const selections: Selection[] = [];
  const names = named.some(({ by }) => by === 'module') ? moduleNames(view, analysis, options) : null;
  const globs = globMatches(view, named);
  for (const selector of named) {
    const isExplained = problems.length < MOST_EXPLAINED;
    const isModule = selector.by === 'module' && names !== null;
    const found = isModule
      ? (byDeclaredName(analysis, names, resolution, selector.name, options) ??
        byModule(view, names, selector.name, options, isExplained))
      : byTensor(view, analysis, selector, globs, isExplained);
    if (found.problem !== null) problems.push(found.problem);
    if (found.hint !== undefined) hints.add(found.hint);
    if (selections.length + found.selections.length > MOST_SELECTED) throw tooMany();
    for (const selection of found.selections) selections.push(selection);
  }
  if (problems.length > 0) {
    const shown =
      problems.length > MOST_PROBLEMS
        ? [...problems.slice(0, MOST_PROBLEMS), `and ${problems.length - MOST_PROBLEMS} more`]
        : problems;
    throw new ResolveError(shown.join('; '), {
      hint: hints.size > 0 ? [...hints].join('; ') : 'list every tensor with `featx inspect MODEL --tensors`',
    });
  }
  return selections;
}

function tooMany(): UsageError {
  return new UsageError(`the names and globs that were given select more than ${MOST_SELECTED} features`, {
    hint: 'give each tensor, module and node once, and narrower globs',
  });
}

/** What the globs among the selectors match, all of them in one pass over the names. */
interface GlobMatches {
  readonly tensor: ReadonlyMap<string, readonly string[]>;
  readonly node: ReadonlyMap<string, readonly string[]>;
}

function globMatches(view: GraphView, named: readonly NamedSelector[]): GlobMatches {
  const globsOf = (by: NamedSelector['by']): readonly string[] =>
    named.flatMap((selector) => (selector.by === by && isGlob(selector.name) ? [selector.name] : []));
  const [tensors, nodes] = [globsOf('tensor'), globsOf('node')];
  const matches: GlobMatches = {
    tensor:
      tensors.length === 0
        ? new Map()
        : matchesOfGlobs(tensors, [...new Set([...view.inputs.keys(), ...view.producerOf.keys()])]),
    node: nodes.length === 0 ? new Map() : matchesOfGlobs(nodes, [...nodesByName(view).keys()]),
  };
  let selected = 0;
  for (const { by, name } of named) if (by !== 'module') selected += matches[by].get(name)?.length ?? 0;
  if (selected > MOST_SELECTED) throw tooMany();
  return matches;
}

interface Found {
  readonly selections: readonly Selection[];
  readonly problem: string | null;
  readonly hint?: string;
}

function missing(kind: string, name: string, known: Iterable<string>, isExplained: boolean): Found {
  const near = isExplained ? nearestNames(name, known) : [];
  return {
    selections: [],
    problem: `no ${kind} ${isGlob(name) ? 'matches' : 'is named'} '${name}'${near.length > 0 ? ` (nearest: ${near.join(', ')})` : ''}`,
  };
}

function byTensor(
  view: GraphView,
  analysis: Analysis,
  { by, name }: NamedSelector,
  globs: GlobMatches,
  isExplained: boolean,
): Found {
  const picked = by === 'tensor' ? tensorsNamed(view, name, globs.tensor) : nodesNamed(view, name, globs.node);
  if (picked.length === 0) {
    const kind = by === 'node' ? 'node' : 'tensor';
    const known = by === 'tensor' ? tensorNames(view) : nodeNames(view);
    return (isExplained ? inside(view, kind, name) : null) ?? missing(by, name, known, isExplained);
  }
  return {
    problem: null,
    selections: picked.map((tensor) => ({
      ...concatenatedFacts(analysis, [tensor]),
      index: null,
      module: null,
      hookType: 'forward',
      tensors: [tensor],
      by,
    })),
  };
}

/** What lives in a body or a function alone cannot leave the graph. */
function inside(view: GraphView, kind: 'tensor' | 'node', name: string): Found | null {
  const places = innerNames(view, kind, name);
  if (places.length === 0) return null;
  const instead = [...new Set(places.flatMap(({ instead: outputs }) => outputs))];
  return {
    selections: [],
    problem: `the ${kind} '${name}' lives inside ${places
      .slice(0, 3)
      .map(({ place }) => place)
      .join(' and ')}${places.length > 3 ? ' and others' : ''}, and nothing in there can be an output of the graph`,
    hint:
      instead.length === 0
        ? undefined
        : `take what leaves there: ${instead
            .slice(0, 5)
            .map((output) => `'${output}'`)
            .join(', ')}`,
  };
}

function* tensorNames(view: GraphView): Generator<string> {
  yield* view.inputs.keys();
  yield* view.producerOf.keys();
  yield* view.initializers.keys();
}

function* nodeNames({ model }: GraphView): Generator<string> {
  for (const { name } of model.graph.nodes) if (name !== '') yield name;
}

function tensorsNamed(view: GraphView, pattern: string, globs: GlobMatches['tensor']): readonly string[] {
  const exact = [pattern, unescaped(pattern)].find(
    (name) =>
      view.producerOf.has(name) ||
      view.inputs.has(name) ||
      view.initializers.has(name) ||
      view.sparseInitializers.has(name),
  );
  return exact === undefined ? (globs.get(pattern) ?? []) : [exact];
}

/** The first output of each node of that name. */
function nodesNamed(view: GraphView, pattern: string, globs: GlobMatches['node']): readonly string[] {
  const byName = nodesByName(view);
  const exact = byName.get(pattern) ?? byName.get(unescaped(pattern)) ?? [];
  const picked =
    exact.length > 0
      ? exact
      : (globs.get(pattern) ?? []).flatMap((name) => byName.get(name) ?? []).sort((a, b) => a.index - b.index);
  return picked.flatMap(({ outputs }) => outputs.find((name) => name !== '') ?? []);
}

const nodeCache = new WeakMap<GraphView, ReadonlyMap<string, readonly Node[]>>();

function nodesByName(view: GraphView): ReadonlyMap<string, readonly Node[]> {
  const before = nodeCache.get(view);
  if (before !== undefined) return before;
  const byName = new Map<string, Node[]>();
  for (const node of view.model.graph.nodes) {
    if (node.name === '') continue;
    const same = byName.get(node.name);
    if (same === undefined) byName.set(node.name, [node]);
    else same.push(node);
  }
  nodeCache.set(view, byName);
  return byName;
}

function moduleNames(view: GraphView, analysis: Analysis, options: SelectOptions): ModuleNames {
  const tree = moduleTree(analysis.whole, nodePaths(view, analysis.whole.nodes));
  const flattened = new Map<string, string>();
  if (options.flattenSequential)
    for (const path of sequentialModules(tree).paths) flattened.set(path, flattenedName(path));
  return { tree, analysis, folded: foldedModules(view, tree), flattened };
}

/** A name that timm declares for a feature and that is no module of the network: `block.0` of Twins, `final_conv` where it is empty. */
function byDeclaredName(
  analysis: Analysis,
  { tree, folded }: ModuleNames,
  { features }: Resolution,
  name: string,
  { hookType = 'forward' }: SelectOptions,
): Found | null {
  if (tree.modules.has(name) || folded.has(name) || hookType !== 'forward') return null;
  const tensor = features.find(({ module }) => module === name)?.tensor ?? null;
  if (tensor === null) return null;
  return {
    problem: null,
    selections: [
      {
        ...concatenatedFacts(analysis, [tensor]),
        index: null,
        module: name,
        hookType,
        tensors: [tensor],
        by: 'module',
      },
    ],
  };
}

/** `layer1`, `layer*`; `layer1#1`, its second output; `relu@2`, its second call. */
function byModule(
  view: GraphView,
  names: ModuleNames,
  spec: string,
  options: SelectOptions,
  isExplained: boolean,
): Found {
  const { tree, folded } = names;
  if (tree.modules.size === 1 && folded.size === 0) {
    return {
      selections: [],
      problem: `no module is named '${spec}': the graph carries no module names`,
      hint: 'name tensors with --tensor; list them with `featx inspect MODEL --tensors`',
    };
  }
  const [, pattern, mark, digits] = /^([\s\S]*?)(?:([#@])(\d{1,9}))?$/.exec(spec) ?? [];
  const paths = modulesNamed(names, spec);
  const chosen = paths.length > 0 || mark === undefined ? paths : modulesNamed(names, pattern);
  if (chosen.length === 0)
    return missing(
      'module',
      spec,
      isExplained ? [...tree.modules.keys(), ...folded.keys()].filter(Boolean) : [],
      isExplained,
    );
  const part = paths.length > 0 || mark === undefined ? null : { mark, number: Number(digits) };
  const found = chosen.map((path) => tapNamed(view, names, path, part, options));
  return {
    selections: found.flatMap(({ selections }) => selections),
    problem:
      found
        .map(({ problem }) => problem)
        .filter(Boolean)
        .join('; ') || null,
    hint: found.find(({ hint }) => hint !== undefined)?.hint,
  };
}

function modulesNamed({ tree, folded, flattened }: ModuleNames, pattern: string): readonly string[] {
  const spelled = new Map([...flattened].map(([path, name]) => [name, path]));
  for (const name of [pattern, unescaped(pattern)]) {
    const path = tree.modules.has(name) || folded.has(name) ? name : spelled.get(name);
    if (path !== undefined && path !== '') return [path];
  }
  if (!isGlob(pattern)) return [];
  const matching = [...tree.modules.values()].filter(
    ({ path }) =>
      path !== '' &&
      (matchesGlob(pattern, path, tree.separator) || matchesGlob(pattern, flattened.get(path) ?? path, tree.separator)),
  );
  return matching.sort((a, b) => a.nodes[0] - b.nodes[0]).map(({ path }) => path);
}

function tapNamed(
  view: GraphView,
  names: ModuleNames,
  path: string,
  part: { readonly mark: string; readonly number: number } | null,
  options: SelectOptions,
): Found {
  const { tree, analysis, folded, flattened } = names;
  const { hookType = 'forward', allowFolded = false, featureConcat = false } = options;
  const select = (tensors: readonly string[]): Found => ({
    problem: null,
    selections: [
      {
        ...concatenatedFacts(analysis, tensors),
        index: null,
        module: flattened.get(path) ?? path,
        hookType,
        tensors,
        by: 'module',
      },
    ],
  });
  const module = tree.modules.get(path);
  const gone = (tensor: string | null): Found => ({
    selections: [],
    problem: `the exporter folded '${path}' away; ${tensor === null ? 'nothing is left of it' : `the value after the fold is '${tensor}'`}`,
    hint: tensor === null ? undefined : 'take the value after the fold with --allow-folded',
  });
  if (module === undefined) {
    const tensor = folded.get(path) ?? null;
    return tensor !== null && allowFolded ? select([tensor]) : gone(tensor);
  }
  const exits = exitsOf(analysis.whole, module.nodes, view.outputs);
  if (part?.mark === '#')
    return part.number < exits.length ? select([exits[part.number]]) : outOf(path, 'output', part.number, exits.length);
  const calls = callsOf(module);
  if (part?.mark === '@' && (part.number < 1 || part.number > calls.length))
    return outOf(path, 'call', part.number, calls.length);
  const tap = tapModule(view, analysis.whole, module, hookType, part === null ? undefined : part.number - 1);
  if (tap.folded !== null && !allowFolded) return gone(tap.folded);
  const tensor = tap.tensors[0] ?? tap.folded;
  if (tensor == null)
    return {
      selections: [],
      problem: `the module '${path}' ${hookType === 'forward' ? 'ends in no tensor' : 'reads no tensor made outside it'}`,
    };
  return select(
    featureConcat && hookType === 'forward' && part === null && exits.length > 1 && exits.includes(tensor)
      ? concatenated(view, exits)
      : [tensor],
  );
}

function outOf(path: string, kind: 'output' | 'call', asked: number, count: number): Found {
  return {
    selections: [],
    problem: `the module '${path}' has ${count} ${kind}${count === 1 ? '' : 's'}, so ${kind} ${asked} does not exist`,
    hint:
      count === 0
        ? undefined
        : kind === 'output'
          ? `outputs count from 0: 0 to ${count - 1}`
          : `calls count from 1: 1 to ${count}`,
  };
}
