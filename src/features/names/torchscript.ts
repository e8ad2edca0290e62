import type { GraphView } from '../../onnx/graph.js';
import type { Node } from '../../onnx/records.js';
import { parametersOf } from './parameters.js';
import { DEEPEST } from './paths.js';

/** A scope as the exporter wrote it: one call of a module. */
interface Scope {
  /** `head/conv_1` */
  readonly key: string;
  readonly segment: string;
  readonly parent: Scope | null;
  readonly children: Map<string, Scope>;
  /** Names of the parameters that its own nodes read, each with the module that the name tells. */
  readonly parameters: Map<string, string | null>;
}

/** Where the nodes of a graph lie, by the scopes that TorchScript's exporter put into their names. */
export interface ScopedPaths {
  readonly of: (node: Node) => string | null;
  /** Which call of a module a node belongs to; null where its scopes do not name that module. */
  readonly callOf: (node: Node, path: string) => string | null;
  /** Nodes that have a scope inside the root. */
  readonly deep: ReadonlySet<Node>;
}

const TENSOR_SUFFIX = /_output_\d+$/;

/** What names a node: its first tensor where the exporter's suffix shows that nobody renamed it, else its own name. */
function scopedName({ outputs: [tensor = ''], name }: Node): string {
  const at = tensor.lastIndexOf('_output_');
  return at >= 0 && TENSOR_SUFFIX.test(tensor.slice(at)) ? tensor.slice(0, at) : name;
}

/** torch.onnx's TorchScript exporter: `/layer1/layer1.0/conv1/Conv`. */
export function torchScriptPaths(view: GraphView, nodes: readonly Node[]): ScopedPaths {
  const root: Scope = { key: '', segment: '', parent: null, children: new Map(), parameters: new Map() };
  const scopes = new Map([['', root]]);
  const scopeOf = new Map<Node, Scope>();
  const deep = new Set<Node>();
  for (const node of nodes) {
    const name = scopedName(node);
    if (!name.startsWith('/')) continue;
    const scope = scopeAt(scopes, root, name.slice(1, Math.max(1, name.lastIndexOf('/'))));
    scopeOf.set(node, scope);
    if (scope !== root) deep.add(node);
    for (const parameter of parametersOf(view, node)) scope.parameters.set(parameter.name, parameter.module);
  }
  const paths = new Map<Scope, string>();
  settle(root, paths);
  return {
    deep,
    of: (node) => {
      const scope = scopeOf.get(node);
      return scope === undefined ? null : (paths.get(scope) ?? null);
    },
    callOf: (node, path) => {
      for (let scope = scopeOf.get(node) ?? null; scope !== null; scope = scope.parent)
        if (paths.get(scope) === path && (scope.parent === null || paths.get(scope.parent) !== path)) return scope.key;
      return null;
    },
  };
}

function scopeAt(scopes: Map<string, Scope>, root: Scope, key: string): Scope {
  const known = scopes.get(key);
  if (known !== undefined) return known;
  let scope = root;
  for (const segment of key.split('/', DEEPEST)) {
    let child = scope.children.get(segment);
    if (child === undefined) {
      const path = scope === root ? segment : `${scope.key}/${segment}`;
      child = { key: path, segment, parent: scope, children: new Map(), parameters: new Map() };
      scope.children.set(segment, child);
    }
    scope = child;
  }
  scopes.set(key, scope);
  return scope;
}

/**
 * Gives every scope the path of its module: what its segments say, with further calls of a module taken for that module
 * and parents put in that were never called.
 */
function settle(root: Scope, paths: Map<Scope, string>): void {
  const order: Scope[] = [root];
  for (const scope of order) for (const child of scope.children.values()) order.push(child);
  const segments = calledSegments(order);
  const segmentOf = (scope: Scope): string => segments.get(scope) ?? scope.segment;
  const spelled = new Map<Scope, readonly string[]>([[root, []]]);
  for (const scope of order)
    if (scope.parent !== null) spelled.set(scope, extended(spelled.get(scope.parent) ?? [], segmentOf(scope)));
  const owned = ownedPaths(order, spelled);
  const real = owned.size === 0 ? spelled : new Map<Scope, readonly string[]>([[root, []]]);
  if (real !== spelled)
    for (const scope of order)
      if (scope.parent !== null)
        real.set(scope, owned.get(scope) ?? extended(real.get(scope.parent) ?? [], segmentOf(scope)));
  for (const [scope, atoms] of real) paths.set(scope, atoms.join('.'));
}

/**
 * Segments of scopes that are a further call of a module, as its first call spells them: `conv` for `conv_1`, unless
 * what they read shows two modules.
 */
