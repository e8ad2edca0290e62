import { UsageError } from '../errors.js';
import { ancestorsOf, executionOrder, isInitializer, readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { option } from '../options/words.js';
import { keptFor } from './kept.js';
import { descendants, isShape } from './span.js';

/** What a tensor of the main graph takes in memory, in bytes. */
export type BytesOf = (tensor: string) => number;

/** A graph as parts are made of it. */
export interface Divisible {
  readonly view: GraphView;
  readonly bytesOf: BytesOf;
  /**
   * The nodes that an output needs and that depend on an input, in an order of execution: a `Shape` stands right behind
   * what it is of. The others are constant: they go into every part that reads them.
   */
  readonly nodes: readonly Node[];
  readonly isVariable: (tensor: string) => boolean;
}

/**
 * The graph of a model, made ready to be divided.
 * @param random nodes that give other values in every run: they are in one part, whatever they read
 */
export function divisible(view: GraphView, bytesOf: BytesOf, random: ReadonlySet<Node>): Divisible {
  const kept = keptFor(view, [...view.outputs.keys()]);
  const inputs = [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
  const drawn = [...random].flatMap(({ outputs }) => outputs.filter((name) => name !== ''));
  const variable = descendants(view, [...inputs, ...drawn]);
  const isOne = (node: Node): boolean => kept.nodes.has(node) && (variable.nodes.has(node) || random.has(node));
  const nodes: Node[] = [];
  const place = (tensors: readonly string[]): void => {
    const waiting = [...tensors];
    for (const tensor of waiting)
      for (const reader of view.consumersOf.get(tensor) ?? [])
        if (isShape(reader) && isOne(reader) && reader.inputs[0] === tensor) {
          nodes.push(reader);
          // There are shapes of shapes.
          waiting.push(...reader.outputs);
        }
  };
  place(inputs);
  for (const node of executionOrder(view)) {
    if (!isOne(node) || isShape(node)) continue;
    nodes.push(node);
    place(node.outputs);
  }
  return { view, bytesOf, nodes, isVariable: (name) => variable.tensors.has(name) };
}

/** The part that each node is in, counted from 0. */
export type Levels = ReadonlyMap<Node, number>;

/** What a part takes and gives. */
export interface PartPlan {
  /** In the order in which they are read; `from`: the part that makes it, null for an input of the model. */
  readonly inputs: readonly { readonly name: string; readonly from: number | null }[];
  /** What later parts read, in the order in which it is made, then outputs of the model. */
  readonly outputs: readonly string[];
}

/** What the parts of a graph take and give. @throws UsageError for a part that nothing is in */
export function partsOf({ view, nodes, isVariable }: Divisible, levels: Levels, count: number): readonly PartPlan[] {
  const levelOf = (tensor: string): number | null => {
    const node = view.producerOf.get(tensor)?.node;
    return node === undefined ? null : (levels.get(node) ?? 0);
  };
  const inputs = Array.from({ length: count }, () => new Map<string, number | null>());
  const crossing = Array.from({ length: count }, () => new Set<string>());
  const sizes = Array.from({ length: count }, () => 0);
  for (const node of nodes) {
    const level = levels.get(node) ?? 0;
    sizes[level]++;
    for (const name of readsOf(node)) {
      const from = levelOf(name);
      if (!isVariable(name) || from === level) continue;
      inputs[level].set(name, from);
      if (from !== null) crossing[from].add(name);
    }
  }
  const own = Array.from({ length: count }, (): string[] => []);
  for (const name of view.outputs.keys()) own[levelOf(name) ?? 0].push(name);
  const empty = sizes.findIndex((size, part) => size === 0 || (crossing[part].size === 0 && own[part].length === 0));
  if (empty >= 0)
    throw new UsageError(`part ${empty + 1} would have nothing in it`, {
      code: 'FEATX_SPLIT_EMPTY',
      hint: 'split at tensors with nodes of the network on either side, or into fewer parts',
    });
  const made = nodes.flatMap((node) => node.outputs);
  return inputs.map((list, part) => ({
    inputs: [...list].map(([name, from]) => ({ name, from })),
    outputs: [...made.filter((name) => crossing[part].has(name) && !own[part].includes(name)), ...own[part]],
  }));
}

/** A place to cut at: some tensors, as it was asked for. */
export interface CutPoint {
  readonly name: string;
  readonly tensors: readonly string[];
}

/**
 * The part of each node where a graph is cut at some tensors: of the two frontiers that a cut has, what the tensors are
 * made of and what is made of them, the one that takes fewer bytes.
 * @throws UsageError for places that no cut can be at, and for those that do not lie behind one another
 */
export function cutAt(
  graph: Divisible,
  points: readonly CutPoint[],
): { readonly levels: Levels; readonly points: readonly CutPoint[] } {
  const { view, nodes } = graph;
  for (const { name, tensors } of points)
    for (const tensor of tensors) {
      const made = view.producerOf.get(tensor)?.node;
      if (made === undefined || !nodes.includes(made))
        throw new UsageError(
          `'${name}' is ${made === undefined ? 'an input or a weight' : graph.isVariable(tensor) ? 'needed by no output' : 'the same for every input'}: there is nothing to cut there`,
          { code: 'FEATX_SPLIT_POINT', hint: `give ${option('at')} tensors that nodes compute from the inputs` },
        );
    }
  const ordered = inOrder(view, points);
  const levels = new Map<Node, number>(nodes.map((node) => [node, 0]));
  for (const { tensors } of ordered) {
    const front = ancestorsOf(view, tensors);
    const behind = descendants(view, tensors).nodes;
    const [early, late] = [(node: Node) => !front.has(node), (node: Node) => behind.has(node)].map((isBehind) =>
      withShapes(graph, new Map(nodes.map((node) => [node, isBehind(node) ? 1 : 0]))),
    );
    const smaller = frontierBytes(graph, late) < frontierBytes(graph, early) ? late : early;
    for (const node of nodes) levels.set(node, (levels.get(node) ?? 0) + (smaller.get(node) ?? 0));
  }
  return { levels: withShapes(graph, levels), points: ordered };
}

/** Cuts in the order in which they are computed. @throws UsageError */
function inOrder(view: GraphView, points: readonly CutPoint[]): readonly CutPoint[] {
  const reached = points.map(({ tensors }) => descendants(view, tensors).tensors);
  const count = (at: number): number => points.filter((_point, other) => isBehind(at, other)).length;
  const isBehind = (at: number, other: number): boolean =>
    at !== other && points[at].tensors.some((name) => reached[other].has(name));
  for (let at = 0; at < points.length; at++)
    for (let other = at + 1; other < points.length; other++)
      if (isBehind(at, other) === isBehind(other, at))
        throw new UsageError(
          isBehind(at, other)
            ? `'${points[at].name}' and '${points[other].name}' are the same place`
            : `neither of '${points[at].name}' and '${points[other].name}' lies behind the other`,
          { code: 'FEATX_SPLIT_ORDER', hint: 'give places that follow one another on the way through the network' },
        );
  return points
    .map((point, at) => ({ point, at: count(at) }))
    .sort((a, b) => a.at - b.at)
    .map(({ point }) => point);
}

/** A `Shape` is where the tensor is that it is of: a few numbers cross, not the tensor. */
function withShapes({ view, nodes }: Divisible, levels: Levels): Levels {
  const moved = new Map(levels);
  for (const node of nodes) {
    if (!isShape(node)) continue;
    const made = view.producerOf.get(node.inputs[0])?.node;
    moved.set(node, made === undefined ? 0 : (moved.get(made) ?? 0));
  }
  return moved;
}

/** Bytes of what crosses: tensors that are made in one part and read in another, and inputs that both read. */
function frontierBytes({ view, nodes, isVariable, bytesOf }: Divisible, levels: Levels): number {
  const readers = new Map<string, Set<number>>();
  for (const node of nodes)
    for (const name of readsOf(node))
      if (isVariable(name)) readers.set(name, (readers.get(name) ?? new Set()).add(levels.get(node) ?? 0));
  let bytes = 0;
  for (const [name, parts] of readers) {
    const made = view.producerOf.get(name)?.node;
    if (made !== undefined) parts.add(levels.get(made) ?? 0);
    if (parts.size > 1) bytes += bytesOf(name);
  }
  return bytes;
}

/** Tensors of which one part is made and another reads: the frontier in front of a part. */
export function frontierBefore(parts: readonly PartPlan[], part: number): readonly string[] {
  const names = new Set<string>();
  for (const { inputs } of parts.slice(part))
    for (const { name, from } of inputs) if (from !== null && from < part) names.add(name);
  return [...names];
}
