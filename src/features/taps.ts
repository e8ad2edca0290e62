import { readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { callsOf } from './calls.js';
import type { HookType } from './feature.js';
import { nodeAt, type Flow } from './flow.js';
import type { Module, ModuleTree } from './modules.js';

/** What a module name means in the graph. */
export interface ModuleTap {
  /**
   * Tensors the module hands on, in the order they are made; the last one made first where there is one. Empty where
   * the value is gone.
   */
  readonly tensors: readonly string[];
  /** The value after a fold that swallowed the module's own; null where nothing was folded. */
  readonly folded: string | null;
}

/** Tensors made by the given nodes and read outside them (or handed out of the graph), in the order they are made. */
export function exitsOf(
  flow: Flow,
  nodes: readonly number[],
  outputs: ReadonlyMap<string, unknown>,
): readonly string[] {
  const inside = new Set(nodes);
  const exits: string[] = [];
  for (const at of nodes) {
    for (const name of nodeAt(flow, at).outputs) {
      if (!flow.position.has(name)) continue;
      if (outputs.has(name) || (flow.readers.get(name) ?? []).some((reader) => !inside.has(reader))) exits.push(name);
    }
  }
  return exits;
}

/**
 * What `torch.cat(x, 1)` of a module's outputs is: the Concat behind them that joins them all, perhaps with what the
 * module passes through; else the outputs themselves.
 */
export function concatenated(view: GraphView, exits: readonly string[]): readonly string[] {
  const joint = view.consumersOf
    .get(exits[0])
    ?.find(
      ({ opType, inputs, attributes }) =>
        opType === 'Concat' &&
        attributes.some(({ name, i }) => name === 'axis' && Number(i) === 1) &&
        exits.every((exit) => inputs.includes(exit)),
    );
  return joint === undefined ? exits : joint.outputs.slice(0, 1);
}

/** The first tensor that the nodes read and did not make. */
export function entryOf(flow: Flow, nodes: readonly number[]): string | null {
  const inside = new Set(nodes);
  for (const at of nodes) {
    for (const name of readsOf(nodeAt(flow, at))) {
      const from = flow.position.get(name);
      if (from !== undefined && !inside.has(from)) return name;
    }
  }
  return null;
}

/** The tensor a module's hook would see; `call` picks one of several calls (the last where it is left out). */
export function tapModule(
  view: GraphView,
  flow: Flow,
  tree: ModuleTree,
  module: Module,
  hookType: HookType,
  call?: number,
): ModuleTap {
  const calls = callsOf(view, flow, tree, module);
  const nodes = call === undefined ? module.nodes : (calls[call] ?? []);
  if (nodes.length === 0) return { tensors: [], folded: null };
  if (hookType === 'forward_pre') {
    const entry = entryOf(flow, call === undefined ? (calls.at(-1) ?? nodes) : nodes);
    return { tensors: entry === null ? [] : [entry], folded: null };
  }
  const last = nodeAt(flow, nodes[nodes.length - 1]).outputs.filter((name) => flow.position.has(name));
  if (last.length === 0) return { tensors: [], folded: null };
  if (module.isLeaf && nodes.length === 1 && isFolded(view, nodeAt(flow, nodes[0])))
    return { tensors: [], folded: last[0] };
  return { tensors: [last[0]], folded: null };
}

/**
 * Whether an exporter folded a BatchNorm into this convolution: TorchScript then writes both its weight and its bias
 * anew, as `onnx::Conv_123`, and the value before the norm no longer exists.
 */
export function isFolded(view: GraphView, node: Node): boolean {
  if (node.opType !== 'Conv' || node.inputs.length < 3) return false;
  return [node.inputs[1], node.inputs[2]].every((name) => view.initializers.has(name) && /^onnx::Conv_\d+$/.test(name));
}

/** Layers that an exporter folds a norm into. */
const FOLDS = /Conv|Gemm|MatMul/;

/**
 * Modules whose layer carries the name of what was folded into it: dynamo's exporter puts `bn1` on the convolution with
 * `conv1.weight`. With the value after the fold. A parameter that a module around its own reads, or one with a
 * shortened name, was never folded.
 */
export function foldedModules(view: GraphView, flow: Flow, tree: ModuleTree): ReadonlyMap<string, string> {
  const folded = new Map<string, string>();
  for (const name of view.initializers.keys()) {
    const cut = name.lastIndexOf('.');
    const path = cut < 0 ? '' : name.slice(0, cut);
    if (path === '' || folded.has(path) || tree.modules.has(path)) continue;
    const reader = view.consumersOf.get(name)?.[0];
    const [tensor = ''] = reader?.outputs ?? [];
    const at = flow.position.get(tensor);
    if (reader === undefined || at === undefined || at < 0 || !FOLDS.test(reader.opType)) continue;
    const owner = tree.ownerAt(at).path;
    if (owner !== '' && !path.startsWith(`${owner}.`) && !path.endsWith(`.${owner}`)) folded.set(path, tensor);
  }
  return folded;
}

/**
 * The tensor made with a module's parameters, and the module it lies in, where no node carries the module's own name.
 */
export function madeWithParametersOf(
  view: GraphView,
  flow: Flow,
  tree: ModuleTree,
  path: string,
): { readonly tensor: string; readonly module: string } | null {
  for (const name of view.initializers.keys()) {
    if (!name.startsWith(`${path}.`)) continue;
    const [tensor = ''] = view.consumersOf.get(name)?.[0]?.outputs ?? [];
    const at = flow.position.get(tensor);
    if (at !== undefined && at >= 0) return { tensor, module: tree.ownerAt(at).path };
  }
  return null;
}