function calledSegments(order: readonly Scope[]): ReadonlyMap<Scope, string> {
  const known = new Map<Scope, ReadonlyMap<string, string | null>>();
  const read = (scope: Scope): ReadonlyMap<string, string | null> => {
    const parameters = known.get(scope) ?? everyParameter(scope);
    known.set(scope, parameters);
    return parameters;
  };
  const segments = new Map<Scope, string>();
  for (const scope of order) {
    const cut = scope.segment.lastIndexOf('_');
    if (cut < 0 || !isNumber(scope.segment.slice(cut + 1))) continue;
    const first = scope.parent?.children.get(scope.segment.slice(0, cut));
    if (first !== undefined && isSameModule(scope, first, read(scope), read(first))) segments.set(scope, first.segment);
  }
  return segments;
}

/**
 * Whether two scopes are calls of one module: they read the same parameters, or none; or they are layers whose
 * parameters lost their names.
 */
function isSameModule(
  scope: Scope,
  first: Scope,
  mine: ReadonlyMap<string, string | null>,
  others: ReadonlyMap<string, string | null>,
): boolean {
  if (mine.size === 0 && others.size === 0) return true;
  for (const [name, module] of mine) if (module !== null && others.has(name)) return true;
  const isLayer = scope.children.size === 0 && first.children.size === 0;
  return isLayer && ![...mine.values()].some((module) => module !== null);
}

/** Parameters in a scope and in all scopes inside it. */
function everyParameter(scope: Scope): ReadonlyMap<string, string | null> {
  if (scope.children.size === 0) return scope.parameters;
  const all = new Map<string, string | null>();
  const stack = [scope];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    for (const [name, module] of at.parameters) all.set(name, module);
    for (const child of at.children.values()) stack.push(child);
  }
  return all;
}

/**
 * Where parameters tell of parents that were never called, and so have no scope: `head/cls_logits` reads
 * `rpn.head.cls_logits.weight`. A parent inside which parameters disagree keeps its spelling.
 */
function ownedPaths(
  order: readonly Scope[],
  spelled: ReadonlyMap<Scope, readonly string[]>,
): ReadonlyMap<Scope, readonly string[]> {
  const claims = new Map<Scope, readonly string[] | null>();
  for (const scope of order.toReversed()) {
    if (scope.parameters.size === 0 && claims.get(scope) == null) continue;
    const atoms = spelled.get(scope) ?? [];
    if (atoms.length === 0) continue;
    for (const module of new Set(scope.parameters.values()))
      if (module !== null) claim(claims, scope, containing(module.split('.'), atoms));
    const mine = claims.get(scope) ?? null;
    const above = spelled.get(scope.parent ?? scope) ?? [];
    if (mine === null || scope.parent === null || above.length === 0) continue;
    claim(claims, scope.parent, containing(mine.slice(0, -1), above));
  }
  const owned = new Map<Scope, readonly string[]>();
  for (const [scope, atoms] of claims) if (atoms !== null) owned.set(scope, atoms);
  return owned;
}

function claim(claims: Map<Scope, readonly string[] | null>, scope: Scope, atoms: readonly string[] | null): void {
  if (atoms === null) return;
  const before = claims.get(scope);
  if (before === undefined) claims.set(scope, atoms);
  else if (before !== null && before.join('.') !== atoms.join('.')) claims.set(scope, null);
}

/** The shortest beginning of `whole` that holds `part` in its order and ends with it; null where there is none. */
function containing(whole: readonly string[], part: readonly string[]): readonly string[] | null {
  let at = whole.length;
  let end = -1;
  for (let left = part.length - 1; left >= 0; left--) {
    at = whole.lastIndexOf(part[left], at - 1);
    if (at < 0) return null;
    if (end < 0) end = at;
    if (at === 0 && left > 0) return null;
  }
  return whole.slice(0, end + 1);
}

/**
 * A path and the scope segment inside it. A segment is a module's name cut to start at its last atom that is not a
 * number, so `layer1`, `layer1.0`, `conv1` is `layer1.0.conv1`.
 * @see https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/passes/onnx/naming.cpp
 */
function extended(path: readonly string[], segment: string): readonly string[] {
  const atoms = segment.split('.');
  if (atoms.length === 1) return [...path, segment];
  let tail = path.length - 1;
  while (tail >= 0 && isNumber(path[tail])) tail--;
  const overlap = path.length - tail;
  const extends_ = tail >= 0 && atoms.length > overlap && path.slice(tail).every((atom, at) => atom === atoms[at]);
  return extends_ ? [...path.slice(0, tail), ...atoms] : [...path, ...atoms];
}

/** Joins scope segments into a qualified name. */
export function decodeSegments(segments: readonly string[]): string {
  return segments.reduce<readonly string[]>(extended, []).join('.');
}

function isNumber(atom: string): boolean {
  const first = atom.charCodeAt(0);
  return first >= 0x30 && first <= 0x39 && /^\d+$/.test(atom);
}
