import { OMITTED } from '../../onnx/columns.js';
import type { GraphView } from '../../onnx/graph.js';
import type { Stretch } from '../flow.js';
import { parametersOf } from './parameters.js';
import { DEEPEST, NO_PATH, PathTree, ROOT } from './path-tree.js';

/** Where the nodes of a graph lie, by the scopes that TorchScript's exporter put into their names. */
export interface ScopedPaths {
  /** The scope of each node, by its position; the root is 0, `NO_PATH` where its name has no scopes. */
  readonly scopes: Int32Array;
  /** The module of each node; `NO_PATH` where its name has no scopes. */
  readonly places: Int32Array;
  /** Which call of a module the node at a position belongs to; null where its scopes do not name that module. */
  readonly callOf: (at: number, path: number) => number | null;
}

const SUFFIX = '_output_';
const SLASH = 0x2f;

/** Where the exporter's suffix begins: `_output_0`; -1 if a tensor has none. */
function suffixOf(tensor: string): number {
  const at = tensor.lastIndexOf(SUFFIX);
  return at >= 0 && isNumber(tensor, at + SUFFIX.length) ? at : -1;
}

/** torch.onnx's TorchScript exporter: `/layer1/layer1.0/conv1/Conv`. */
export function torchScriptPaths(view: GraphView, { columns, rows }: Stretch, paths: PathTree): ScopedPaths {
  const { nodes, outputs } = columns;
  const parameters = parametersOf(view);
  const scopes = new Scopes();
  const scopeAt = new Int32Array(rows.length);
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    const first = outputs.starts[row] < outputs.starts[row + 1] ? outputs.items[outputs.starts[row]] : OMITTED;
    const tensor = first === OMITTED ? '' : columns.nameOf(first);
    // Without the suffix somebody renamed the tensor.
    const suffix = suffixOf(tensor);
    const scope = suffix < 0 ? scopes.named(nodes[row].name, -1) : scopes.named(tensor, suffix);
    scopeAt[at] = scope;
    if (scope === NO_PATH) continue;
    for (const { name, module } of parameters.tellingIn(row)) scopes.tell(scope, name, module ?? '');
  }
  const { tree } = scopes;
  const readers = (): ReadonlySet<number> => {
    const found = new Set<number>();
    for (let at = 0; at < rows.length; at++)
      if (scopeAt[at] >= ROOT && parameters.of(rows[at]).length > 0) found.add(scopeAt[at]);
    return found;
  };
  const pathOf = settled(scopes, readers, paths);
  const places = new Int32Array(scopeAt.length);
  for (let at = 0; at < places.length; at++) places[at] = scopeAt[at] < 0 ? NO_PATH : pathOf[scopeAt[at]];
  return {
    scopes: scopeAt,
    places,
    callOf: (at, path) => {
      for (let scope = scopeAt[at]; scope >= ROOT; scope = tree.parentOf(scope))
        if (pathOf[scope] === path && (scope === ROOT || pathOf[tree.parentOf(scope)] !== path)) return scope;
      return null;
    },
  };
}

/** The scopes of a graph as the exporter wrote them, each a call of a module: `head/conv_1`. */
class Scopes {
  readonly tree = new PathTree('/');
  /** Names of parameters that tell a module, with that, by the scopes whose own nodes read them. */
  readonly told = new Map<number, Map<string, string>>();
  /** The scopes of the name of before, and how names inside them begin. */
  private readonly open: number[] = [];
  private readonly beginnings: string[] = [];
  private depth = 0;

  /** The scope in a name, which ends in front of `suffix`; `NO_PATH` where there is none. */
  named(name: string, suffix: number): number {
    if (name.charCodeAt(0) !== SLASH) return NO_PATH;
    const end = name.lastIndexOf('/', suffix < 0 ? name.length : suffix);
    if (end <= 1) return ROOT;
    // Nodes behind each other have the most of their scopes in common.
    const { open, beginnings } = this;
    let { depth } = this;
    while (depth > 0 && !name.startsWith(beginnings[depth - 1])) depth--;
    let scope = depth === 0 ? ROOT : open[depth - 1];
    let from = depth > 0 ? beginnings[depth - 1].length : name.charCodeAt(1) === SLASH ? 2 : 1;
    for (; from <= end && depth < DEEPEST; depth++) {
      const cut = name.indexOf('/', from);
      scope = this.tree.child(scope, name.slice(from, cut));
      from = cut + 1;
      open[depth] = scope;
      beginnings[depth] = name.slice(0, from);
    }
    this.depth = depth;
    return scope;
  }

