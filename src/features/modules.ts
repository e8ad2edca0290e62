import type { Flow } from './flow.js';
import type { GraphView } from '../onnx/graph.js';
import { nodePaths, type NamingStyle, type NodePaths } from './names.js';
import { commonPath, shallow } from './names/paths.js';

/** A module of the network that was exported, as far as the names of its nodes show it. */
export interface Module {
  /** Qualified name; `''` is the root. */
  readonly path: string;
  /** The last atom of the path. */
  readonly name: string;
  readonly parent: Module | null;
  /** In order of first execution. */
  readonly children: Module[];
  /** Positions in the flow of its nodes, its children's included, in execution order. */
  readonly nodes: number[];
}

/** The modules of a network, as the names of its nodes nest them. */
export interface ModuleTree {
  readonly root: Module;
  readonly modules: ReadonlyMap<string, Module>;
  /** The module that each node of the flow lies in. */
  readonly owner: readonly Module[];
  /** The path that each node's own names say, null where they say nothing. */
  readonly named: readonly (string | null)[];
  readonly classes: ReadonlyMap<string, string>;
  /** Which call of a module the node at a position belongs to; null where names do not say. */
  readonly callOf: (at: number, path: string) => string | null;
  readonly style: NamingStyle;
  readonly separator: '.' | '/';
  /** Whether the names show the network's modules inside each other, and not layers alone. */
  readonly isNested: boolean;
}

const trees = new WeakMap<Flow['nodes'], { readonly view: GraphView; readonly tree: ModuleTree }>();

/** The modules of a flow through a graph, as the names of its nodes tell them; found once. */
export function modulesOf(view: GraphView, flow: Flow): ModuleTree {
  const known = trees.get(flow.nodes);
  if (known?.view === view) return known.tree;
  const tree = moduleTree(flow, nodePaths(view, flow.nodes));
  trees.set(flow.nodes, { view, tree });
  return tree;
}

/** The modules of a flow; a node whose name says nothing lies where its neighbours lie. */
export function moduleTree(flow: Flow, paths: NodePaths): ModuleTree {
  const separator = paths.style === 'path' ? '/' : '.';
  const root: Module = { path: '', name: '', parent: null, children: [], nodes: [] };
  const modules = new Map([['', root]]);
  const named = flow.nodes.map((_node, at) => paths.of(at));
  let module = root;
  let before = '';
  const owner = inherited(flow, named, separator, paths.closing).map((path, at) => {
    if (path !== before) module = modules.get(path) ?? moduleAt(modules, shallow(path, separator), separator);
    before = path;
    for (let up: Module | null = module; up !== null; up = up.parent) up.nodes.push(at);
    return module;
  });
  return {
    root,
    modules,
    owner,
    named,
    classes: paths.classes,
    callOf: paths.callOf,
    style: paths.style,
    separator,
    isNested: paths.style === 'dynamo' || paths.style === 'torchscript',
  };
}

function moduleAt(modules: Map<string, Module>, path: string, separator: string): Module {
  const missing: string[] = [];
  let parent = path;
  let module = modules.get(parent);
  while (module === undefined) {
    missing.push(parent);
    parent = parent.slice(0, Math.max(0, parent.lastIndexOf(separator)));
    module = modules.get(parent);
  }
  for (const next of missing.reverse()) {
    const child: Module = {
      path: next,
      name: next.slice(module.path === '' ? 0 : module.path.length + 1),
      parent: module,
      children: [],
      nodes: [],
    };
    module.children.push(child);
    modules.set(next, child);
    module = child;
  }
  return module;
}

/**
 * Fills the gaps with what the paths of a node's producers and readers have in common; what was put in front of the
 * network or behind it lies in no module.
 */
function inherited(
  flow: Flow,
  given: readonly (string | null)[],
  separator: string,
  closing: (at: number) => string | null,
): readonly string[] {
  if (isComplete(given)) return given;
  const before: (string | null)[] = [...given];
  flow.nodes.forEach((node, at) => {
    if (before[at] !== null) return;
    for (const name of node.inputs) {
      const from = flow.position.get(name);
      if (from !== undefined && from >= 0 && before[from] !== null)
        before[at] = before[at] === null ? before[from] : common(before[at], before[from], separator);
    }
  });
  const after: (string | null)[] = [...given];
  for (let at = flow.nodes.length - 1; at >= 0; at--) {
    if (after[at] !== null) continue;
    for (const name of flow.nodes[at].outputs) {
      for (const reader of flow.readers.get(name) ?? [])
        if (after[reader] !== null)
          after[at] = after[at] === null ? after[reader] : common(after[at], after[reader], separator);
    }
  }
  return given.map((path, at) => {
    if (path !== null || after[at] === null) return path ?? '';
    return closing(at) ?? common(before[at], after[at], separator);
  });
}

function isComplete(paths: readonly (string | null)[]): paths is readonly string[] {
  return !paths.includes(null);
}

function common(a: string | null, b: string | null, separator: string): string {
  return a === null || b === null ? '' : commonPath(a, b, separator);
}

/** The tensor a module ends with: the last output of its last node that the flow goes on with. */
export function lastTensor(flow: Flow, module: Module): string | null {
  const last = module.nodes.at(-1);
  if (last === undefined) return null;
  return flow.nodes[last].outputs.find((name) => flow.position.has(name)) ?? null;
}
