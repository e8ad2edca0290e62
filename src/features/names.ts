import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { nodeMetadata } from '../onnx/small-values.js';
import { closingModules, parameterLabels } from './names/labels.js';
import { parametersOf } from './names/parameters.js';
import { torchScriptPaths } from './names/torchscript.js';

/** How the exporter wrote module paths. */
export type NamingStyle = 'dynamo' | 'torchscript' | 'parameters' | 'path' | 'underscore' | 'none';

/** The module paths of nodes, by their places in a list; `''` is the root, null where their names say nothing. */
export interface NodePaths {
  readonly style: NamingStyle;
  readonly of: (at: number) => string | null;
  /** Which call of a module a node belongs to; null where its names do not say. */
  readonly callOf: (at: number, path: string) => string | null;
  /** The module of a node that lost its name in front of others that did not, by what it joins; null if open. */
  readonly closing: (at: number) => string | null;
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

function isEvident(nodes: readonly Node[], isNamed: (at: number) => boolean): boolean {
  let [named, layers, namedLayers] = [0, 0, 0];
  for (let at = 0; at < nodes.length; at++) if (isNamed(at)) named++;
  if (named >= nodes.length * EVIDENCE) return true;
  for (let at = 0; at < nodes.length; at++) {
    if (!LAYERS.test(nodes[at].opType)) continue;
    layers++;
    if (isNamed(at)) namedLayers++;
  }
  return layers > 0 && namedLayers >= layers * EVIDENCE;
}

/** The module of a node that lost its own name: that of the parameters it reads. */
function ownerOfParameters(view: GraphView, node: Node): string | null {
  return parametersOf(view, node).find(({ module }) => module !== null)?.module ?? null;
}

function scopePaths(view: GraphView, nodes: readonly Node[]): NodePaths | null {
  const { isDeep, of, callOf } = torchScriptPaths(view, nodes);
  if (!isEvident(nodes, isDeep)) return null;
  const named = (at: number): string | null => of(at) ?? ownerOfParameters(view, nodes[at]);
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
  if (labels.own === 0 || labels.own < labels.layers * EVIDENCE) return null;
  return { ...SILENT, style: 'parameters', of: labels.of };
}

const SCOPES = ['pkg.torch.onnx.name_scopes', 'pkg.onnxscript.name_scopes'];
const CLASSES = ['pkg.torch.onnx.class_hierarchy', 'pkg.onnxscript.class_hierarchy'];
const SCOPE_KEYS = new Set([...SCOPES, ...CLASSES]);

/**
 * torch.onnx's dynamo exporter: `pkg.torch.onnx.name_scopes`, a Python list of qualified names, the module before the
 * last.
 */
function dynamoPaths(view: GraphView, nodes: readonly Node[]): NodePaths | null {
  if (nodes.every(({ metadata }) => metadata.length === 0)) return null;
  const classes = new Map<string, string>();
  const places = nodes.map((node) => {
    if (node.metadata.length === 0) return null;
    const metadata = nodeMetadata(view.model, node, SCOPE_KEYS);
    const scopes = metadata.get(SCOPES[0]) ?? metadata.get(SCOPES[1]);
    if (scopes === undefined) return null;
    const names = pythonStrings(scopes);
    if (names.length === 0) return null;
    const [path, call] = withoutCall(names.length > 1 ? names[names.length - 2] : '');
    if (classes.has(path)) return { path, call };
    const types = pythonStrings(metadata.get(CLASSES[0]) ?? metadata.get(CLASSES[1]) ?? '');
    if (types.length === names.length)
      for (let at = 0; at + 1 < names.length; at++) if (!classes.has(names[at])) classes.set(names[at], types[at]);
    return { path, call };
  });
  if (!isEvident(nodes, (at) => places[at] !== null)) return null;
  const named = (at: number): string | null => places[at]?.path ?? ownerOfParameters(view, nodes[at]);
  return {
    style: 'dynamo',
    of: named,
    closing: closingModules(view, nodes, named),
    callOf: (at, path) => (places[at]?.path === path ? places[at].call : null),
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
  return evidentPaths(nodes, 'path', (node) => {
    const tensor = (node.outputs[0] ?? '').replace(/:\d+$/, '');
    const name = tensor.includes('/') ? tensor : node.name;
    const segments = name.split('/').filter(Boolean);
    return segments.length < 2 ? null : segments.slice(0, -1).join('/');
  });
}

/** MXNet's Gluon: `resnetv17_stage1_conv0_fwd`; the module is the prefix up to the stage. */
function underscorePaths(nodes: readonly Node[]): NodePaths | null {
  return evidentPaths(nodes, 'underscore', (node) => {
    const match = /^(?:(.+?)_)?((?:stage|layers?|stages|features|block)_?\d+)_(?:(.+)_)?[a-z]+\d*(?:_fwd)?$/i.exec(
      node.name || (node.outputs[0] ?? ''),
    );
    return match?.[2] ?? null;
  });
}

/** The paths that a way of naming shows; null if it names too few nodes. */
function evidentPaths(
  nodes: readonly Node[],
  style: NamingStyle,
  pathOf: (node: Node) => string | null,
): NodePaths | null {
  const paths = nodes.map(pathOf);
  const named = paths.reduce((count, path) => (path === null ? count : count + 1), 0);
  return named < nodes.length * EVIDENCE ? null : { ...SILENT, style, of: (at) => paths[at] };
}
