import { ByNames } from '../onnx/by-name.js';
import { executionRows, isInitializer, type Columns, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';

/** Nodes of a graph behind those that they read from. */
export interface Stretch {
  readonly columns: Columns;
  readonly rows: Int32Array;
}

/** The main data path: what depends on the image and reaches the sink, in execution order. */
export interface Flow extends Stretch {
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

/** Tensors of a graph. */
export interface TensorSet {
  readonly size: number;
  has(name: string): boolean;
  /** The same by the number of a tensor: 1 for those in it. */
  readonly marks: Uint8Array;
}

/** Ops whose output says how large a tensor is, not what is in it. */
const SHAPE_OPS = new Set(['Shape', 'Size', 'ConstantOfShape', 'EyeLike']);

function saysShape({ domain, opType }: Node): boolean {
  return domain === '' && SHAPE_OPS.has(opType);
}

/** Tensors that carry data of the inputs. */
export function reachableFrom({ columns, rows }: Stretch, inputs: Iterable<string>): TensorSet {
  const { nodes, tensorOf, reads, makes } = columns;
  const marks = new Uint8Array(columns.names.length);
  const others = new Set<string>();
  let size = 0;
  for (const name of inputs) {
    const tensor = tensorOf.get(name);
    if (tensor === undefined) others.add(name);
    else if (marks[tensor] === 0) {
      marks[tensor] = 1;
      size++;
    }
  }
  for (const row of rows) {
    if (!holdsAny(reads.items, reads.starts[row], reads.starts[row + 1], marks) || saysShape(nodes[row])) continue;
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++) {
      if (marks[makes.items[at]] === 0) size++;
      marks[makes.items[at]] = 1;
    }
  }
  return {
    marks,
    size: size + others.size,
    has: (name) => marks[tensorOf.get(name) ?? marks.length] === 1 || others.has(name),
  };
}

function holdsAny(items: Int32Array, from: number, to: number, marks: Uint8Array): boolean {
  for (let at = from; at < to; at++) if (marks[items[at]] === 1) return true;
  return false;
}

/** A graph as the paths through it begin. */
interface WholeFlow {
  /** All of its nodes. */
  readonly order: Stretch;
  /** What depends on its inputs. */
  readonly data: TensorSet;
  /** Its inputs that are no initializers. */
  readonly inputs: readonly string[];
  /** The path from all of them to every output, without cuts. */
  readonly whole: Flow;
}

const flows = new WeakMap<GraphView, WholeFlow>();

/**
 * The graph in execution order, its inputs that are no initializers, what depends on them, and the path from all of
 * them to every output (without cuts).
 */
export function wholeFlow(view: GraphView): WholeFlow {
  const known = flows.get(view);
  if (known !== undefined) return known;
  const order = { columns: view.columns, rows: executionRows(view) };
  const inputs = [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
  const data = reachableFrom(order, inputs);
  const whole = path(order, inputs, data, view.outputs.keys());
  const made = { order, inputs, data, whole: { ...whole, input: null, cuts: [] } };
  flows.set(view, made);
  return made;
}

/** A flow from one input alone, with its cuts on the way to `sinks`. */
export function withCuts(flow: Flow, input: string, sinks: ReadonlySet<string>): Flow {
  return { ...flow, input, cuts: cutsOf(flow, input, sinks) };
}

/** No path through a graph. */
export function emptyFlow({ columns }: Stretch): Flow {
  const rows = new Int32Array(0);
  return { columns, rows, input: null, nodes: [], position: new Map(), readers: new Map(), cuts: [] };
}

/** The path to `sinks` in a stretch, with the cuts between `input` and them. `data` is what `reachableFrom` gave. */
export function flowBetween(stretch: Stretch, input: string, data: TensorSet, sinks: Iterable<string>): Flow {
  const ends = new Set(sinks);
  return withCuts({ ...path(stretch, [input], data, ends), input, cuts: [] }, input, ends);
}

/** The nodes on the way from what `data` came from to the sinks, and what leads from one to the next. */
function path(
  { columns, rows: all }: Stretch,
  inputs: readonly string[],
  { marks }: TensorSet,
  sinks: Iterable<string>,
): Omit<Flow, 'input' | 'cuts'> {
  const { nodes, tensorOf, reads, makes } = columns;
  const needed = new Uint8Array(marks.length);
  for (const name of sinks) needed[tensorOf.get(name) ?? marks.length] = 1;
  const isNeeded = (row: number): boolean => {
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++)
      if (needed[makes.items[at]] === 1 && marks[makes.items[at]] === 1) return true;
    return false;
  };
  const kept: number[] = [];
  for (let at = all.length - 1; at >= 0; at--) {
    const row = all[at];
    if (!isNeeded(row) || saysShape(nodes[row])) continue;
    let isOnPath = false;
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++) {
      if (marks[reads.items[read]] === 0) continue;
      needed[reads.items[read]] = 1;
      isOnPath = true;
    }
    if (isOnPath) kept.push(row);
  }
  const rows = Int32Array.from(kept.reverse());
  return {
    columns,
    rows,
    nodes: Array.from(rows, (row) => nodes[row]),
    position: positions(columns, rows, inputs, needed),
    readers: readersOf(columns, rows, marks),
  };
}

