import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { nodeMetadata } from '../onnx/schema.js';

/** Modules inside modules that a path may name; deeper ones count as the module at this depth. */
export const DEEPEST = 64;

/** How the exporter wrote module paths. */
export type NamingStyle = 'dynamo' | 'torchscript' | 'path' | 'underscore' | 'none';

/** The module path of a node; `''` is the root, null where its names say nothing. */
export interface NodePaths {
  readonly style: NamingStyle;
  readonly of: (node: Node) => string | null;
  /** Class of a module, where the exporter wrote it. */
  readonly classes: ReadonlyMap<string, string>;
}

/** Share of nodes that must carry a naming for it to count. */
const EVIDENCE = 0.5;

/** Reads module paths from whatever the exporter left: dynamo's metadata, TorchScript's scopes, TensorFlow's and MXNet's paths. */
export function nodePaths(view: GraphView, nodes: readonly Node[]): NodePaths {
  const scoped = dynamoPaths(view, nodes);
  if (scoped !== null) return scoped;
  const decoded = torchScriptPaths(nodes);
  if (decoded !== null) return decoded;
  return slashPaths(nodes) ?? underscorePaths(nodes) ?? { style: 'none', of: () => null, classes: new Map() };
}

const SCOPES = ['pkg.torch.onnx.name_scopes', 'pkg.onnxscript.name_scopes'];
const CLASSES = ['pkg.torch.onnx.class_hierarchy', 'pkg.onnxscript.class_hierarchy'];
const SCOPE_KEYS = new Set([...SCOPES, ...CLASSES]);

/** torch.onnx's dynamo exporter: `pkg.torch.onnx.name_scopes`, a Python list of qualified names, the module before the last. */
function dynamoPaths(view: GraphView, nodes: readonly Node[]): NodePaths | null {
  const paths = new Map<Node, string>();
  const classes = new Map<string, string>();
  let read = 0;
  for (const node of nodes) {
    if (node.metadata.length === 0) continue;
    const metadata = nodeMetadata(view.model, node, SCOPE_KEYS);
    const scopes = metadata.get(SCOPES[0]) ?? metadata.get(SCOPES[1]);
    if (scopes === undefined) continue;
    read++;
    const names = pythonStrings(scopes);
    if (names.length === 0) continue;
    const path = names.length > 1 ? names[names.length - 2] : '';
    paths.set(node, path);
    if (classes.has(path)) continue;
    const types = pythonStrings(metadata.get(CLASSES[0]) ?? metadata.get(CLASSES[1]) ?? '');
    if (types.length === names.length)
      for (let at = 0; at + 1 < names.length; at++) if (!classes.has(names[at])) classes.set(names[at], types[at]);
  }
  if (read < nodes.length * EVIDENCE) return null;
  return { style: 'dynamo', of: (node) => paths.get(node) ?? null, classes };
}

/** The strings of a Python list literal: `['a', "it's"]`. */
export function pythonStrings(literal: string): string[] {
  if (literal.startsWith("['") && literal.endsWith("']") && !literal.includes('"') && !literal.includes('\\'))
    return literal.slice(2, -2).split("', '");
  const strings: string[] = [];
  for (let at = 0; at < literal.length; at++) {
    const quote = literal[at];
    if (quote !== "'" && quote !== '"') continue;
    let end = at + 1;
    while (end < literal.length && literal[end] !== quote) end += literal[end] === '\\' ? 2 : 1;
    const raw = literal.slice(at + 1, end);
    strings.push(raw.includes('\\') ? raw.replace(/\\(.)/g, '$1') : raw);
    at = end;
  }
  return strings;
}

const TENSOR_SUFFIX = /_output_\d+$/;

/** What names a node: its first tensor where the exporter's suffix shows that nobody renamed it, else its own name. */
function scopedName({ outputs: [tensor = ''], name }: Node): string {
  const at = tensor.lastIndexOf('_output_');
  return at >= 0 && TENSOR_SUFFIX.test(tensor.slice(at)) ? tensor.slice(0, at) : name;
}

