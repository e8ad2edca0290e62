import { call, named as shown, option } from '../options/words.js';
import { ResolveError, UsageError } from '../errors.js';
import type { GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { analyse, type Analysis } from './analysis.js';
import { undecided } from './embedding.js';
import { concatenatedFacts, factsOf } from './facts.js';
import type { Embedding, Feature, Resolution } from './feature.js';
import { takeIndices } from './feature-info.js';
import { modulesOf } from './modules.js';
import { inputsOf } from './needed.js';
import { byDeclaredName, byModule, exitsAt, moduleNames, type ModuleNames } from './select-module.js';
import { byTensor, globMatches } from './select-tensor.js';
import {
  selectorsOf,
  type EmbeddingSelector,
  type Found,
  type NamedSelector,
  type Selection,
  type SelectOptions,
  type Selector,
} from './selectors.js';
import { groupRange, selectionFromGroups } from './suggestion.js';
import { tapModule } from './taps.js';
import { unnumbered } from './unnumbered.js';
import { asValue } from './values.js';

/** What every selector of a request looks at. */
interface Context {
  readonly view: GraphView;
  readonly analysis: Analysis;
  readonly resolution: Resolution;
  readonly options: SelectOptions;
}

/**
 * What a request means in this graph, in the order asked; by default the model's `outIndices`, or what a cut was made
 * to give.
 * @throws ResolveError naming every index, module, tensor and node that is missing, with the nearest names
 */
export function selectFeatures(
  view: GraphView,
  types: InferredTypes,
  resolution: Resolution,
  options: SelectOptions = {},
): readonly Selection[] {
  const context: Context = { view, analysis: analyse(view, types), resolution, options };
  const selectors = selectorsOf(options);
  if (selectors.length === 0) return byDefault(context);
  assertHooked(selectors, options);
  const names = selectors.flatMap((selector) => nameAlone(selector) ?? []);
  if (names.length > 0)
    throw unnumbered(names, { view, resolution, modules: moduleNames(view, context.analysis, options) });
  // One feature alone is called by its tensor, unless names are to be those that were asked for.
  const isMixed = selectors.length > 1 || options.nameBy === 'module';
  const found = foundByName(context, selectors.filter(isNamed));
  const selections = selectors.flatMap((selector) => {
    switch (selector.by) {
      case 'index':
        return selectIndices(context, selector.indices, selector.group);
      case 'last':
        return selectIndices(context, selector.count);
      case 'embedding':
        return [embeddingOf(context, selector, isMixed)];
      case 'module':
      case 'tensor':
      case 'node':
        return found.get(selector) ?? [];
    }
  });
  return selections.map((selection) => asValue(context.analysis, withStepsDone(resolution, selection), options.codes));
}

/** What stands in the place of indices; null for any other selector. */
function nameAlone(selector: Selector): string | null {
  return selector.by === 'index' && selector.indices.length === 0 ? (selector.group ?? null) : null;
}

/** A selection by name of what leaves a cut, with what was computed of it before. */
function withStepsDone({ cutOutputs }: Resolution, selection: Selection): Selection {
  const [tensor, ...others] = selection.tensors;
  const known = others.length > 0 ? undefined : cutOutputs.find(({ output }) => output === tensor);
  return known?.done === undefined ? selection : { ...selection, done: known.done };
}

/** @throws UsageError if inputs are asked for of what is not computed by a module or a node alone */
function assertHooked(selectors: readonly Selector[], { hookType }: SelectOptions): void {
  if (hookType !== 'forward_pre' || selectors.some(({ by }) => by !== 'tensor' && by !== 'embedding')) return;
  throw new UsageError(
    `${option('hookType', 'forward_pre')} takes what a module or a node reads, and only tensors are named`,
    {
      code: 'FEATX_USAGE_HOOK_TYPE',
      hint: `name the module or the node (${option('module')}, ${option('node')}), or leave it out: a tensor is what its name says`,
    },
  );
}

function isNamed(selector: Selector): selector is NamedSelector {
  return selector.by === 'module' || selector.by === 'tensor' || selector.by === 'node';
}

function byDefault(context: Context): readonly Selection[] {
  const { resolution, options } = context;
  if (resolution.cutOutputs.length === 0 || options.hookType !== undefined)
    return selectIndices(context, resolution.outIndices).map((selection) =>
      asValue(context.analysis, selection, options.codes),
    );
  return resolution.cutOutputs.map(
    ({ output, ...facts }): Selection => ({
      ...facts,
      hookType: 'forward',
      tensors: [output],
      name: output,
      by: 'index',
    }),
  );
}

/** What to take of a network that has no embedding. */
function insteadOf({ features }: Resolution): string {
  const byName = `name the tensor with ${option('tensor')}`;
  const hasTokens = features.some(({ layout }) => layout === 'NLC');
  return hasTokens ? `${byName}, or pool the last block: ${option('out', [-1])} ${option('pool', 'mean')}` : byName;
}

/** The likeliest of some vectors; of those of several towers the likeliest of each, and what it is computed of. */
function oneOf(view: GraphView, embeddings: readonly Embedding[]): string {
  const towers = new Map<string, string>();
  for (const { tensor } of embeddings) {
    const inputs = inputsOf(view, [tensor]).map(shown).join(', ');
    if (!towers.has(inputs)) towers.set(inputs, tensor);
  }
  if (towers.size === 1) return `take one of them, such as ${option('tensor', embeddings[0].tensor)}`;
  const each = [...towers].map(([inputs, tensor]) => `${option('tensor', tensor)} (of ${inputs})`);
  return `take one of them, such as ${each.join(' or ')}`;
}

/** The embedding, or the one that has the role. @throws ResolveError naming what there is */
function embeddingOf({ view, resolution }: Context, { role }: EmbeddingSelector, isMixed: boolean): Selection {
  const { embedding, embeddings } = resolution;
  const ofRole = embeddings.filter((candidate) => candidate.role === role);
  const isOne = embedding !== null || new Set(ofRole.map(({ tensor }) => tensor)).size === 1;
  const chosen = role === undefined ? embedding : isOne ? ofRole.at(0) : undefined;
  if (chosen == null) {
    const named = ofRole.length > 0 ? ofRole : embeddings;
    const candidates = named.map(({ tensor, role: its }) => `'${tensor}' (${its})`).join(', ');
    throw new ResolveError(
      embeddings.length === 0
        ? 'no embedding was found: no vector that stands for a whole entry enters a classifier or leaves the graph'
        : role !== undefined && ofRole.length === 0
          ? `the model has no embedding of role ${role}; it has ${candidates}`
          : role !== undefined
            ? `several vectors have the role ${role}: ${candidates}`
            : (undecided(resolution) ?? `several vectors may be the embedding: ${candidates}`),
      {
        code: 'FEATX_RESOLVE_EMBEDDING',
        hint: named.length === 0 ? insteadOf(resolution) : oneOf(view, named),
      },
    );
  }
  const { tensor, role: its, because: _because, ...facts } = chosen;
  const key = !isMixed ? undefined : role === undefined ? 'embedding' : `embedding.${its}`;
  return {
    ...facts,
    index: null,
    group: null,
    module: null,
    hookType: 'forward',
    tensors: [tensor],
    key,
    alias: role === undefined ? 'embedding' : `embedding.${its}`,
    by: 'embedding',
  };
}

/**
 * The features of the FeatureInfo, or of a group, at some indices; a number takes the last n. @throws ResolveError,
 * UsageError
 */
function selectIndices(context: Context, indices: number | readonly number[], group?: string): readonly Selection[] {
  const { view, analysis, options } = context;
  const all = group === undefined ? context.resolution.features : groupNamed(context.resolution, group);
  if (all.length === 0) throw nothingToSelect(context.resolution);
  const features = options.hookType === 'forward_pre' ? withInputs(view, analysis, all) : all;
  const taken = takeIndices(features.length, indices, group === undefined ? 'the model' : `the group '${group}'`);
  const wanted = taken.indices.map((index) => features[index]);
  assertHeld(wanted, options, group);
  const names = options.flattenSequential || options.featureConcat ? moduleNames(view, analysis, options) : null;
  return wanted.map((feature) => selectionOf(context, feature, group ?? null, names));
}

/** The features of a group. @throws ResolveError naming the groups that there are */
export function groupNamed({ groups }: Resolution, name: string): readonly Feature[] {
  const group = groups.find((candidate) => candidate.name === name);
  if (group !== undefined) return group.features;
  throw new ResolveError(`the model has no group '${name}'`, {
    code: 'FEATX_RESOLVE_GROUP',
    hint:
      groups.length === 0
        ? 'it has no groups beside its FeatureInfo; select with plain indices'
        : `its groups are ${groups.map(({ name: its, features }) => groupRange(its, features)).join(', ')}`,
  });
}

function nothingToSelect({ groups }: Resolution): ResolveError {
  const byName = `name tensors with ${option('tensor')}; ${call('inspect', 'listTensors')} lists them`;
  return new ResolveError(
    `the model has no features to select by index${groups.length === 0 ? '' : ' but those of its groups'}`,
    {
      code: 'FEATX_RESOLVE_NONE',
      hint: groups.length === 0 ? byName : `give ${selectionFromGroups(groups)}, or ${byName}`,
    },
  );
}

/** @throws ResolveError for features that the graph does not hold */
function assertHeld(wanted: readonly Feature[], options: SelectOptions, group: string | undefined): void {
  const gone = wanted.filter((feature) => tensorOf(feature, options) === null);
  if (gone.length === 0) return;
  const label = group === undefined ? 'feature ' : `${group}.`;
  const why = gone.map(
    ({ index, module, because }) => `${label}${index}${module === null ? '' : ` (${module})`}: ${because}`,
  );
  const folded = gone.some((feature) => feature.folded !== null);
  throw new ResolveError(`the graph no longer holds ${why.join('; ')}`, {
    code: 'FEATX_RESOLVE_FOLDED',
    hint: folded
      ? `take the value after the fold with ${option('allowFolded', true)}`
      : `leave it out of ${option('out')}, or name another tensor with ${option('tensor')}`,
  });
}

function selectionOf(
  { view, analysis, options }: Context,
  feature: Feature,
  group: string | null,
  names: ModuleNames | null,
): Selection {
  const {
    index,
    hookType,
    module,
    tensor,
    folded,
    resolvedBy: _by,
    confidence: _confidence,
    because: _because,
    ...facts
  } = feature;
  const several =
    options.featureConcat && names !== null && module !== null && tensor !== null
      ? exitsAt(view, names, module, tensor)
      : [tensor ?? folded ?? ''];
  const own = several[0] === tensor && several.length === 1 ? facts : concatenatedFacts(analysis, several);
  return {
    ...own,
    index,
    group,
    key: group === null ? String(index) : `${group}.${index}`,
    hookType,
    module: module !== null && names !== null ? (names.flattened.get(module) ?? module) : module,
    tensors: several,
    by: 'index',
  };
}

/**
 * The features at what their modules read, as `hook_type: forward_pre` has it; entries that were given have said which
 * they mean.
 */
function withInputs(view: GraphView, analysis: Analysis, features: readonly Feature[]): readonly Feature[] {
  const tree = modulesOf(view, analysis.whole);
  return features.map((feature) => {
    const { module: path, hookType, resolvedBy } = feature;
    if (hookType === 'forward_pre' || resolvedBy === 'explicit') return feature;
    const module = path === null || path === '' ? undefined : tree.modules.get(path);
    const [tensor = null] =
      module === undefined ? [] : tapModule(view, analysis.whole, tree, module, 'forward_pre').tensors;
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

/** Names in an error; and how many of them are looked up elsewhere in the model. */
const MOST_PROBLEMS = 100;
const MOST_EXPLAINED = 20;
/** More than any graph has outputs; a glob that is given again and again is a slip. */
const MOST_SELECTED = 100_000;

/** What each named selector means. @throws ResolveError naming all that mean nothing */
function foundByName(
  { view, analysis, resolution, options }: Context,
  named: readonly NamedSelector[],
): ReadonlyMap<NamedSelector, readonly Selection[]> {
  const problems: string[] = [];
  let wrong = 0;
  const hints = new Set<string>();
  const selections = new Map<NamedSelector, readonly Selection[]>();
  let count = 0;
  const names = named.some(({ by }) => by === 'module') ? moduleNames(view, analysis, options) : null;
  const globs = globMatches(view, named);
  // Counted before they are made: a glob may be given as often as it matches.
  assertFew(named.reduce((sum, { by, name }) => sum + (by === 'module' ? 0 : (globs[by].get(name)?.length ?? 1)), 0));
  for (const selector of named) {
    const isExplained = wrong < MOST_EXPLAINED;
    const found: Found =
      selector.by === 'module' && names !== null
        ? (byDeclaredName(analysis, names, resolution, selector.name, options) ??
          byModule(view, names, selector.name, options, isExplained))
        : byTensor(view, analysis, selector, globs, options, isExplained);
    if (found.problem !== null && wrong++ < MOST_PROBLEMS) problems.push(found.problem);
    if (found.hint !== undefined) hints.add(found.hint);
    assertFew((count += found.selections.length));
    if (wrong === 0) selections.set(selector, found.selections);
  }
  if (wrong === 0) return selections;
  if (wrong > MOST_PROBLEMS) problems.push(`and ${wrong - MOST_PROBLEMS} more`);
  throw new ResolveError(problems.join('; '), {
    hint: hints.size > 0 ? [...hints].join('; ') : `list every tensor with ${call('inspect', 'listTensors')}`,
  });
}

/** @throws UsageError */
function assertFew(count: number): void {
  if (count > MOST_SELECTED)
    throw new UsageError(`the names and globs that were given select more than ${MOST_SELECTED} features`, {
      hint: 'give each tensor, module and node once, and narrower globs',
    });
}
