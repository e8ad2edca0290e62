import { OMITTED } from '../../onnx/columns.js';
import type { GraphView } from '../../onnx/graph.js';
import { Spelling } from '../../wire/spelling.js';
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
const UNDERSCORE = 0x5f;

/** Where the exporter's suffix begins: `_output_0`; -1 if a tensor has none. */
function suffixOf({ bytes, start, end }: Spelling): number {
  let at = end;
  while (at > start && isDigit(bytes[at - 1])) at--;
  const from = at - SUFFIX.length;
  if (at === end || from < start || bytes[at - 1] !== UNDERSCORE) return -1;
  for (let index = 0; index < SUFFIX.length; index++) if (bytes[from + index] !== SUFFIX.charCodeAt(index)) return -1;
  return from;
}

/** torch.onnx's TorchScript exporter: `/layer1/layer1.0/conv1/Conv`. */
export function torchScriptPaths(view: GraphView, { columns, rows }: Stretch, paths: PathTree): ScopedPaths {
  const { nodes, outputs } = columns;
  const parameters = parametersOf(view);
  const scopes = new Scopes();
  const scopeAt = new Int32Array(rows.length);
  const spelling = new Spelling();
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    const first = outputs.starts[row] < outputs.starts[row + 1] ? outputs.items[outputs.starts[row]] : OMITTED;
    let suffix = -1;
    if (first !== OMITTED) {
      columns.spell(first, spelling);
      suffix = suffixOf(spelling);
    }
    // Without the suffix somebody renamed the tensor.
    if (suffix < 0) spelling.write(nodes[row].name);
    const scope = scopes.named(spelling, suffix < 0 ? spelling.end : suffix);
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
  /** The scopes of the name of before, and how long the beginning is that ends with each. */
  private readonly open: number[] = [];
  private readonly lengths: number[] = [];
  private depth = 0;
  /** That name, as it was spelled. */
  private before: Uint8Array = new Uint8Array(0);
  private beforeStart = 0;

  /** The scope in a name, of which what stands from `suffix` on is no part; `NO_PATH` where there is none. */
  named(name: Spelling, suffix: number): number {
    const { bytes, start } = name;
    if (start === name.end || bytes[start] !== SLASH) return NO_PATH;
    let last = suffix - 1;
    while (bytes[last] !== SLASH) last--;
    if (last <= start + 1) return ROOT;
    // Nodes behind each other have the most of their scopes in common.
    const { open, lengths, before, beforeStart } = this;
    const most = this.depth === 0 ? 0 : Math.min(lengths[this.depth - 1], last + 1 - start);
    let common = 0;
    while (common < most && bytes[start + common] === before[beforeStart + common]) common++;
    let { depth } = this;
    while (depth > 0 && lengths[depth - 1] > common) depth--;
    let scope = depth === 0 ? ROOT : open[depth - 1];
    let from = start + (depth > 0 ? lengths[depth - 1] : bytes[start + 1] === SLASH ? 2 : 1);
    for (; from <= last && depth < DEEPEST; depth++) {
      let cut = from;
      while (bytes[cut] !== SLASH) cut++;
      scope = this.tree.child(scope, name.text(from, cut));
      from = cut + 1;
      open[depth] = scope;
      lengths[depth] = from - start;
    }
    this.depth = depth;
    this.before = bytes;
    this.beforeStart = start;
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

/** Whether a text is digits from a place on. */
function isNumber(text: string, from = 0): boolean {
  for (let at = from; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false;
  return text.length > from;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