/** torch.onnx's TorchScript exporter: `/layer1/layer1.0/conv1/Conv`. */
function torchScriptPaths(nodes: readonly Node[]): NodePaths | null {
  const decoded = new Map<Node, string>();
  const byScope = new Map([['', '']]);
  let deep = 0;
  for (const node of nodes) {
    const name = scopedName(node);
    if (!name.startsWith('/')) continue;
    const scope = name.slice(1, Math.max(1, name.lastIndexOf('/')));
    if (scope !== '') deep++;
    let path = byScope.get(scope);
    if (path === undefined) byScope.set(scope, (path = decodeSegments(scope.split('/', DEEPEST))));
    decoded.set(node, path);
  }
  if (deep < nodes.length * EVIDENCE) return null;
  const known = new Set(byScope.values());
  const parents = new Set([...known].map((path) => path.slice(0, Math.max(0, path.lastIndexOf('.')))));
  return {
    style: 'torchscript',
    of: (node) => withoutCallSuffix(decoded.get(node) ?? null, known, parents),
    classes: new Map(),
  };
}

/**
 * Joins scope segments into a qualified name. A segment is a module's name cut to start at its last atom that is not a number, so `layer1`, `layer1.0`, `conv1` is `layer1.0.conv1`.
 * @see https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/passes/onnx/naming.cpp
 */
export function decodeSegments(segments: readonly string[]): string {
  const path: string[] = [];
  for (const segment of segments) {
    const atoms = segment.split('.');
    let tail = path.length - 1;
    while (tail >= 0 && isNumber(path[tail])) tail--;
    const overlap = path.length - tail;
    const extends_ = tail >= 0 && atoms.length > overlap && path.slice(tail).every((atom, at) => atom === atoms[at]);
    if (extends_) path.length = tail;
    path.push(...atoms);
  }
  return path.join('.');
}

function isNumber(atom: string): boolean {
  return /^\d+$/.test(atom);
}

/** The second call of a module is written `relu_1`; where `relu` exists beside it and nothing lies inside, it is the same module. */
function withoutCallSuffix(
  path: string | null,
  known: ReadonlySet<string>,
  parents: ReadonlySet<string>,
): string | null {
  if (path === null || parents.has(path)) return path;
  const cut = path.lastIndexOf('_');
  if (cut < 0 || !isNumber(path.slice(cut + 1))) return path;
  const first = path.slice(0, cut);
  return known.has(first) ? first : path;
}

/** TensorFlow (tf2onnx, Keras): `resnet50/conv1_conv/BiasAdd:0`; the layer is the path in front of the op. */
function slashPaths(nodes: readonly Node[]): NodePaths | null {
  const paths = new Map<Node, string>();
  let deep = 0;
  for (const node of nodes) {
    const tensor = (node.outputs[0] ?? '').replace(/:\d+$/, '');
    const name = tensor.includes('/') ? tensor : node.name;
    const segments = name.split('/').filter(Boolean);
    if (segments.length < 2) continue;
    deep++;
    paths.set(node, segments.slice(0, -1).join('/'));
  }
  return deep < nodes.length * EVIDENCE
    ? null
    : { style: 'path', of: (node) => paths.get(node) ?? null, classes: new Map() };
}

/** MXNet's Gluon: `resnetv17_stage1_conv0_fwd`; the module is the prefix up to the stage. */
function underscorePaths(nodes: readonly Node[]): NodePaths | null {
  const paths = new Map<Node, string>();
  for (const node of nodes) {
    const match = /^(?:(.+?)_)?((?:stage|layers?|stages|features|block)_?\d+)_(?:(.+)_)?[a-z]+\d*(?:_fwd)?$/i.exec(
      node.name || (node.outputs[0] ?? ''),
    );
    if (match !== null) paths.set(node, match[2]);
  }
  return paths.size < nodes.length * EVIDENCE
    ? null
    : { style: 'underscore', of: (node) => paths.get(node) ?? null, classes: new Map() };
}
