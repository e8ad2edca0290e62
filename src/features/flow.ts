import { executionOrder, isInitializer, readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';

/** The main data path: what depends on the image and reaches the sink, in execution order. */
export interface Flow {
  /** The graph input the features are measured against; null where no input qualifies. */
  readonly input: string | null;
  readonly nodes: readonly Node[];
  /** Position in `nodes` of a tensor's producer; -1 for the input. Only tensors of the path. */
  readonly position: ReadonlyMap<string, number>;
  /** Positions of the nodes of the path that read a tensor. */
  readonly readers: ReadonlyMap<string, readonly number[]>;
  /** Tensors that every path from the input to the sink passes through, in execution order. */
  readonly cuts: readonly string[];
}

/** Ops whose output says how large a tensor is, not what is in it. */
const SHAPE_OPS = new Set(['Shape', 'Size', 'ConstantOfShape', 'EyeLike']);

/** Tensors that carry data of the inputs, in execution order of their producers. */
export function reachableFrom(order: readonly Node[], inputs: Iterable<string>): ReadonlySet<string> {
  const data = new Set(inputs);
  for (const node of order) {
    if (node.domain === '' && SHAPE_OPS.has(node.opType)) continue;
    for (const name of readsOf(node)) {
      if (!data.has(name)) continue;
      for (const output of node.outputs) if (output !== '') data.add(output);
      break;
    }
  }
  return data;
}

const flows = new WeakMap<
  GraphView,
  {
    readonly order: readonly Node[];
    readonly data: ReadonlySet<string>;
    readonly inputs: readonly string[];
    readonly whole: Flow;
  }
>();

/**
 * The graph in execution order, its inputs that are no initializers, what depends on them, and the path from all of
 * them to every output (without cuts).
 */
export function wholeFlow(view: GraphView): {
  readonly order: readonly Node[];
  readonly data: ReadonlySet<string>;
  readonly inputs: readonly string[];
  readonly whole: Flow;
} {
  const known = flows.get(view);
  if (known !== undefined) return known;
  const order = executionOrder(view);
  const inputs = [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
  const data = reachableFrom(order, inputs);
  const { position, ...rest } = flowBetween(order, null, data, view.outputs.keys());
  const made = {
    order,
    inputs,
    data,
    whole: { ...rest, position: new Map([...inputs.map((name) => [name, -1] as const), ...position]) },
  };
  flows.set(view, made);
  return made;
}

/** A flow from one input alone, with its cuts on the way to `sinks`. */
export function withCuts(flow: Flow, input: string, sinks: ReadonlySet<string>): Flow {
  return { ...flow, input, cuts: cutsOf(flow.nodes, flow.position, flow.readers, input, sinks) };
}

/** The path to `sinks` among `order`, with the cuts between `input` and them. `data` is what `reachableFrom` gave. */
export function flowBetween(
  order: readonly Node[],
  input: string | null,
  data: ReadonlySet<string>,
  sinks: Iterable<string>,
): Flow {
  const needed = new Set<string>(sinks);
  const kept: Node[] = [];
  for (let at = order.length - 1; at >= 0; at--) {
    const node = order[at];
    if (node.domain === '' && SHAPE_OPS.has(node.opType)) continue;
    if (!node.outputs.some((name) => needed.has(name) && data.has(name))) continue;
    let reads = false;
    for (const name of readsOf(node)) {
      if (!data.has(name)) continue;
      needed.add(name);
      reads = true;
    }
    if (reads) kept.push(node);
  }
  kept.reverse();
  return { ...indexed(kept, input, data, needed, new Set(sinks)), input };
}

function indexed(
  nodes: readonly Node[],
  input: string | null,
  data: ReadonlySet<string>,
  needed: ReadonlySet<string>,
  sinks: ReadonlySet<string>,
): Omit<Flow, 'input'> {
  const position = new Map<string, number>(input === null ? [] : [[input, -1]]);
  const readers = new Map<string, number[]>();
  nodes.forEach((node, at) => {
    for (const output of node.outputs) if (output !== '' && needed.has(output)) position.set(output, at);
    for (const name of readsOf(node)) {
      if (!data.has(name)) continue;
      const list = readers.get(name);
      if (list === undefined) readers.set(name, [at]);
      else if (list.at(-1) !== at) list.push(at);
    }
  });
  return { nodes, position, readers, cuts: input === null ? [] : cutsOf(nodes, position, readers, input, sinks) };
}

/**
 * One scan with the set of tensors that are still to be read, or are sinks: where it holds one tensor, that tensor is a
 * cut.
 */
function cutsOf(
  nodes: readonly Node[],
  position: ReadonlyMap<string, number>,
  readers: ReadonlyMap<string, readonly number[]>,
  input: string,
  sinks: ReadonlySet<string>,
): readonly string[] {
  const live = new Set([input]);
  const cuts: string[] = [];
  nodes.forEach((node, at) => {
    for (const name of readsOf(node))
      if ((readers.get(name)?.at(-1) ?? -1) <= at && !sinks.has(name)) live.delete(name);
    for (const name of node.outputs) if (position.get(name) === at) live.add(name);
    if (live.size !== 1) return;
    for (const name of live) if (cuts.at(-1) !== name && name !== input) cuts.push(name);
  });
  return cuts;
}