  /** A parameter that a node of a scope reads, and the module that its name tells. */
  tell(scope: number, name: string, module: string): void {
    const told = this.told.get(scope);
    if (told === undefined) this.told.set(scope, new Map([[name, module]]));
    else told.set(name, module);
  }
}

/**
 * The paths of the modules of all scopes: what their segments say, with further calls of a module taken for that
 * module and parents put in that were never called.
 */
function settled(scopes: Scopes, readers: () => ReadonlySet<number>, paths: PathTree): Int32Array {
  const { tree } = scopes;
  const called = calledSegments(scopes, readers);
  const inside = insideOf(paths);
  const pathOf = new Int32Array(tree.size);
  const spelled = (scope: number): number => {
    const segment = called.size === 0 ? tree.nameOf(scope) : (called.get(scope) ?? tree.nameOf(scope));
    return inside(pathOf[tree.parentOf(scope)], segment);
  };
  for (let scope = ROOT + 1; scope < pathOf.length; scope++) pathOf[scope] = spelled(scope);
  const claims = claimedPaths(scopes, pathOf, paths);
  if (claims.size === 0) return pathOf;
  const isOther = new Uint8Array(pathOf.length);
  for (let scope = ROOT + 1; scope < pathOf.length; scope++) {
    const claimed = claims.get(scope);
    if (claimed === undefined && isOther[tree.parentOf(scope)] === 0) continue;
    const path = claimed ?? spelled(scope);
    if (path === pathOf[scope]) continue;
    pathOf[scope] = path;
    isOther[scope] = 1;
  }
  return pathOf;
}

/**
 * Segments of scopes that are a further call of a module, as its first call spells them: `conv` for `conv_1`, unless
 * what they read shows two modules.
 */
function calledSegments({ tree, told }: Scopes, readers: () => ReadonlySet<number>): ReadonlyMap<number, string> {
  const segments = new Map<number, string>();
  let read: ScopeReads | null = null;
  for (let scope = ROOT + 1; scope < tree.size; scope++) {
    const segment = tree.nameOf(scope);
    const cut = segment.lastIndexOf('_');
    if (cut < 0 || !isNumber(segment, cut + 1)) continue;
    const first = tree.find(tree.parentOf(scope), segment.slice(0, cut));
    if (first === NO_PATH) continue;
    read ??= new ScopeReads(tree, told, readers());
    if (read.areCallsOfOne(scope, first)) segments.set(scope, tree.nameOf(first));
  }
  return segments;
}

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();

/** What scopes read, all scopes inside them included. */
class ScopeReads {
  private readonly children = new Map<number, number[]>();
  private readonly isReader: Uint8Array;
  private readonly all = new Map<number, ReadonlyMap<string, string>>();

  constructor(
    tree: PathTree,
    private readonly told: ReadonlyMap<number, ReadonlyMap<string, string>>,
    readers: ReadonlySet<number>,
  ) {
    this.isReader = new Uint8Array(tree.size);
    for (let scope = tree.size - 1; scope > ROOT; scope--) {
      const parent = tree.parentOf(scope);
      if (readers.has(scope)) this.isReader[scope] = 1;
      if (this.isReader[scope] === 1) this.isReader[parent] = 1;
      const known = this.children.get(parent);
      if (known === undefined) this.children.set(parent, [scope]);
      else known.push(scope);
    }
  }

  /**
   * Whether two scopes are calls of one module: they read the same parameters, or none; or they are layers whose
   * parameters lost their names.
   */
  areCallsOfOne(scope: number, first: number): boolean {
    if (this.isReader[scope] === 0 && this.isReader[first] === 0) return true;
    const [mine, others] = [this.toldIn(scope), this.toldIn(first)];
    for (const name of mine.keys()) if (others.has(name)) return true;
    return mine.size === 0 && !this.children.has(scope) && !this.children.has(first);
  }

