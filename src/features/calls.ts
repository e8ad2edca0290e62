import type { GraphView } from '../onnx/graph.js';
import { nodeAt, type Flow } from './flow.js';
import type { Module, ModuleTree } from './modules.js';
import { parametersOf } from './names/parameters.js';

/**
 * The nodes of each call of a module, calls in the order of their first node. The exporter's names tell calls apart;
 * where they do not, every call reads the same parameters; without parameters a layer's equal nodes are a call each,
 * and else every run of nodes without foreign ones between them.
 */
export function callsOf(view: GraphView, flow: Flow, tree: ModuleTree, module: Module): readonly (readonly number[])[] {
  const named = callsByName(tree, module);
  if (named !== null) return named;
  const readers = leastRead(view, flow, module);
  if (readers === null) {
    const [first, ...rest] = module.nodes.map((at) => nodeAt(flow, at).opType);
    const isOneOp = module.isLeaf && rest.every((opType) => opType === first);
    return isOneOp ? module.nodes.map((at) => [at]) : runsOf(module.nodes);
  }
  const runs = runsOf(module.nodes);
  const calls = runs.length === readers.length ? runs : splitAt(flow, module.nodes, readers);
  const [reads, ...others] = calls.map((nodes) =>
    nodes
      .flatMap((at) => weightsOf(view, flow.rows[at]))
      .sort()
      .join(),
  );
  return others.every((other) => other === reads) ? calls : [module.nodes];
}

/**
 * By the scopes that the exporter wrote for each call; null where it wrote none. A node without one goes with the node
 * before it.
 */
function callsByName(tree: ModuleTree, module: Module): readonly (readonly number[])[] | null {
  const calls = new Map<string | number, number[]>();
  const { pathNumber } = module;
  const early: number[] = [];
  let current: number[] = early;
  for (const at of module.nodes) {
    const key = tree.callOf(at, pathNumber);
    if (key !== null) {
      current = calls.get(key) ?? [];
      calls.set(key, current);
    }
    current.push(at);
  }
  const [first] = calls.values();
  if (first === undefined) return null;
  const [, ...others] = calls.values();
  return [[...early, ...first], ...others];
}

/**
 * Positions of the nodes that read the parameter which the fewest nodes of a module read, the earliest such parameter;
 * null without parameters.
 */
function leastRead(view: GraphView, flow: Flow, module: Module): readonly number[] | null {
  const readers = new Map<string, number[]>();
  for (const at of module.nodes) {
    for (const name of new Set(weightsOf(view, flow.rows[at]))) {
      const known = readers.get(name);
      if (known === undefined) readers.set(name, [at]);
      else known.push(at);
    }
  }
  let least: readonly number[] | null = null;
  for (const positions of readers.values()) if (least === null || positions.length < least.length) least = positions;
  return least;
}

/** Parameters that only this module reads: numbers that exporters share between layers have no axes. */
function weightsOf(view: GraphView, row: number): readonly string[] {
  return parametersOf(view)
    .of(row)
    .flatMap(({ name, rank, module }) => (rank > 1 || module !== null ? [name] : []));
}

/** Runs of nodes without foreign nodes between them. */
function runsOf(nodes: readonly number[]): readonly (readonly number[])[] {
  const runs: number[][] = [];
  for (const at of nodes) {
    const last = runs.at(-1);
    if (last !== undefined && last[last.length - 1] === at - 1) last.push(at);
    else runs.push([at]);
  }
  return runs;
}

/**
 * Splits nodes at those that begin a call; what lies between two of them and does not depend on the first goes with the
 * second.
 */
function splitAt(flow: Flow, nodes: readonly number[], starts: readonly number[]): readonly (readonly number[])[] {
  const calls: number[][] = starts.map(() => []);
  const callOf = new Map<string, number>();
  let call = -1;
  for (const at of nodes) {
    if (at === starts[call + 1]) call++;
    const { inputs, outputs } = nodeAt(flow, at);
    const own = at === starts[call] ? call : inputs.reduce((last, name) => Math.max(last, callOf.get(name) ?? -1), -1);
    const to = own < 0 ? Math.min(call + 1, starts.length - 1) : own;
    calls[to].push(at);
    if (own >= 0) for (const name of outputs) callOf.set(name, own);
  }
  return calls;
}
