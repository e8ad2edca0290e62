import type { GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { nodeAt, nodeIf } from '../flow.js';
import type { Module, ModuleTree } from '../modules.js';
import { exitsOf, foldedModules, tapModule } from '../taps.js';
import type { Family } from './families.js';

/** A feature by timm's convention: its name, and the tensor where the graph still holds it. */
export interface Declared {
  readonly module: string;
  readonly tensor: string | null;
  readonly folded: string | null;
  readonly because: string;
  /** Whether the name is timm's alone: what it returns is then made for that name, and no module's output. */
  readonly isAlias?: boolean;
}

/**
 * The family whose class the exporter wrote, or whose modules the names show; `base` is the module that is the network
 * of that family.
 */
export function identifyFamily(
  tree: ModuleTree,
  families: readonly Family[],
): { readonly family: Family; readonly base: string; readonly certain: boolean } | null {
  for (const [path, name] of tree.classes) {
    const [file, type] = name.split('.').slice(-2);
    const family = families.find(({ classes }) => classes.includes(`${file}.${type}`));
    if (family !== undefined) return { family, base: path, certain: true };
  }
  if (tree.classes.size > 0) return null;
  for (const base of bases(tree)) {
    const family = families.find(
      ({ signs }) =>
        signs.length > 0 &&
        signs.every((sign) => sign.split('|').some((path) => modulesAt(tree, base, path).length > 0)),
    );
    if (family !== undefined) return { family, base, certain: false };
  }
  return null;
}

/** The root and the modules that hold nearly all of it: `model`, `backbone`, `encoder`. */
function bases(tree: ModuleTree): readonly string[] {
  const paths = [''];
  let module: Module | undefined = tree.root;
  while (module !== undefined && paths.length < 4) {
    const total: number = module.size;
    module = module.children.find((child) => child.size > 0.5 * total && !/^\d+$/.test(child.name));
    if (module !== undefined) paths.push(module.path);
  }
  return paths;
}

/** Modules whose path matches a pattern under `base`, in order of execution. */
function modulesAt(tree: ModuleTree, base: string, pattern: string): readonly Module[] {
  const from = tree.modules.get(base);
  let found: readonly Module[] = from === undefined ? [] : [from];
  for (const atom of pattern.split('.')) {
    found = found.flatMap((module): readonly Module[] => {
      if (/[*#]/.test(atom)) return module.children.filter(matchesAtom(atom));
      const child = tree.modules.get(module.path === '' ? atom : `${module.path}.${atom}`);
      return child === undefined ? [] : [child];
    });
  }
  return found.length > 1 ? [...found].sort((a, b) => a.first - b.first) : found;
}

function matchesAtom(atom: string): (module: Module) => boolean {
  const wild = atom.search(/[*#]/);
  const [head, tail] = [atom.slice(0, wild), atom.slice(wild + 1)];
  return ({ name }) => {
    if (name.length < atom.length || !name.startsWith(head) || !name.endsWith(tail)) return false;
    return atom[wild] === '*' || /^\d+$/.test(name.slice(head.length, name.length - tail.length));
  };
}

/** Reads a family's patterns against the modules there are. Null where one of them has no match. */
export function declaredFeatures(
  view: GraphView,
  analysis: Analysis,
  tree: ModuleTree,
  family: Family,
  base: string,
): readonly Declared[] | null {
  const features: Declared[] = [];
  for (const pattern of family.modules ?? []) {
    const found = declared(view, analysis, tree, family, base, pattern);
    if (found === null) return null;
    for (const feature of found) features.push(feature);
  }
  return features;
}

function declared(
  view: GraphView,
  analysis: Analysis,
  tree: ModuleTree,
  family: Family,
  base: string,
  pattern: string,
): readonly Declared[] | null {
  const [alias, target] = pattern.includes('=') ? pattern.split('=') : [null, pattern];
  const prefix = base === '' ? '' : `${base}.`;
  if (target === '')
    return [
      {
        module: prefix + (alias ?? ''),
        tensor: null,
        folded: null,
        because: `timm declares '${alias ?? ''}' for ${family.name}, which is no module of the network`,
      },
    ];
  const because = `${alias ?? target} is a feature of the family ${family.name}`;
  for (const option of target.split('|')) {
    const [path, condition] = option.split('?');
    if (condition !== undefined && modulesAt(tree, base, condition).length === 0) continue;
    const modules = narrowed(analysis, path, modulesAt(tree, base, path.replace(/^-|[%^$]$/g, '')));
    if (modules.length > 0)
      return inStep(
        analysis,
        modules,
        modules.map((module) => ({
          ...tapped(
            view,
            analysis,
            tree,
            family,
            module,
            alias === null ? module.path : prefix + alias.replace('*', module.name),
          ),
          isAlias: alias !== null,
        })),
      );
  }
  const folded = foldedModules(view, analysis.flow, tree).get(prefix + target);
  return folded === undefined
    ? null
    : [{ module: prefix + (alias ?? target), tensor: null, folded, because: `${because}; ${FOLDED}` }];
}

const FOLDED = 'its own value is gone: the exporter folded the norm behind it into it';

function strideOf({ geometry, flow }: Analysis, module: Module): number | null {
  const tensor = nodeAt(flow, module.last).outputs[0];
  return geometry.get(tensor)?.stride ?? null;
}

/** `%` the last at each stride, `^` the first, `$` the last of all, `-` without the deepest stride. */
function narrowed(analysis: Analysis, path: string, modules: readonly Module[]): readonly Module[] {
  const mode = path.at(-1) ?? '';
  if (mode === '$') return modules.slice(-1);
  if (mode !== '%' && mode !== '^') return modules;
  const byStride = new Map<number | null, Module>();
  for (const module of modules) {
    const stride = strideOf(analysis, module);
    if (mode === '%' || !byStride.has(stride)) byStride.set(stride, module);
  }
  const kept = [...byStride.values()];
  if (!path.startsWith('-')) return kept;
  let deepest = 0;
  for (const tensor of analysis.flow.cuts) {
    const place = analysis.places[tensor];
    if (place !== null && !place.pooled) deepest = Math.max(deepest, place.stride ?? 0);
  }
  return kept.filter((module) => strideOf(analysis, module) !== deepest);
}

/**
 * Where the last of several equal modules hands on fewer tensors than the others, because nobody reads the rest: the
 * tensor at the same place inside it.
 */
function inStep({ flow }: Analysis, modules: readonly Module[], features: readonly Declared[]): readonly Declared[] {
  const [last, before] = [modules.at(-1), modules.at(-2)];
  const given = features.at(-2)?.tensor ?? null;
  if (
    last === undefined ||
    before === undefined ||
    given === null ||
    !features[features.length - 2].because.includes('of its') ||
    features[features.length - 1].because.includes('of its')
  )
    return features;
  const place = before.nodes.indexOf(flow.position.get(given) ?? -1);
  const twin = nodeIf(flow, last.nodes[place]);
  if (
    before.nodes.length !== last.nodes.length ||
    twin === undefined ||
    twin.opType !== nodeAt(flow, before.nodes[place]).opType
  )
    return features;
  return [...features.slice(0, -1), { ...features[features.length - 1], tensor: twin.outputs[0] }];
}

/** What tokens become behind a module by changes of layout alone: the map with channels first, or themselves. */
function laidOut({ flow, geometry }: Analysis, tensor: string | null): string | null {
  let at = tensor;
  while (at !== null && geometry.get(at)?.axes?.join('') !== 'NCHW') {
    const readers: readonly number[] = flow.readers.get(at) ?? [];
    const next = readers.length === 1 ? nodeAt(flow, readers[0]) : undefined;
    at = next !== undefined && (next.opType === 'Reshape' || next.opType === 'Transpose') ? next.outputs[0] : null;
  }
  return at ?? tensor;
}

function tapped(
  view: GraphView,
  analysis: Analysis,
  tree: ModuleTree,
  family: Family,
  module: Module,
  name: string,
): Declared {
  const { flow, geometry } = analysis;
  const because = `${name} is a feature of the family ${family.name}`;
  const tap = tapModule(view, flow, tree, module, 'forward');
  if (tap.folded !== null) return { module: name, tensor: null, folded: tap.folded, because: `${because}; ${FOLDED}` };
  if (family.output === 'laid-out')
    return {
      module: name,
      tensor: laidOut(analysis, tap.tensors[0] ?? null),
      folded: null,
      because: `${because}, laid out as a map where it goes on`,
    };
  const exits = family.output === undefined ? [] : exitsOf(flow, module.nodes, view.outputs);
  if (exits.length > 1) {
    const wanted = exits.find(
      (tensor) =>
        family.output === 'first' ||
        (family.output === 'map'
          ? geometry.get(tensor)?.axes?.includes('H')
          : nodeAt(flow, flow.position.get(tensor) ?? 0).opType === 'Add'),
    );
    return {
      module: name,
      tensor: wanted ?? null,
      folded: null,
      because: `${because}; the ${family.output} of its ${exits.length} outputs`,
    };
  }
  const [tensor = null] = tap.tensors;
  const isMap = tensor !== null && geometry.get(tensor)?.axes?.includes('H');
  if (family.output === 'map' && !isMap)
    return {
      module: name,
      tensor: null,
      folded: null,
      because: `${because}; the exporter left out its map, which nothing reads`,
    };
  return { module: name, tensor, folded: null, because };
}
