import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { nodeMetadata } from '../onnx/small-values.js';
import { closingModules, parameterLabels } from './names/labels.js';
import { parametersOf } from './names/parameters.js';
import { torchScriptPaths } from './names/torchscript.js';

/** How the exporter wrote module paths. */
export type NamingStyle = 'dynamo' | 'torchscript' | 'parameters' | 'path' | 'underscore' | 'none';

/** The module path of a node; `''` is the root, null where its names say nothing. */
export interface NodePaths {
  readonly style: NamingStyle;
  readonly of: (node: Node) => string | null;
  /** Which call of a module a node belongs to; null where its names do not say. */
  readonly callOf: (node: Node, path: string) => string | null;
  /** The module of a node that lost its name in front of others that did not, by what it joins; null if open. */
  readonly closing: (node: Node) => string | null;
  /** Class of a module, where the exporter wrote it. */
  readonly classes: ReadonlyMap<string, string>;
}

/** Share of nodes, or of the nodes with weights, that must carry a naming for it to count. */
const EVIDENCE = 0.5;
/** Ops with a weight, in every number format; what tools put between them carries no names. */
const LAYERS = /Conv|Gemm|MatMul/;

const SILENT = { of: () => null, callOf: () => null, closing: () => null, classes: new Map<string, string>() };

/**
 * Reads module paths from whatever the exporter left: dynamo's metadata, TorchScript's scopes, the names of parameters,
 * TensorFlow's and MXNet's paths.
 * @param nodes in execution order
 */
export function nodePaths(view: GraphView, nodes: readonly Node[]): NodePaths {
  return (
    dynamoPaths(view, nodes) ??
    scopePaths(view, nodes) ??
    labelPaths(view, nodes) ??
    slashPaths(nodes) ??
    underscorePaths(nodes) ?? { style: 'none', ...SILENT }
  );
}

function isEvident(nodes: readonly Node[], isNamed: (node: Node) => boolean): boolean {
  if (nodes.filter(isNamed).length >= nodes.length * EVIDENCE) return true;
  const layers = nodes.filter(({ opType }) => LAYERS.test(opType));
  return layers.length > 0 && layers.filter(isNamed).length >= layers.length * EVIDENCE;
}

/** The module of a node that lost its own name: that of the parameters it reads. */
function ownerOfParameters(view: GraphView, node: Node): string | null {
  return parametersOf(view, node).find(({ module }) => module !== null)?.module ?? null;
}

function scopePaths(view: GraphView, nodes: readonly Node[]): NodePaths | null {
  const { deep, of, callOf } = torchScriptPaths(view, nodes);
  if (!isEvident(nodes, (node) => deep.has(node))) return null;
  const named = (node: Node): string | null => of(node) ?? ownerOfParameters(view, node);
  return {
    style: 'torchscript',
    of: named,
    callOf,
    closing: closingModules(view, nodes, named),
    classes: new Map(),
  };
}

/** Exports that lost their scopes to another tool: the parameters still say which module each layer is. */
function labelPaths(view: GraphView, nodes: readonly Node[]): NodePaths | null {
  const labels = parameterLabels(view, nodes);
  if (labels.own.size === 0 || labels.own.size < labels.layers * EVIDENCE) return null;
  return { ...SILENT, style: 'parameters', of: (node) => labels.of(node) };
}

const SCOPES = ['pkg.torch.onnx.name_scopes', 'pkg.onnxscript.name_scopes'];
const CLASSES = ['pkg.torch.onnx.class_hierarchy', 'pkg.onnxscript.class_hierarchy'];
const SCOPE_KEYS = new Set([...SCOPES, ...CLASSES]);

/**
 * torch.onnx's dynamo exporter: `pkg.torch.onnx.name_scopes`, a Python list of qualified names, the module before the
 * last.
 */
function dynamoPaths(view: GraphView, nodes: readonly Node[]): NodePaths | null {
  const paths = new Map<Node, string>();
  const classes = new Map<string, string>();
  const calls = new Map<Node, { readonly path: string; readonly call: string }>();
  for (const node of nodes) {
    if (node.metadata.length === 0) continue;
    const metadata = nodeMetadata(view.model, node, SCOPE_KEYS);
    const scopes = metadata.get(SCOPES[0]) ?? metadata.get(SCOPES[1]);
    if (scopes === undefined) continue;
    const names = pythonStrings(scopes);
    if (names.length === 0) continue;
    const [path, call] = withoutCall(names.length > 1 ? names[names.length - 2] : '');
    paths.set(node, path);
    if (call !== null) calls.set(node, { path, call });
    if (classes.has(path)) continue;
    const types = pythonStrings(metadata.get(CLASSES[0]) ?? metadata.get(CLASSES[1]) ?? '');
    if (types.length === names.length)
      for (let at = 0; at + 1 < names.length; at++) if (!classes.has(names[at])) classes.set(names[at], types[at]);
  }
  if (!isEvident(nodes, (node) => paths.has(node))) return null;
  const named = (node: Node): string | null => paths.get(node) ?? ownerOfParameters(view, node);
  return {
    style: 'dynamo',
    of: named,
    closing: closingModules(view, nodes, named),
    callOf: (node, path) => (calls.get(node)?.path === path ? (calls.get(node)?.call ?? null) : null),
    classes,
  };
}

/** A further call of a module is written `head@1`. */
function withoutCall(path: string): readonly [string, string | null] {
  return /@\d/.test(path) ? [path.replace(/@\d+/g, ''), path] : [path, null];
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
  return deep < nodes.length * EVIDENCE ? null : { ...SILENT, style: 'path', of: (node) => paths.get(node) ?? null };
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
    : { ...SILENT, style: 'underscore', of: (node) => paths.get(node) ?? null };
}
