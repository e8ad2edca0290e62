import { plural } from '../../wire/counted.js';
import type { GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { factsOf } from '../facts.js';
import type { Feature } from '../feature.js';
import { nodeAt, type Flow } from '../flow.js';
import { lastTensor, type Module, type ModuleTree } from '../modules.js';
import { FAMILIES, type Family } from './families.js';
import { declaredFeatures, identifyFamily, type Declared } from './family-features.js';
import { pickUnits, unitAt, unitsOf, type Pick, type Unit } from './units.js';

/** How features are looked for by the names of modules. */
export interface ModulePathOptions {
  readonly families?: readonly Family[];
  readonly includeHead?: boolean;
}

/** What a resolver found, and what it says of it. */
export interface Answer {
  readonly features: readonly Feature[];
  readonly outcome: string;
  readonly warnings: readonly string[];
}

/**
 * The features of a network whose nodes tell the modules they lie in: by the family's table where the names show one,
 * else by the tree of modules.
 */
export function resolveByModules(
  view: GraphView,
  analysis: Analysis,
  tree: ModuleTree,
  topology: () => Answer,
  options: ModulePathOptions = {},
): Answer {
  if (tree.root.isLeaf) return { features: [], outcome: 'the nodes carry no module names', warnings: [] };
  if (!tree.isNested)
    return { features: [], outcome: 'the names show layers, not the modules around them', warnings: [] };
  const known = identifyFamily(tree, options.families ?? FAMILIES);
  const warnings: string[] = [];
  if (known?.family.modules !== undefined) {
    const declared = declaredFeatures(view, analysis, tree, known.family, known.base);
    const problem = declared === null ? 'not all of its modules are there' : contradiction(analysis, declared);
    if (declared !== null && problem === null) {
      const features = declared.map((entry, index) => declaredFeature(analysis, entry, index, known.certain));
      return {
        features: options.includeHead ? withHead(analysis, tree, features) : features,
        outcome: `the ${known.certain ? 'class names' : 'module names'} show the family ${known.family.name}`,
        warnings,
      };
    }
    if (known.certain)
      warnings.push(
        `timm's feature_info of ${known.family.name} does not fit this graph (${problem}); the features are those that the graph shows`,
      );
  }
  const picks = pickUnits(analysis, tree, known?.family.stem ?? 'keep');
  if (!picks.some(({ unit }) => unit.stride > 1))
    return { features: [], outcome: 'no module ends in a smaller map that everything passes through', warnings };
  const byShape = known === null ? topology().features : null;
  const better = byShape === null ? null : shapeInstead(analysis, picks, byShape);
  if (better !== null)
    return {
      features: namedByModules(analysis.flow, analysis.view, tree, byShape ?? []),
      outcome: better,
      warnings,
    };
  const named = picks.map(
    (pick, index): Feature => ({
      ...namedFeature(analysis, tree, pick, byShape),
      index,
      folded: null,
      hookType: 'forward',
      resolvedBy: 'module-path',
    }),
  );
  const features =
    known?.family.last === undefined
      ? named
      : renamedLast(
          analysis,
          tree,
          named,
          picks,
          known.base === '' ? known.family.last : `${known.base}.${known.family.last}`,
        );
  return {
    features: options.includeHead ? withHead(analysis, tree, features) : features,
    outcome: `${plural(picks.length, 'module')}, by the tree of modules`,
    warnings,
  };
}

/** Strides that the shape of the graph shows and the modules do not, from which on the shape decides. */
const MISSED_STRIDES = 2;
/** More features than a pyramid has. */
const MOST_LABELLED = 64;

/**
 * Why the shape of the graph is believed in place of the modules, which then only name what it shows; null where they
 * agree well enough.
 */
function shapeInstead({ flow, tapped }: Analysis, picks: readonly Pick[], byShape: readonly Feature[]): string | null {
  if (byShape.length > MOST_LABELLED) return null;
  const strides = new Set(picks.map(({ unit }) => unit.stride));
  const missed = byShape.filter(({ reduction }) => reduction !== null && !strides.has(reduction));
  if (missed.length >= MISSED_STRIDES)
    return `the modules show ${plural(strides.size, 'stride')}, the shape of the graph ${byShape.length}`;
  const isTapped = ({ tensor }: Feature): boolean => tensor !== null && tapped.has(tensor);
  const same =
    byShape.length === picks.length && byShape.every(({ reduction }, at) => reduction === picks[at].unit.stride);
  const isTappedPick = (at: number): boolean => at < picks.length && tapped.has(nameOf(flow, picks[at].unit));
  const taps = byShape.filter((feature, at) => isTapped(feature) && !isTappedPick(at)).length;
  return same && taps >= MISSED_STRIDES
    ? 'heads read what the shape of the graph shows, not what the modules end in'
    : null;
}

/** Features that the shape of a graph showed, under the modules that made them; `tree` is that of the same flow. */
export function namedByModules(
  flow: Flow,
  view: GraphView,
  tree: ModuleTree,
  features: readonly Feature[],
): readonly Feature[] {
  if (tree.root.isLeaf || !tree.isNested) return features;
  const places = new Set(features.map(({ tensor }) => flow.position.get(tensor ?? '') ?? -1));
  return features.map((feature) => labelled(flow, view, tree, feature, places));
}

/**
 * A feature that the shape showed, under the module that made it: the largest that has no later weights and holds no
 * other feature.
 */
function labelled(
  flow: Flow,
  view: GraphView,
  tree: ModuleTree,
  feature: Feature,
  places: ReadonlySet<number>,
): Feature {
  const end = flow.position.get(feature.tensor ?? '') ?? -1;
  const hasWeights = (at: number): boolean => nodeAt(flow, at).inputs.some((name) => view.initializers.has(name));
  let at = end;
  while (at >= 0 && !hasWeights(at))
    at = flow.position.get(nodeAt(flow, at).inputs.find((name) => flow.position.has(name)) ?? '') ?? -1;
  if (at < 0) return feature;
  let module = tree.ownerAt(at);
  const ends = ({ nodes }: Module): boolean =>
    nodes.every((node) => (node <= at || !hasWeights(node)) && (node === end || !places.has(node)));
  while (module.parent !== null && module.parent.path !== '' && ends(module.parent)) module = module.parent;
  // An activation beside its convolution is what the feature is called by.
  const own = tree.ownerAt(end);
  const { path } = own.parent === module.parent && !own.nodes.some(hasWeights) ? own : module;
  return { ...feature, module: path === '' ? null : path, because: `${feature.because}; named by its module` };
}

/**
 * A pick as a feature. What the shape of the graph says makes it sure, and wins over a single layer: layers in a row do
 * not show where a block ends.
 */
function namedFeature(
  analysis: Analysis,
  tree: ModuleTree,
  { unit, sure, because }: Pick,
  byShape: readonly Feature[] | null,
): Omit<Feature, 'index' | 'folded' | 'hookType' | 'resolvedBy'> {
  const { flow } = analysis;
  const tensor = nameOf(flow, unit);
  const here = { ...factsOf(analysis, tensor), module: stemConv(analysis, unit).path, tensor };
  if (byShape === null || byShape.some((feature) => feature.tensor === tensor))
    return { ...here, confidence: 'high', because };
  const other = byShape.find(({ reduction }) => reduction === unit.stride);
  const at = flow.position.get(other?.tensor ?? '') ?? -1;
  if (other?.tensor == null || other.confidence !== 'high' || !unit.module.isLeaf || at < 0 || at > unit.module.first)
    return { ...here, confidence: sure ? 'medium' : 'low', because };
  const owner = largestEndingAt(analysis, tree.ownerAt(at), other.tensor);
  return {
    ...factsOf(analysis, other.tensor),
    module: owner.path,
    tensor: other.tensor,
    confidence: 'medium',
    because: `${other.because}; ${unit.module.path} behind it is a single layer`,
  };
}

/** The name of what a unit ends in. */
function nameOf({ columns }: Flow, { tensor }: Unit): string {
  return columns.nameOf(tensor);
}

/** The outermost module that still ends in a tensor. */
function largestEndingAt({ flow }: Analysis, module: Module, tensor: string): Module {
  const end = flow.columns.tensorOf.get(tensor);
  let largest = module;
  for (let up = module.parent; up !== null && up.path !== '' && lastTensor(flow, up) === end; up = up.parent)
    largest = up;
  return largest;
}

function declaredFeature(
  analysis: Analysis,
  { module, tensor, folded, because, isAlias = false }: Declared,
  index: number,
  certain: boolean,
): Feature {
  const facts = factsOf(analysis, tensor ?? folded ?? '');
  const isStripped = isAlias && facts.prefixTokens > 0;
  return {
    ...facts,
    index,
    module,
    tensor,
    folded,
    hookType: 'forward',
    resolvedBy: 'module-path',
    confidence: !isStripped && (certain || tensor !== null) ? 'high' : 'medium',
    because,
  };
}

/** The features and the last unit behind them that makes a map: a widening convolution, a final norm. */
function withHead(analysis: Analysis, tree: ModuleTree, features: readonly Feature[]): readonly Feature[] {
  const last = features.at(-1);
  const from = last?.tensor == null ? undefined : analysis.flow.position.get(last.tensor);
  const head =
    from === undefined
      ? undefined
      : unitsOf(analysis, tree)
          .filter((unit) => unit.module.first > from && nameOf(analysis.flow, unit) !== last?.tensor)
          .at(-1);
  if (head === undefined) return features;
  const { module } = head;
  const tensor = nameOf(analysis.flow, head);
  const because = `${module.path} is the last module behind the features that makes a map`;
  return [
    ...features,
    {
      ...factsOf(analysis, tensor),
      index: features.length,
      module: module.path,
      tensor,
      folded: null,
      hookType: 'forward',
      resolvedBy: 'module-path',
      confidence: 'medium',
      because,
    },
  ];
}

/** Why declared features cannot be this graph's: strides that fall, or the same tensor twice. */
function contradiction({ geometry }: Analysis, declared: readonly Declared[]): string | null {
  let previous = 0;
  const seen = new Set<string>();
  for (const { module, tensor } of declared) {
    if (tensor === null) continue;
    if (seen.has(tensor)) return `two of its features are '${tensor}'`;
    seen.add(tensor);
    const stride = geometry.get(tensor)?.stride ?? null;
    if (stride === null) continue;
    if (stride < previous) return `the stride falls to ${stride} at ${module}`;
    previous = stride;
  }
  return null;
}

/** timm names the last convolution of a stem that holds nothing but convolutions. */
function stemConv({ flow }: Analysis, { module, tensor }: Unit): Module {
  const last = module.children.at(-1);
  if (
    module.name !== 'stem' ||
    last === undefined ||
    !module.children.every(({ name }) => /^conv\d*$/.test(name)) ||
    (module.children.length > 1 && last.name === 'conv')
  )
    return module;
  return lastTensor(flow, last) === tensor ? last : module;
}

/** The last feature under the name its family gives it, taken from that module where it has nodes. */
function renamedLast(
  analysis: Analysis,
  tree: ModuleTree,
  features: readonly Feature[],
  picks: readonly Pick[],
  path: string,
): readonly Feature[] {
  const last = features.at(-1);
  if (last === undefined) return features;
  const module = tree.modules.get(path);
  const unit = module === undefined ? null : unitAt(analysis, module);
  if (unit === null)
    return [
      ...features.slice(0, -1),
      { ...last, module: path, because: `${last.because}; ${path} leaves it as it is` },
    ];
  const sameStride = unit.stride === picks.at(-1)?.unit.stride;
  const tensor = nameOf(analysis.flow, unit);
  const renamed: Feature = {
    ...last,
    ...factsOf(analysis, tensor),
    tensor,
    module: path,
    index: sameStride ? last.index : last.index + 1,
    because: `${path} follows the last stage`,
  };
  return sameStride ? [...features.slice(0, -1), renamed] : [...features, renamed];
}
