import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { nodeMetadata } from '../onnx/small-values.js';
import { nodesBetween, type Stretch } from './flow.js';
import { closingModules, parameterLabels } from './names/labels.js';
import { parametersOf } from './names/parameters.js';
import { NO_PATH, PathTree, ROOT } from './names/path-tree.js';
import { torchScriptPaths } from './names/torchscript.js';
import { rowTest } from './operators.js';

/** How the exporter wrote module paths. */
export type NamingStyle = 'dynamo' | 'torchscript' | 'parameters' | 'path' | 'underscore' | 'none';

/** The module paths of the nodes of a stretch, by their positions. */
export interface NodePaths {
  readonly style: NamingStyle;
  readonly paths: PathTree;
  /** The module of a node; `NO_PATH` where its names say nothing. */
  readonly places: Int32Array;
  /** Which call of a module a node belongs to; null where its names do not say. */
  readonly callOf: (at: number, path: number) => string | number | null;
  /** The module of a node that lost its name in front of others that did not, by what it joins; `NO_PATH` if open. */
  readonly closing: (at: number) => number;
  /** Class of a module, where the exporter wrote it. */
  readonly classes: ReadonlyMap<string, string>;
}

/** Share of nodes, or of the nodes with weights, that must carry a naming for it to count. */
const EVIDENCE = 0.5;
/** Ops with a weight, in every number format; what tools put between them carries no names. */
const LAYERS = /Conv|Gemm|MatMul/;

const SILENT = {
  callOf: () => null,
  closing: () => NO_PATH,
  classes: new Map<string, string>(),
};

/**
 * Reads module paths from whatever the exporter left: dynamo's metadata, TorchScript's scopes, the names of parameters,
 * TensorFlow's and MXNet's paths.
 */
export function nodePaths(view: GraphView, stretch: Stretch): NodePaths {
  return (
    dynamoPaths(view, stretch) ??
    scopePaths(view, stretch) ??
    labelPaths(view, stretch) ??
    slashPaths(stretch) ??
    underscorePaths(stretch) ?? {
      style: 'none',
      paths: new PathTree('.'),
      places: new Int32Array(stretch.rows.length).fill(NO_PATH),
      ...SILENT,
    }
  );
}

/** Whether enough nodes have a path that is not left out. */
function isEvident({ columns, rows }: Stretch, places: Int32Array, leftOut: number): boolean {
  let [named, layers, namedLayers] = [0, 0, 0];
  for (let at = 0; at < rows.length; at++) if (places[at] > leftOut) named++;
  if (named >= rows.length * EVIDENCE) return true;
  const isLayer = rowTest(columns, ({ opType }) => LAYERS.test(opType));
  for (let at = 0; at < rows.length; at++) {
    if (!isLayer(rows[at])) continue;
    layers++;
    if (places[at] > leftOut) namedLayers++;
  }
  return layers > 0 && namedLayers >= layers * EVIDENCE;
}

/** Gives nodes that lost their own names the modules of the parameters they read. */
function takeOwners(view: GraphView, { rows }: Stretch, paths: PathTree, places: Int32Array): void {
  const parameters = parametersOf(view);
  for (let at = places.indexOf(NO_PATH); at >= 0; at = places.indexOf(NO_PATH, at + 1)) {
    const [told] = parameters.tellingIn(rows[at]);
    if (told?.module != null) places[at] = paths.at(told.module);
  }
}

function scopePaths(view: GraphView, stretch: Stretch): NodePaths | null {
  const paths = new PathTree('.');
  const { scopes, places, callOf } = torchScriptPaths(view, stretch, paths);
  if (!isEvident(stretch, scopes, ROOT)) return null;
  takeOwners(view, stretch, paths, places);
  return {
    style: 'torchscript',
    paths,
    places,
    callOf,
    closing: closingModules(view, stretch, paths, places),
    classes: new Map(),
  };
}

/** Exports that lost their scopes to another tool: the parameters still say which module each layer is. */
function labelPaths(view: GraphView, stretch: Stretch): NodePaths | null {
  const paths = new PathTree('.');
  const labels = parameterLabels(view, stretch, paths);
  if (labels.own === 0 || labels.own < labels.layers * EVIDENCE) return null;
  const places = Int32Array.from(stretch.rows, (_row, at) => labels.pathAt(at));
  return { ...SILENT, style: 'parameters', paths, places };
}

const SCOPES = ['pkg.torch.onnx.name_scopes', 'pkg.onnxscript.name_scopes'];
const CLASSES = ['pkg.torch.onnx.class_hierarchy', 'pkg.onnxscript.class_hierarchy'];
const SCOPE_KEYS = new Set([...SCOPES, ...CLASSES]);

/**
 * torch.onnx's dynamo exporter: `pkg.torch.onnx.name_scopes`, a Python list of qualified names, the module before the
 * last.
 */
function dynamoPaths(view: GraphView, stretch: Stretch): NodePaths | null {
  const { columns, rows } = stretch;
  if (!rows.some((row) => columns.nodes[row].metadata.length > 0)) return null;
  const paths = new PathTree('.');
  const classes = new Map<string, string>();
  const places = new Int32Array(rows.length).fill(NO_PATH);
  const calls: (string | null)[] = [];
  for (let at = 0; at < rows.length; at++) {
    const scopes = scopesOf(view, columns.nodes[rows[at]], classes);
    if (scopes !== null) places[at] = paths.at(scopes.path);
    calls.push(scopes?.call ?? null);
  }
  if (!isEvident(stretch, places, NO_PATH)) return null;
  const own = places.slice();
  takeOwners(view, stretch, paths, places);
  return {
    style: 'dynamo',
    paths,
    places,
    closing: closingModules(view, stretch, paths, places),
    callOf: (at, path) => (own[at] === path ? calls[at] : null),
    classes,
  };
}

/** What the metadata of a node says of the modules around it; their classes are added to those that are known. */
function scopesOf(
  view: GraphView,
  node: Node,
  classes: Map<string, string>,
): { readonly path: string; readonly call: string | null } | null {
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
function slashPaths(stretch: Stretch): NodePaths | null {
  return evidentPaths(stretch, 'path', ({ name: own, outputs: [output = ''] }) => {
    const tensor = output.replace(/:\d+$/, '');
    const name = tensor.includes('/') ? tensor : own;
    if (!name.includes('/')) return null;
    const segments = name.split('/').filter(Boolean);
    return segments.length < 2 ? null : segments.slice(0, -1).join('/');
  });
}

/** MXNet's Gluon: `resnetv17_stage1_conv0_fwd`; the module is the prefix up to the stage. */
function underscorePaths(stretch: Stretch): NodePaths | null {
  return evidentPaths(stretch, 'underscore', ({ name, outputs: [output = ''] }) => {
    const match = /^(?:(.+?)_)?((?:stage|layers?|stages|features|block)_?\d+)_(?:(.+)_)?[a-z]+\d*(?:_fwd)?$/i.exec(
      name || output,
    );
    return match?.[2] ?? null;
  });
}

/** The paths that a way of naming shows; null if it names too few nodes. */
function evidentPaths(
  stretch: Stretch,
  style: 'path' | 'underscore',
  pathOf: (node: Node) => string | null,
): NodePaths | null {
  const paths = new PathTree(style === 'path' ? '/' : '.');
  const places = Int32Array.from(nodesBetween(stretch, 0), (node) => {
    const path = pathOf(node);
    return path === null ? NO_PATH : paths.at(path);
  });
  const named = places.reduce((count, path) => (path === NO_PATH ? count : count + 1), 0);
  return named < places.length * EVIDENCE ? null : { ...SILENT, style, paths, places };
}
