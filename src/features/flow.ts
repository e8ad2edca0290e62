import { ByNames } from '../onnx/by-name.js';
import type { Lists } from '../onnx/columns.js';
import { capturesOf, executionRows, isInitializer, type Columns, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { codesThat, operatorsOf, type Operator } from './operators.js';

/** Nodes of a graph behind those that they read from. */
export interface Stretch {
  readonly columns: Columns;
  readonly rows: Int32Array;
}

/** The node at a position of a stretch. */
export function nodeAt({ columns, rows }: Stretch, at: number): Node {
  return columns.nodes[rows[at]];
}

/** The node at a position of a stretch, or undefined if there is none. */
export function nodeIf({ columns, rows }: Stretch, at: number | undefined): Node | undefined {
  return at === undefined ? undefined : columns.nodes[rows[at] ?? -1];
}

/** Where the inputs of the node of a row end among what it reads: behind them stands what its bodies capture. */
export function inputsEnd({ nodes, reads }: Columns, row: number): number {
  return reads.starts[row + 1] - capturesOf(nodes[row]).length;
}

/** The nodes at the positions from `from` up to `to`, in their order. */
export function nodesBetween({ columns, rows }: Stretch, from: number, to = rows.length): readonly Node[] {
  const nodes: Node[] = [];
  for (let at = from; at < to; at++) nodes.push(columns.nodes[rows[at]]);
  return nodes;
}

/** The main data path: what depends on the image and reaches the sink, in execution order. */
export interface Flow extends Stretch {
  /** The graph input the features are measured against; null where no input qualifies. */
  readonly input: string | null;
  /** Position in `rows` of what makes each tensor, by its number; -1 for the input, `OFF` for tensors off the path. */
  readonly positions: Int32Array;
  /** The same by name. Only tensors of the path. */
  readonly position: ReadonlyMap<string, number>;
  /** Position in `rows` of each row of the graph; -1 for those off the path. */
  readonly atRow: Int32Array;
  /** Positions of the nodes of the path that read a tensor. */
  readonly readers: ReadonlyMap<string, readonly number[]>;
  /** Numbers of the tensors that every path from the input to the sink passes through, in execution order. */
  readonly cuts: readonly number[];
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

function saysShape({ domain, opType }: Operator): boolean {
  return domain === '' && SHAPE_OPS.has(opType);
}

/** Tensors that carry data of the inputs. */
export function reachableFrom({ columns, rows }: Stretch, inputs: Iterable<string>): TensorSet {
  const { tensorOf, maker, reads, makes } = columns;
  const { codes } = operatorsOf(columns);
  const saysOnlyShape = codesThat(columns, saysShape);
  const marks = new Uint8Array(maker.length);
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
  for (let position = 0; position < rows.length; position++) {
    const row = rows[position];
    if (!holdsAny(reads.items, reads.starts[row], reads.starts[row + 1], marks)) continue;
    if (saysOnlyShape[codes[row]] === 1) continue;
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
  return { ...flow, input, cuts: cutsOf(flow, input, sinks) };
}

/** No path through a graph. */
export function emptyFlow({ columns }: Stretch): Flow {
  const positions = new Int32Array(columns.maker.length).fill(OFF);
  const atRow = new Int32Array(columns.nodes.length).fill(-1);
  const [position, readers] = [new Map<string, number>(), new Map<string, readonly number[]>()];
  return { columns, rows: new Int32Array(0), input: null, positions, position, atRow, readers, cuts: [] };
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
  const { codes } = operatorsOf(columns);
  const saysOnlyShape = codesThat(columns, saysShape);
  const needed = new Uint8Array(marks.length);
  for (const name of sinks) needed[tensorOf.get(name) ?? marks.length] = 1;
  const kept = new Int32Array(all.length);
  let first = all.length;
  for (let at = all.length - 1; at >= 0; at--) {
    const row = all[at];
    if (!leadsOn(makes, row, needed, marks) || saysOnlyShape[codes[row]] === 1) continue;
    let isOnPath = false;
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++) {
      if (marks[reads.items[read]] === 0) continue;
      needed[reads.items[read]] = 1;
      isOnPath = true;
    }
    if (!isOnPath) continue;
    first -= 1;
    kept[first] = row;
  }
  const rows = first === 0 ? kept : kept.slice(first);
  const positions = positionsOf(columns, rows, inputs, needed);
  const atRow = new Int32Array(nodes.length).fill(-1);
  for (let position = 0; position < rows.length; position++) atRow[rows[position]] = position;
  return {
    columns,
    rows,
    positions,
    position: positionByName(columns, rows, inputs, positions),
    atRow,
    readers: readersOf(columns, atRow, marks),
  };
}

/** Whether a node makes a tensor of the data that is needed. */
function leadsOn({ starts, items }: Lists, row: number, needed: Uint8Array, data: Uint8Array): boolean {
  for (let at = starts[row]; at < starts[row + 1]; at++)
    if (needed[items[at]] === 1 && data[items[at]] === 1) return true;
  return false;
}

function positionsOf(
  { tensorOf, makes, maker }: Columns,
  rows: Int32Array,
  inputs: readonly string[],
  needed: Uint8Array,
): Int32Array {
  const places = new Int32Array(maker.length).fill(OFF);
  for (const name of inputs) places[tensorOf.get(name) ?? places.length] = -1;
  for (let position = 0; position < rows.length; position++)
    for (let at = makes.starts[rows[position]]; at < makes.starts[rows[position] + 1]; at++)
      if (needed[makes.items[at]] === 1) places[makes.items[at]] = position;
  return places;
}

function positionByName(
  columns: Columns,
  rows: Int32Array,
  inputs: readonly string[],
  places: Int32Array,
): ReadonlyMap<string, number> {
  const { tensorOf, makes } = columns;
  // An input that nothing reads has no number.
  const unread = new Set(inputs.filter((name) => !tensorOf.has(name)));
  let count = unread.size;
  for (const place of places) if (place !== OFF) count++;
  return new ByNames(
    function* () {
      yield* inputs;
      for (const [position, row] of rows.entries())
        for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++)
          if (places[makes.items[at]] === position) yield columns.nameOf(makes.items[at]);
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

function readersOf(columns: Columns, atRow: Int32Array, data: Uint8Array): ReadonlyMap<string, readonly number[]> {
  const { tensorOf, readers } = columns;
  return new ByNames(
    () => columns.names,
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
  const { tensorOf, reads, makes, maker } = columns;
  const count = maker.length;
  const lastReader = new Int32Array(count).fill(-1);
  for (let at = 0; at < rows.length; at++)
    for (let read = reads.starts[rows[at]]; read < reads.starts[rows[at] + 1]; read++)
      lastReader[reads.items[read]] = at;
  for (const name of sinks) lastReader[tensorOf.get(name) ?? count] = rows.length;
  // The tensors that are still to be read: how many, and the sum of their numbers, which with one in it is that one.
  const isLive = new Uint8Array(count + 1);
  // An input that nothing reads has no number, and stays.
  const from = tensorOf.get(input) ?? count;
  isLive[from] = 1;
  let [size, sum] = [1, from];
  const cuts: number[] = [];
  let last = -1;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++) {
      const tensor = reads.items[read];
      if (isLive[tensor] === 0 || lastReader[tensor] > at) continue;
      isLive[tensor] = 0;
      size--;
      sum -= tensor;
    }
    for (let made = makes.starts[row]; made < makes.starts[row + 1]; made++) {
      const tensor = makes.items[made];
      if (isLive[tensor] === 1 || positions[tensor] !== at) continue;
      isLive[tensor] = 1;
      size++;
      sum += tensor;
    }
    if (size !== 1 || sum === last) continue;
    last = sum;
    if (sum < count && sum !== from) cuts.push(sum);
  }
  return cuts;
}
