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
  /** Position in `nodes` of what makes each tensor, by its number; -1 for the input, `OFF` for tensors off the path. */
  readonly positions: Int32Array;
  /** The same by name. Only tensors of the path. */
  readonly position: ReadonlyMap<string, number>;
  /** Position in `nodes` of each row of the graph; -1 for those off the path. */
  readonly atRow: Int32Array;
  /** Positions of the nodes of the path that read a tensor. */
  readonly readers: ReadonlyMap<string, readonly number[]>;
  /** Tensors that every path from the input to the sink passes through, in execution order. */
  readonly cuts: readonly string[];
  /** Their numbers. */
  readonly cutTensors: readonly number[];
}

/** Tensors of a graph. */
export interface TensorSet {
  readonly size: number;
  has(name: string): boolean;
  /** The same by the number of a tensor: 1 for those in it. */
  readonly marks: Uint8Array;
}

/** Neither made on a path nor its input. */
export const OFF = -2;

/** Ops whose output says how large a tensor is, not what is in it. */
const SHAPE_OPS = new Set(['Shape', 'Size', 'ConstantOfShape', 'EyeLike']);

function saysShape({ domain, opType }: Node): boolean {
  return domain === '' && SHAPE_OPS.has(opType);
}

/** Tensors that carry data of the inputs. */
export function reachableFrom({ columns, rows }: Stretch, inputs: Iterable<string>): TensorSet {
  const { nodes, tensorOf, reads, makes } = columns;
  const marks = new Uint8Array(columns.count);
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
  const made = { order, inputs, data, whole: { ...whole, input: null, cuts: [], cutTensors: [] } };
  flows.set(view, made);
  return made;
}

/** The tensors of a path: its inputs, then what is made, in execution order. */
export function tensorsOn({ columns: { makes }, rows, positions }: Flow): readonly number[] {
  const tensors: number[] = [];
  for (let tensor = 0; tensor < positions.length; tensor++) if (positions[tensor] === -1) tensors.push(tensor);
  for (let at = 0; at < rows.length; at++)
    for (let made = makes.starts[rows[at]]; made < makes.starts[rows[at] + 1]; made++)
      if (positions[makes.items[made]] === at) tensors.push(makes.items[made]);
  return tensors;
}

/** A flow from one input alone, with its cuts on the way to `sinks`. */
export function withCuts(flow: Flow, input: string, sinks: ReadonlySet<string>): Flow {
  const cutTensors = cutsOf(flow, input, sinks);
  return { ...flow, input, cutTensors, cuts: cutTensors.map((tensor) => flow.columns.names[tensor]) };
}

/** No path through a graph. */
export function emptyFlow({ columns }: Stretch): Flow {
  const positions = new Int32Array(columns.count).fill(OFF);
  const atRow = new Int32Array(columns.nodes.length).fill(-1);
  const [position, readers] = [new Map<string, number>(), new Map<string, readonly number[]>()];
  return {
    columns,
    rows: new Int32Array(0),
    input: null,
    nodes: [],
    positions,
    position,
    atRow,
    readers,
    cuts: [],
    cutTensors: [],
  };
}

/** The path to `sinks` in a stretch, with the cuts between `input` and them. `data` is what `reachableFrom` gave. */
export function flowBetween(stretch: Stretch, input: string, data: TensorSet, sinks: Iterable<string>): Flow {
  const ends = new Set(sinks);
  return withCuts({ ...path(stretch, [input], data, ends), input, cuts: [], cutTensors: [] }, input, ends);
}

/** The nodes on the way from what `data` came from to the sinks, and what leads from one to the next. */
function path(
  { columns, rows: all }: Stretch,
  inputs: readonly string[],
  { marks }: TensorSet,
  sinks: Iterable<string>,
): Omit<Flow, 'input' | 'cuts' | 'cutTensors'> {
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
  const positions = positionsOf(columns, rows, inputs, needed);
  const atRow = new Int32Array(nodes.length).fill(-1);
  const own: Node[] = [];
  for (let position = 0; position < rows.length; position++) {
    atRow[rows[position]] = position;
    own.push(nodes[rows[position]]);
  }
  return {
    columns,
    rows,
    nodes: own,
    positions,
    position: positionByName(columns, rows, inputs, positions),
    atRow,
    readers: readersOf(columns, atRow, marks),
  };
}