/** Neither made on a path nor its input. */
const OFF = -2;

function positions(
  { names, tensorOf, makes }: Columns,
  rows: Int32Array,
  inputs: readonly string[],
  needed: Uint8Array,
): ReadonlyMap<string, number> {
  const places = new Int32Array(names.length).fill(OFF);
  for (const name of inputs) places[tensorOf.get(name) ?? places.length] = -1;
  let count = inputs.length;
  for (const [position, row] of rows.entries())
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++) {
      const tensor = makes.items[at];
      if (needed[tensor] === 0) continue;
      if (places[tensor] === OFF) count++;
      places[tensor] = position;
    }
  // An input that nothing reads has no number.
  const unread = new Set(inputs.filter((name) => !tensorOf.has(name)));
  return new ByNames(
    function* () {
      yield* inputs;
      for (const [position, row] of rows.entries())
        for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++)
          if (places[makes.items[at]] === position) yield names[makes.items[at]];
      return undefined;
    },
    (name) => {
      const place = places[tensorOf.get(name) ?? places.length] ?? (unread.has(name) ? -1 : OFF);
      return place === OFF ? undefined : place;
    },
    count,
  );
}

function readersOf(
  { nodes, names, tensorOf, readers }: Columns,
  rows: Int32Array,
  data: Uint8Array,
): ReadonlyMap<string, readonly number[]> {
  const positionOf = new Int32Array(nodes.length).fill(-1);
  for (const [position, row] of rows.entries()) positionOf[row] = position;
  return new ByNames(
    () => names,
    (name) => {
      const tensor = tensorOf.get(name) ?? data.length;
      if (data[tensor] !== 1) return undefined;
      const found: number[] = [];
      for (let at = readers.starts[tensor]; at < readers.starts[tensor + 1]; at++) {
        const position = positionOf[readers.items[at]];
        if (position >= 0) found.push(position);
      }
      return found.length === 0 ? undefined : found.sort((a, b) => a - b);
    },
  );
}

/**
 * One scan with the tensors that are still to be read, or are sinks: where there is one, it is a cut.
 */
function cutsOf({ columns, rows, position }: Flow, input: string, sinks: ReadonlySet<string>): readonly string[] {
  const { names, tensorOf, reads, makes } = columns;
  const lastReader = new Int32Array(names.length).fill(-1);
  for (const [at, row] of rows.entries())
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++) lastReader[reads.items[read]] = at;
  for (const name of sinks) lastReader[tensorOf.get(name) ?? names.length] = rows.length;
  const live = new Set([tensorOf.get(input) ?? -1]);
  const cuts: string[] = [];
  for (const [at, row] of rows.entries()) {
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++)
      if (lastReader[reads.items[read]] <= at) live.delete(reads.items[read]);
    for (let made = makes.starts[row]; made < makes.starts[row + 1]; made++)
      if (position.get(names[makes.items[made]]) === at) live.add(makes.items[made]);
    if (live.size !== 1) continue;
    for (const tensor of live) if (cuts.at(-1) !== names[tensor] && names[tensor] !== input) cuts.push(names[tensor]);
  }
  return cuts;
}
