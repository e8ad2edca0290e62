import { call, option } from '../options/words.js';
import type { GraphView } from '../onnx/graph.js';
import type { Analysis } from './analysis.js';
import { concatenatedFacts } from './facts.js';
import type { Resolution } from './feature.js';
import { isGlob, matchesGlob, unescaped } from './glob.js';
import { modulesOf, type ModuleTree } from './modules.js';
import { missing } from './select-tensor.js';
import type { Found, SelectOptions } from './selectors.js';
import { flattenedName, sequentialModules } from './sequential.js';
import { callsOf } from './calls.js';
import { concatenated, exitsOf, foldedModules, madeWithParametersOf, tapModule } from './taps.js';

/** Everything that can be selected by module in a graph. */
export interface ModuleNames {
  readonly tree: ModuleTree;
  readonly analysis: Analysis;
  readonly folded: ReadonlyMap<string, string>;
  /** Flattened spellings, empty where they were not asked for. */
  readonly flattened: ReadonlyMap<string, string>;
}

/** Every name that a module of the graph can be selected by. */
export function moduleNames(view: GraphView, analysis: Analysis, options: SelectOptions): ModuleNames {
  const tree = modulesOf(view, analysis.whole);
  const flattened = new Map<string, string>();
  if (options.flattenSequential)
    for (const path of sequentialModules(tree).paths) flattened.set(path, flattenedName(path));
  return { tree, analysis, folded: foldedModules(view, analysis.whole, tree), flattened };
}
/** All outputs of the module that ends in `tensor`. */
export function exitsAt(view: GraphView, names: ModuleNames, path: string, tensor: string): readonly string[] {
  const module = names.tree.modules.get(path);
  if (module === undefined) return [tensor];
  const exits = exitsOf(names.analysis.whole, module.nodes, view.outputs);
  return exits.length > 1 && exits.includes(tensor) ? concatenated(view, exits) : [tensor];
}

/**
 * A name that timm declares for a feature and that is no module of the network: `block.0` of Twins, `final_conv` where
 * it is empty.
 */
export function byDeclaredName(
  analysis: Analysis,
  { tree, folded }: ModuleNames,
  { features }: Resolution,
  name: string,
  { hookType = 'forward', nameBy }: SelectOptions,
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
        group: null,
        module: name,
        hookType,
        tensors: [tensor],
        ...(nameBy === 'module' ? { name } : {}),
        by: 'module',
      },
    ],
  };
}

/** `layer1`, `layer*`; `layer1#1`, its second output; `relu@2`, its second call. */
export function byModule(
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
      hint: `name tensors with ${option('tensor')}; list them with ${call('inspect', 'listTensors')}`,
    };
  }
  const [, pattern, mark, digits] = /^([\s\S]*?)(?:([#@])(\d{1,9}))?$/.exec(spec) ?? [];
  const paths = modulesNamed(names, spec);
  const chosen = paths.length > 0 || mark === undefined ? paths : modulesNamed(names, pattern);
  if (chosen.length === 0) {
    const known = isExplained ? [...tree.modules.keys(), ...folded.keys()].filter(Boolean) : null;
    const several = severalNamed(names, spec);
    if (several !== null) return { ...missing('module', spec, null), hint: several };
    const hint =
      (isExplained ? (beyondDots(tree, spec) ?? elsewhere(view, names, mark === undefined ? spec : pattern)) : null) ??
      LISTED;
    return { ...missing('module', spec, known), hint };
  }
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

/** Names with commas between them, which a flag that is given again takes one by one. */
function severalNamed(names: ModuleNames, spec: string): string | null {
  const parts = spec.split(',');
  if (parts.length < 2 || !parts.every((part) => modulesNamed(names, part.trim()).length > 0)) return null;
  return `give one name at a time: ${parts.map((part) => option('module', part.trim())).join(' ')}`;
}

/** A module that a glob would match if `*` went over dots. */
function beyondDots({ modules, separator }: ModuleTree, spec: string): string | null {
  if (!isGlob(spec)) return null;
  const path = [...modules.keys()].find((name) => name !== '' && matchesGlob(spec, name));
  return path === undefined ? null : `* and ? stop at '${separator}': they do not reach '${path}'`;
}

const LISTED = `list the modules with ${call('inspect', 'listModules')}`;

/**
 * Where a module is that the graph does not know under this name: exporters leave out parents that are never called,
 * and some layers.
 */
function elsewhere(view: GraphView, { tree, analysis }: ModuleNames, path: string): string | null {
  for (let rest = path; rest.includes('.'); ) {
    rest = rest.slice(rest.indexOf('.') + 1);
    if (tree.modules.has(rest))
      return `the graph calls it '${rest}': exporters leave out parents that are never called`;
  }
  const made = madeWithParametersOf(view, analysis.whole, tree, path);
  if (made === null) return null;
  return `its parameters are read in ${made.module === '' ? 'no module' : `the module '${made.module}'`}, which makes the tensor '${made.tensor}'`;
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
  return matching.sort((a, b) => a.first - b.first).map(({ path }) => path);
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
  const spelled = flattened.get(path) ?? path;
  const name = options.nameBy === 'module' ? `${spelled}${part === null ? '' : part.mark + part.number}` : undefined;
  const select = (tensors: readonly string[]): Found => ({
    problem: null,
    selections: [
      {
        ...concatenatedFacts(analysis, tensors),
        index: null,
        group: null,
        module: spelled,
        hookType,
        tensors,
        ...(name === undefined ? {} : { name }),
        by: 'module',
      },
    ],
  });
  const module = tree.modules.get(path);
  const gone = (tensor: string | null): Found => ({
    selections: [],
    problem: `the exporter folded '${path}' away; ${tensor === null ? 'nothing is left of it' : `the value after the fold is '${tensor}'`}`,
    hint: tensor === null ? undefined : `take the value after the fold with ${option('allowFolded', true)}`,
  });
  if (module === undefined) {
    const tensor = folded.get(path) ?? null;
    return tensor !== null && allowFolded ? select([tensor]) : gone(tensor);
  }
  const exits = exitsOf(analysis.whole, module.nodes, view.outputs);
  if (part?.mark === '#')
    return part.number < exits.length ? select([exits[part.number]]) : outOf(path, 'output', part.number, exits.length);
  const calls = callsOf(view, analysis.whole, tree, module);
  if (part?.mark === '@' && (part.number < 1 || part.number > calls.length))
    return outOf(path, 'call', part.number, calls.length);
  const tap = tapModule(view, analysis.whole, tree, module, hookType, part === null ? undefined : part.number - 1);
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
