import type { Columns, Producer } from './columns.js';
import type { FunctionDef, Node, OnnxModel, SparseTensor, Tensor, ValueInfo } from './records.js';
import type { InsideEdit } from './inside.js';
import { bodiesOf, functionKey, readsOf } from './scopes.js';

/** What is reached from what: the tensors of the main graph, what they need, and in which order that is computed. */

/** Who makes and who reads each tensor of the main graph. Bodies count through what they capture. */
export interface GraphView {
  readonly model: OnnxModel;
  /** What walks over the whole graph take. */
  readonly columns: Columns;
  readonly producerOf: ReadonlyMap<string, Producer>;
  /** Nodes that read a tensor, as an input or inside one of their bodies, in file order. */
  readonly consumersOf: ReadonlyMap<string, readonly Node[]>;
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly sparseInitializers: ReadonlyMap<string, SparseTensor>;
  readonly inputs: ReadonlyMap<string, ValueInfo>;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  /** What makes tensors of bodies and functions tensors of the main graph; absent if nothing does. */
  readonly inside?: readonly InsideEdit[];
  /** Whether every node stands behind the nodes it reads from. */
  readonly sorted: boolean;
  readonly warnings: readonly string[];
}

/**
 * Whether a tensor of the main graph has that name: a node makes it, or it is given. An empty name is an omitted value,
 * whatever a file calls by it.
 */
export function hasTensor(view: GraphView, name: string): boolean {
  return name !== '' && (makerOf(view, name) !== undefined || view.inputs.has(name) || isInitializer(view, name));
}

/** Names of the tensors of the main graph, each once: inputs, what nodes make, and constants. */
export function* tensorNames(view: GraphView): Generator<string> {
  const { inputs, producerOf, initializers, sparseInitializers } = view;
  for (const known of [inputs, producerOf]) for (const name of known.keys()) if (name !== '') yield name;
  for (const known of [initializers, sparseInitializers])
    for (const name of known.keys()) if (name !== '' && !inputs.has(name)) yield name;
}

/**
 * Whether the main graph has a constant of that name, dense or sparse; where it is an input too, a caller may override
 * it.
 */
export function isInitializer(
  { initializers, sparseInitializers }: Pick<GraphView, 'initializers' | 'sparseInitializers'>,
  name: string,
): boolean {
  return initializers.has(name) || sparseInitializers.has(name);
}

/** The node that makes a tensor, if one does. */
export function makerOf({ columns }: GraphView, name: string): Node | undefined {
  const { nodes, tensorOf, maker } = columns;
  const row = maker[tensorOf.get(name) ?? maker.length] ?? -1;
  return row < 0 ? undefined : nodes[row];
}

/** Some of the nodes or tensors of a graph. */
export interface Among<T> extends Iterable<T> {
  has(item: T): boolean;
  readonly size: number;
}

/** What some tensors need of the main graph. */
export interface Needed {
  readonly nodes: Among<Node>;
  /** The tensors themselves, and all that these nodes read and make. */
  readonly tensors: Among<string>;
}

/** What a walk takes as it is, and what else it follows. */
export interface WalkOptions {
  /** Tensors that are given: nothing behind them is needed. */
  readonly given?: Iterable<string>;
  /** What a tensor needs beside the node that makes it. */
  readonly beside?: ReadonlyMap<string, readonly string[]>;
  /** What a node needs; by default all that it reads. */
  readonly reads?: (node: Node) => readonly string[];
}

/** What the given tensors need, at any depth; bodies count through what they capture. */
export function neededFor(
  { columns }: Pick<GraphView, 'columns'>,
  roots: Iterable<string>,
  { given = [], beside, reads }: WalkOptions = {},
): Needed {
  const { tensorOf, maker, makes, nodes } = columns;
  const own = columns.reads;
  const wanted = new Uint8Array(columns.count);
  const rows = new Uint8Array(nodes.length);
  const ends = new Uint8Array(columns.count);
  for (const name of given) ends[tensorOf.get(name) ?? ends.length] = 1;
  const others = new Set<string>();
  const stack: number[] = [];
  const need = (tensor: number): void => {
    if (wanted[tensor] === 1) return;
    wanted[tensor] = 1;
    stack.push(tensor);
  };
  const needNamed = (name: string): void => {
    const tensor = tensorOf.get(name);
    if (tensor !== undefined) need(tensor);
    else if (name !== '' && !others.has(name)) {
      others.add(name);
      beside?.get(name)?.forEach(needNamed);
    }
  };
  for (const root of roots) needNamed(root);
  for (let tensor = stack.pop(); tensor !== undefined; tensor = stack.pop()) {
    if (beside !== undefined && beside.size > 0) beside.get(columns.nameOf(tensor))?.forEach(needNamed);
    const row = ends[tensor] === 1 ? -1 : maker[tensor];
    if (row < 0 || rows[row] === 1) continue;
    rows[row] = 1;
    if (reads !== undefined) reads(nodes[row]).forEach(needNamed);
    else for (let at = own.starts[row]; at < own.starts[row + 1]; at++) need(own.items[at]);
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++) need(makes.items[at]);
  }
  return { nodes: new NodesAmong(columns, rows), tensors: new TensorsAmong(columns, wanted, others) };
}