function positionsOf(
  { names, tensorOf, makes }: Columns,
  rows: Int32Array,
  inputs: readonly string[],
  needed: Uint8Array,
): Int32Array {
  const places = new Int32Array(names.length).fill(OFF);
  for (const name of inputs) places[tensorOf.get(name) ?? places.length] = -1;
  for (let position = 0; position < rows.length; position++)
    for (let at = makes.starts[rows[position]]; at < makes.starts[rows[position] + 1]; at++)
      if (needed[makes.items[at]] === 1) places[makes.items[at]] = position;
  return places;
}

function positionByName(
  { names, tensorOf, makes }: Columns,
  rows: Int32Array,
  inputs: readonly string[],
  places: Int32Array,
): ReadonlyMap<string, number> {
  // An input that nothing reads has no number.
  const unread = new Set(inputs.filter((name) => !tensorOf.has(name)));
  let count = unread.size;
  for (const place of places) if (place !== OFF) count++;
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
    true,
  );
}

function readersOf(
  { names, tensorOf, readers }: Columns,
  atRow: Int32Array,
  data: Uint8Array,
): ReadonlyMap<string, readonly number[]> {
  return new ByNames(
    () => names,
    (name) => {
      const tensor = tensorOf.get(name) ?? data.length;
      if (data[tensor] !== 1) return undefined;
      const found: number[] = [];
      for (let at = readers.starts[tensor]; at < readers.starts[tensor + 1]; at++) {
        const position = atRow[readers.items[at]];
        if (position >= 0) found.push(position);
      }
      return found.length === 0 ? undefined : found.sort((a, b) => a - b);
    },
  );
}

/**
 * One scan with the tensors that are still to be read, or are sinks: where there is one, it is a cut.
 */
function cutsOf({ columns, rows, positions }: Flow, input: string, sinks: ReadonlySet<string>): readonly number[] {
  const { names, tensorOf, reads, makes } = columns;
  const lastReader = new Int32Array(names.length).fill(-1);
  for (let at = 0; at < rows.length; at++)
    for (let read = reads.starts[rows[at]]; read < reads.starts[rows[at] + 1]; read++)
      lastReader[reads.items[read]] = at;
  for (const name of sinks) lastReader[tensorOf.get(name) ?? names.length] = rows.length;
  const live = new Live(names.length);
  // An input that nothing reads has no number, and stays.
  live.add(tensorOf.get(input) ?? names.length);
  const cuts: number[] = [];
  let last = -1;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++)
      if (lastReader[reads.items[read]] <= at) live.delete(reads.items[read]);
    for (let made = makes.starts[row]; made < makes.starts[row + 1]; made++)
      if (positions[makes.items[made]] === at) live.add(makes.items[made]);
    const only = live.only();
    if (only === null || only === last) continue;
    last = only;
    if (only < names.length && names[only] !== input) cuts.push(only);
  }
  return cuts;
}

/** A set of tensors that says which one it holds if it holds one. */
class Live {
  private readonly marks: Uint8Array;
  private size = 0;
  /** Of the numbers of its tensors: with one in it, that one. */
  private sum = 0;

  constructor(tensors: number) {
    this.marks = new Uint8Array(tensors + 1);
  }

  add(tensor: number): void {
    if (this.marks[tensor] === 1) return;
    this.marks[tensor] = 1;
    this.size++;
    this.sum += tensor;
  }

  delete(tensor: number): void {
    if (this.marks[tensor] === 0) return;
    this.marks[tensor] = 0;
    this.size--;
    this.sum -= tensor;
  }

  /** Its tensor if it holds one; null if it holds none or several. */
  only(): number | null {
    return this.size === 1 ? this.sum : null;
  }
}