  /** The telling parameters of a scope and of all scopes inside it. */
  private toldIn(scope: number): ReadonlyMap<string, string> {
    if (!this.children.has(scope)) return this.told.get(scope) ?? NO_PARAMETERS;
    const known = this.all.get(scope);
    if (known !== undefined) return known;
    const all = new Map<string, string>();
    const stack = [scope];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      for (const [name, module] of this.told.get(at) ?? NO_PARAMETERS) all.set(name, module);
      for (const child of this.children.get(at) ?? []) stack.push(child);
    }
    this.all.set(scope, all);
    return all;
  }
}

/**
 * Where parameters tell of parents that were never called, and so have no scope: `head/cls_logits` reads
 * `rpn.head.cls_logits.weight`. A parent inside which parameters disagree keeps its spelling.
 */
function claimedPaths({ tree, told }: Scopes, spelled: Int32Array, paths: PathTree): ReadonlyMap<number, number> {
  const claims = new Map<number, number>();
  if (told.size === 0) return claims;
  const isClaimed = new Uint8Array(tree.size);
  for (const scope of told.keys()) isClaimed[scope] = 1;
  const claim = (scope: number, path: number): void => {
    if (path === NO_PATH) return;
    const before = claims.get(scope);
    claims.set(scope, before === undefined || before === path ? path : DISAGREED);
    isClaimed[scope] = 1;
  };
  for (let scope = tree.size - 1; scope > ROOT; scope--) {
    if (isClaimed[scope] === 0) continue;
    const parameters = told.get(scope);
    if (parameters !== undefined && spelled[scope] !== ROOT)
      for (const module of new Set(parameters.values()))
        claim(scope, containing(paths, paths.at(module), spelled[scope]));
    const path = claims.get(scope) ?? DISAGREED;
    if (path === DISAGREED) continue;
    const parent = tree.parentOf(scope);
    if (spelled[parent] !== ROOT) claim(parent, containing(paths, paths.parentOf(path), spelled[parent]));
  }
  for (const [scope, path] of claims) if (path === DISAGREED) claims.delete(scope);
  return claims;
}

/** In the place of a path that parameters tell different ones of. */
const DISAGREED = -2;

/**
 * The shortest beginning of a path that holds the atoms of another in their order and ends with its last; `NO_PATH`
 * where there is none.
 */
function containing(paths: PathTree, whole: number, part: number): number {
  let at = whole;
  let end = NO_PATH;
  for (let left = part; left !== ROOT; left = paths.parentOf(left)) {
    const name = paths.nameOf(left);
    while (at !== ROOT && paths.nameOf(at) !== name) at = paths.parentOf(at);
    if (at === ROOT) return NO_PATH;
    if (end === NO_PATH) end = at;
    at = paths.parentOf(at);
  }
  return end;
}

/**
 * The path that a scope segment is inside another path. A segment is a module's name cut to start at its last atom
 * that is not a number, so `layer1`, `layer1.0`, `conv1` is `layer1.0.conv1`.
 * @see https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/passes/onnx/naming.cpp
 */
function insideOf(paths: PathTree): (path: number, segment: string) => number {
  let last = ROOT;
  /** The atoms of that path from its last on that is not a number. */
  let tail: string | null = null;
  return (path, segment) => {
    if (!segment.includes('.')) return paths.child(path, segment);
    if (path !== last) {
      last = path;
      tail = tailOf(paths, path);
    }
    const extend = tail !== null && segment.charCodeAt(tail.length) === DOT && segment.startsWith(tail);
    return paths.inside(path, extend && tail !== null ? segment.slice(tail.length + 1) : segment);
  };
}

const DOT = 0x2e;

/** The atoms of a path from its last on that is not a number; null if all are. */
function tailOf(paths: PathTree, path: number): string | null {
  if (path === ROOT) return null;
  let tail = paths.nameOf(path);
  let at = path;
  while (isNumber(paths.nameOf(at))) {
    at = paths.parentOf(at);
    if (at === ROOT) return null;
    tail = `${paths.nameOf(at)}.${tail}`;
  }
  return tail;
}

/** Joins scope segments into a qualified name. */
export function decodeSegments(segments: readonly string[]): string {
  const paths = new PathTree('.');
  return paths.textOf(segments.reduce(insideOf(paths), ROOT));
}

/** Whether a text is digits from a place on. */
function isNumber(text: string, from = 0): boolean {
  for (let at = from; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false;
  return text.length > from;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