/** Nodes of a graph by their rows. */
class NodesAmong implements Among<Node> {
  readonly size: number;

  constructor(
    private readonly columns: Columns,
    private readonly rows: Uint8Array,
  ) {
    this.size = sum(rows);
  }

  has(node: Node): boolean {
    const { nodes } = this.columns;
    const row = nodes[node.index] === node ? node.index : nodes.indexOf(node);
    return this.rows[row] === 1;
  }

  *[Symbol.iterator](): Generator<Node> {
    for (let row = 0; row < this.rows.length; row++) if (this.rows[row] === 1) yield this.columns.nodes[row];
  }
}

/** Tensors of a graph by their numbers. */
export class TensorsAmong implements Among<string> {
  readonly size: number;

  constructor(
    private readonly columns: Columns,
    private readonly tensors: Uint8Array,
    /** Those that have no number. */
    private readonly others: ReadonlySet<string>,
  ) {
    this.size = sum(tensors) + others.size;
  }

  has(name: string): boolean {
    const tensor = this.columns.tensorOf.get(name);
    return tensor === undefined ? this.others.has(name) : this.tensors[tensor] === 1;
  }

  /** As `has`, of a tensor by its number in the columns of the graph. */
  hasNumber(tensor: number): boolean {
    return this.tensors[tensor] === 1;
  }

  *[Symbol.iterator](): Generator<string> {
    for (let tensor = 0; tensor < this.tensors.length; tensor++)
      if (this.tensors[tensor] === 1) yield this.columns.nameOf(tensor);
    yield* this.others;
  }
}

function sum(marks: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < marks.length; at++) count += marks[at];
  return count;
}

/** The nodes that the given tensors need, those that make them included. */
export function ancestorsOf(view: GraphView, tensors: Iterable<string>): Among<Node> {
  return neededFor(view, tensors).nodes;
}

/** The rows of `executionOrder`. */
export function executionRows(view: GraphView): Int32Array {
  const order = executionOrder(view);
  const rows = new Int32Array(order.length);
  for (let at = 0; at < rows.length; at++) rows[at] = view.sorted ? at : order[at].index;
  return rows;
}

/** The nodes of the main graph behind the nodes they read from (Kahn's algorithm); those on a cycle are left out. */
export function executionOrder(view: GraphView): readonly Node[] {
  const { nodes } = view.model.graph;
  if (view.sorted) return nodes;
  const waiting = nodes.map(
    (node) => new Set(readsOf(node).flatMap((name) => view.producerOf.get(name)?.node ?? [])).size,
  );
  const order = nodes.filter((node) => waiting[node.index] === 0);
  for (let at = 0; at < order.length; at++) {
    const readers = new Set(order[at].outputs.flatMap((name) => view.consumersOf.get(name) ?? []));
    for (const reader of readers) if (--waiting[reader.index] === 0) order.push(reader);
  }
  return order;
}

/** The model-local functions that the given nodes call, directly, inside bodies, or through other functions. */
export function functionsUsedBy(model: OnnxModel, nodes: Iterable<Node>): ReadonlySet<FunctionDef> {
  if (model.functions.length === 0) return new Set();
  const byKey = new Map(
    model.functions.map((definition) => [
      functionKey(definition.domain, definition.name, definition.overload),
      definition,
    ]),
  );
  const used = new Set<FunctionDef>();
  const stack: Node[] = [...nodes];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const definition = byKey.get(functionKey(node.domain, node.opType, node.overload));
    if (definition !== undefined && !used.has(definition)) {
      used.add(definition);
      for (const inner of definition.nodes) stack.push(inner);
      for (const body of bodiesOf({ attributes: definition.defaults }))
        for (const inner of body.nodes) stack.push(inner);
    }
    for (const body of bodiesOf(node)) for (const inner of body.nodes) stack.push(inner);
  }
  return used;
}
