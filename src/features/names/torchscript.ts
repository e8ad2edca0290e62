import type { GraphView } from '../../onnx/graph.js';
import type { Node } from '../../onnx/records.js';
import { parametersOf } from './parameters.js';
import { shallow } from './paths.js';

/** A scope as the exporter wrote it: one call of a module. */
interface Scope {
  /** `head/conv_1` */
  readonly key: string;
  readonly segment: string;
  readonly parent: Scope | null;
  children: Map<string, Scope> | null;
  /** Names of the parameters that its own nodes read, each with the module that the name tells. */
  parameters: Map<string, string | null> | null;
  /** The atoms that its segments say. */
  spelled: readonly string[];
  /** The atoms that parameters tell of; null if they disagree, undefined if they say nothing. */
  claimed: readonly string[] | null | undefined;
  /** The path of its module. */
  path: string;
}

/** Where the nodes of a graph lie, by the scopes that TorchScript's exporter put into their names. */
export interface ScopedPaths {
  /** By the place of a node in the list. */
  readonly of: (at: number) => string | null;
  /** Which call of a module a node belongs to; null where its scopes do not name that module. */
  readonly callOf: (at: number, path: string) => string | null;
  /** Whether a node has a scope inside the root. */
  readonly isDeep: (at: number) => boolean;
}

const SUFFIX = '_output_';

/**
 * The scopes in the name of a node, of its first tensor where the exporter's suffix shows that nobody renamed it, else
 * its own; null where they are none.
 */
function scopesIn({ outputs: [tensor = ''], name: own }: Node): string | null {
  const suffix = suffixOf(tensor);
  const name = suffix < 0 ? own : tensor;
  if (name.charCodeAt(0) !== SLASH) return null;
  let end = suffix < 0 ? name.length : suffix;
  while (end > 1 && name.charCodeAt(end) !== SLASH) end--;
  return name.slice(1, end);
}

const SLASH = 0x2f;

/** Where the exporter's suffix begins: `_output_0`; -1 if a tensor has none. */
function suffixOf(tensor: string): number {
  let at = tensor.length;
  while (at > 0 && isDigit(tensor.charCodeAt(at - 1))) at--;
  return at < tensor.length && tensor.endsWith(SUFFIX, at) ? at - SUFFIX.length : -1;
}

/** torch.onnx's TorchScript exporter: `/layer1/layer1.0/conv1/Conv`. */
export function torchScriptPaths(view: GraphView, nodes: readonly Node[]): ScopedPaths {
  const root = newScope(null, '', '');
  const scopes = new Map([['', root]]);
  let before = root;
  const scopeOf = nodes.map((node) => {
    const key = scopesIn(node);
    if (key === null) return null;
    const scope = key === before.key ? before : scopeAt(scopes, key);
    before = scope;
    for (const { name, module } of parametersOf(view, node)) (scope.parameters ??= new Map()).set(name, module);
    return scope;
  });
  settle(root);
  return {
    isDeep: (at) => scopeOf[at] !== null && scopeOf[at] !== root,
    of: (at) => scopeOf[at]?.path ?? null,
    callOf: (at, path) => {
      for (let scope = scopeOf[at]; scope !== null; scope = scope.parent)
        if (scope.path === path && (scope.parent === null || scope.parent.path !== path)) return scope.key;
      return null;
    },
  };
}

function newScope(parent: Scope | null, key: string, segment: string): Scope {
  return { key, segment, parent, children: null, parameters: null, spelled: [], claimed: undefined, path: '' };
}

/** The scope of a key, with those around it; a scope that lies too deep is the one around it. */
function scopeAt(scopes: Map<string, Scope>, key: string): Scope {
  const known = scopes.get(key);
  if (known !== undefined) return known;
  const told = shallow(key, '/');
  const scope = told === key ? scopeInside(scopes, key) : scopeAt(scopes, told);
  scopes.set(key, scope);
  return scope;
}

function scopeInside(scopes: Map<string, Scope>, key: string): Scope {
  const cut = key.lastIndexOf('/');
  const parent = scopeAt(scopes, key.slice(0, Math.max(0, cut)));
  const segment = key.slice(cut + 1);
  const known = parent.children?.get(segment);
  if (known !== undefined) return known;
  const scope = newScope(parent, key, segment);
  (parent.children ??= new Map()).set(segment, scope);
  return scope;
}

/**
 * Gives every scope the path of its module: what its segments say, with further calls of a module taken for that module
 * and parents put in that were never called.
 */
function settle(root: Scope): void {
  const order: Scope[] = [root];
  for (const scope of order)
    if (scope.children !== null) for (const child of scope.children.values()) order.push(child);
  const called = calledSegments(order);
  const segmentOf = (scope: Scope): string => called.get(scope) ?? scope.segment;
  for (const scope of order)
    if (scope.parent !== null) scope.spelled = extended(scope.parent.spelled, segmentOf(scope));
  const isClaimed = claimPaths(order);
  for (const scope of order) {
    if (isClaimed && scope.parent !== null)
      scope.spelled = scope.claimed ?? extended(scope.parent.spelled, segmentOf(scope));
    scope.path = scope.spelled.join('.');
  }
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
    if (cut < 0 || !isNumber(scope.segment, cut + 1)) continue;
    const first = scope.parent?.children?.get(scope.segment.slice(0, cut));
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
  const isLayer = scope.children === null && first.children === null;
  return isLayer && ![...mine.values()].some((module) => module !== null);
}

const NO_PARAMETERS: ReadonlyMap<string, string | null> = new Map();

/** Parameters in a scope and in all scopes inside it. */
function everyParameter(scope: Scope): ReadonlyMap<string, string | null> {
  if (scope.children === null) return scope.parameters ?? NO_PARAMETERS;
  const all = new Map<string, string | null>();
  const stack = [scope];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    for (const [name, module] of at.parameters ?? NO_PARAMETERS) all.set(name, module);
    if (at.children !== null) for (const child of at.children.values()) stack.push(child);
  }
  return all;
}

/**
 * Where parameters tell of parents that were never called, and so have no scope: `head/cls_logits` reads
 * `rpn.head.cls_logits.weight`. A parent inside which parameters disagree keeps its spelling. Whether any tells.
 */
function claimPaths(order: readonly Scope[]): boolean {
  let isAny = false;
  for (const scope of order.toReversed()) {
    const { parameters, spelled, parent } = scope;
    if (parameters !== null && spelled.length > 0)
      for (const module of new Set(parameters.values()))
        if (module !== null) claim(scope, containing(module.split('.'), spelled));
    if (scope.claimed == null) continue;
    isAny = true;
    if (parent !== null && parent.spelled.length > 0)
      claim(parent, containing(scope.claimed.slice(0, -1), parent.spelled));
  }
  return isAny;
}

function claim(scope: Scope, atoms: readonly string[] | null): void {
  if (atoms === null) return;
  if (scope.claimed === undefined) scope.claimed = atoms;
  else if (scope.claimed !== null && scope.claimed.join('.') !== atoms.join('.')) scope.claimed = null;
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
  if (!segment.includes('.')) return [...path, segment];
  const atoms = segment.split('.');
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

/** Whether a text is digits from a place on. */
function isNumber(text: string, from = 0): boolean {
  for (let at = from; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false;
  return text.length > from;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
