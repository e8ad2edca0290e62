import { ByNames } from './by-name.js';
import { IntList } from '../wire/number-list.js';
import type { Spelling } from '../wire/spelling.js';
import { infoRowsOf } from './info-rows.js';
import { rowsOf, type NodeRows } from './node-rows.js';
import type { Node, ValueInfo } from './records.js';
import { capturesOf } from './scopes.js';

/** Lists of numbers, one behind the other: list `at` is `items` from `starts[at]` up to `starts[at + 1]`. */
export interface Lists {
  readonly starts: Int32Array;
  readonly items: Int32Array;
}

/**
 * A graph in columns: nodes are rows, tensors are numbers, and who reads and makes what stands in typed arrays. Walks
 * over the whole graph take these; names are for people.
 */
export interface Columns {
  readonly nodes: readonly Node[];
  /** How many tensors there are. */
  readonly count: number;
  /** Of each tensor; whoever needs the names of some takes `nameOf`. */
  readonly names: readonly string[];
  nameOf(tensor: number): string;
  /** Turns to the name of a tensor. */
  spell(tensor: number, spelling: Spelling): void;
  /** The tensors that some ValueInfoProtos are of, -1 for those without a number. */
  tensorsOf(infos: readonly ValueInfo[]): Int32Array;
  /** The number of each name. */
  readonly tensorOf: ReadonlyMap<string, number>;
  /** The inputs and the outputs of each node in their places; those that are omitted are `OMITTED`. */
  readonly inputs: Lists;
  readonly outputs: Lists;
  /** The tensors that each node reads, as inputs and then inside its bodies; omitted ones are left out. */
  readonly reads: Lists;
  /** The tensors that each node makes; omitted ones are left out. */
  readonly makes: Lists;
  /** The node that makes each tensor, -1 if none does; of several the last. */
  readonly maker: Int32Array;
  /** The nodes that read each tensor, each once, in the order of their rows. */
  readonly readers: Lists;
}

/** Where a tensor comes from. */
export interface Producer {
  readonly node: Node;
  /** Which output of the node. */
  readonly output: number;
}

/** The number of an input or output that a node leaves out. */
export const OMITTED = -1;

const known = new WeakMap<readonly Node[], Columns>();

/** Some nodes as columns; those of a list are made once. */
export function columnsOf(nodes: readonly Node[]): Columns {
  let columns = known.get(nodes);
  if (columns === undefined) {
    const rows = rowsOf(nodes);
    known.set(nodes, (columns = rows === null ? columnsByName(nodes) : columnsOfRows(rows)));
  }
  return columns;
}

/**
 * The columns of some nodes of a graph, in any order, with the numbers that its tensors have there; null if others are
 * among them, or such as have bodies.
 */
export function columnsAmong(columns: Columns, nodes: readonly Node[]): Columns | null {
  if (!(columns instanceof GraphColumns)) return null;
  for (const node of nodes) if (columns.nodes[node.index] !== node || capturesOf(node).length > 0) return null;
  return columns.among(nodes);
}

/** The columns of nodes whose names have numbers already. */
function columnsOfRows(rows: NodeRows): Columns {
  const { nodes, names: table, allInputs, allOutputs } = rows;
  const count = nodes.length;
  /** The tensor of each name in the table, behind 1. */
  const tensors = new Int32Array(table.size);
  const ids = new IntList(Math.max(64, count));
  const numberOf = (id: number): number => {
    if (tensors[id] === 0) {
      ids.push(id);
      tensors[id] = ids.length;
    }
    return tensors[id] - 1;
  };
  const inputs = new ListsDraft(count, rows.firstInput(count) - rows.firstInput(0));
  const outputs = new ListsDraft(count, rows.firstOutput(count) - rows.firstOutput(0));
  const withBodies = rows.withBodies();
  const captured = new Map<number, readonly number[]>();
  let body = 0;
  for (let row = 0; row < count; row++) {
    const [endOfInputs, endOfOutputs] = [rows.firstInput(row + 1), rows.firstOutput(row + 1)];
    for (let at = rows.firstInput(row); at < endOfInputs; at++)
      inputs.push(allInputs[at] === 0 ? OMITTED : numberOf(allInputs[at]));
    inputs.end();
    if (withBodies[body] === row) {
      body++;
      captured.set(
        row,
        capturesOf(nodes[row]).map((name) => numberOf(table.find(name))),
      );
    }
    for (let at = rows.firstOutput(row); at < endOfOutputs; at++)
      outputs.push(allOutputs[at] === 0 ? OMITTED : numberOf(allOutputs[at]));
    outputs.end();
  }
  return new GraphColumns(nodes, inputs, outputs, captured, {
    count: ids.length,
    nameOf: (tensor) => table.text(ids.items[tensor]),
    spell: (tensor, spelling) => table.spell(ids.items[tensor], spelling),
    find: (name) => (tensors[table.find(name)] ?? 0) - 1,
    tensorsOf: (infos) => {
      const own = infoRowsOf(infos);
      return own?.names === table ? Int32Array.from(infos, (_info, row) => (tensors[own.nameId(row)] ?? 0) - 1) : null;
    },
  });
}

/** The columns of nodes of any origin. */
function columnsByName(nodes: readonly Node[]): Columns {
  const names: string[] = [];
  const tensorOf = new Map<string, number>();
  const numberOf = (name: string): number => {
    let tensor = tensorOf.get(name);
    if (tensor === undefined) tensorOf.set(name, (tensor = names.push(name) - 1));
    return tensor;
  };
  let [mostInputs, mostOutputs] = [0, 0];
  for (const node of nodes) {
    mostInputs += node.inputs.length;
    mostOutputs += node.outputs.length;
  }
  const inputs = new ListsDraft(nodes.length, mostInputs);
  const outputs = new ListsDraft(nodes.length, mostOutputs);
  const captured = new Map<number, readonly number[]>();
  for (let row = 0; row < nodes.length; row++) {
    const node = nodes[row];
    for (const name of node.inputs) inputs.push(name === '' ? OMITTED : numberOf(name));
    inputs.end();
    const captures = capturesOf(node);
    if (captures.length > 0) captured.set(row, captures.map(numberOf));
    for (const name of node.outputs) outputs.push(name === '' ? OMITTED : numberOf(name));
    outputs.end();
  }
  return new GraphColumns(nodes, inputs, outputs, captured, {
    count: names.length,
    nameOf: (tensor) => names[tensor],
    spell: (tensor, spelling) => spelling.write(names[tensor]),
    find: (name) => tensorOf.get(name) ?? -1,
    tensorsOf: () => null,
  });
}

/** How tensors are numbered. */
interface Numbering {
  readonly count: number;
  nameOf(tensor: number): string;
  spell(tensor: number, spelling: Spelling): void;
  /** -1 if a name has no number. */
  find(name: string): number;
  /** As `Columns.tensorsOf`; null if they have to be found by their names. */
  tensorsOf(infos: readonly ValueInfo[]): Int32Array | null;
}

class GraphColumns implements Columns {
  readonly reads: Lists;
  readonly makes: Lists;
  readonly maker: Int32Array;
  readonly tensorOf: ReadonlyMap<string, number>;
  readonly readers: Lists;
  private ownNames: readonly string[] | null = null;

  constructor(
    readonly nodes: readonly Node[],
    readonly inputs: Lists,
    readonly outputs: Lists,
    captured: ReadonlyMap<number, readonly number[]>,
    private readonly numbering: Numbering,
  ) {
    const { count } = numbering;
    this.reads = withoutOmitted(inputs, captured);
    this.makes = withoutOmitted(outputs);
    this.tensorOf = new ByNames(
      () => this.names,
      (name) => {
        const tensor = numbering.find(name);
        return tensor < 0 ? undefined : tensor;
      },
      count,
      true,
    );
    const maker = new Int32Array(count).fill(-1);
    const { starts, items } = this.makes;
    for (let row = 0; row < nodes.length; row++)
      for (let at = starts[row]; at < starts[row + 1]; at++) maker[items[at]] = row;
    this.maker = maker;
    this.readers = turned(this.reads, count);
  }

  get count(): number {
    return this.numbering.count;
  }

  /** The columns of some of its nodes, which have no bodies. */
  among(nodes: readonly Node[]): Columns {
    const [inputs, outputs] = [this.inputs, this.outputs].map(({ starts, items }) => {
      const draft = new ListsDraft(nodes.length, items.length);
      for (const { index } of nodes) {
        for (let at = starts[index]; at < starts[index + 1]; at++) draft.push(items[at]);
        draft.end();
      }
      return draft;
    });
    return new GraphColumns(nodes, inputs, outputs, new Map(), this.numbering);
  }

  get names(): readonly string[] {
    return (this.ownNames ??= Array.from({ length: this.count }, (_, tensor) => this.numbering.nameOf(tensor)));
  }

  nameOf(tensor: number): string {
    return this.numbering.nameOf(tensor);
  }

  spell(tensor: number, spelling: Spelling): void {
    this.numbering.spell(tensor, spelling);
  }

  tensorsOf(infos: readonly ValueInfo[]): Int32Array {
    const { numbering } = this;
    return numbering.tensorsOf(infos) ?? Int32Array.from(infos, ({ name }) => numbering.find(name));
  }
}

/** Lists without what is omitted, and with more at the end of some. */
function withoutOmitted(lists: Lists, more: ReadonlyMap<number, readonly number[]> = new Map()): Lists {
  const { starts, items } = lists;
  if (more.size === 0 && !items.includes(OMITTED)) return lists;
  let room = items.length;
  for (const list of more.values()) room += list.length;
  const draft = new ListsDraft(starts.length - 1, room);
  for (let row = 0; row + 1 < starts.length; row++) {
    for (let at = starts[row]; at < starts[row + 1]; at++) if (items[at] !== OMITTED) draft.push(items[at]);
    for (const item of more.get(row) ?? []) draft.push(item);
    draft.end();
  }
  return draft;
}

class ListsDraft implements Lists {
  readonly starts: Int32Array;
  readonly items: Int32Array;
  private count = 0;
  private lists = 0;

  constructor(lists: number, most: number) {
    this.starts = new Int32Array(lists + 1);
    this.items = new Int32Array(most);
  }

  push(item: number): void {
    this.items[this.count++] = item;
  }

  /** Ends a list; the next item begins another. */
  end(): void {
    this.starts[++this.lists] = this.count;
  }
}

/** For each of `count` items the lists that hold it, each once, in their order. */
function turned({ starts, items }: Lists, count: number): Lists {
  const lists = starts.length - 1;
  const from = new Int32Array(count + 1);
  const last = new Int32Array(count).fill(-1);
  for (let list = 0; list < lists; list++)
    for (let at = starts[list]; at < starts[list + 1]; at++) {
      const item = items[at];
      if (last[item] !== list) from[item + 1]++;
      last[item] = list;
    }
  for (let item = 0; item < count; item++) from[item + 1] += from[item];
  const next = from.slice();
  const holders = new Int32Array(from[count]);
  for (let list = 0; list < lists; list++)
    for (let at = starts[list]; at < starts[list + 1]; at++) {
      const item = items[at];
      const free = next[item];
      if (free > from[item] && holders[free - 1] === list) continue;
      holders[free] = list;
      next[item] = free + 1;
    }
  return { starts: from, items: holders };
}

/** Who makes each tensor, by name. */
export function producersByName(columns: Columns): ReadonlyMap<string, Producer> {
  const { nodes, tensorOf, makes, maker } = columns;
  return new ByNames(
    function* () {
      for (const tensor of makes.items.subarray(0, makes.starts[nodes.length])) yield columns.nameOf(tensor);
      return undefined;
    },
    (name) => {
      const row = maker[tensorOf.get(name) ?? -1] ?? -1;
      return row < 0 ? undefined : { node: nodes[row], output: nodes[row].outputs.lastIndexOf(name) };
    },
    undefined,
    true,
  );
}

/** The nodes that read each tensor, by name. */
export function consumersByName(columns: Columns): ReadonlyMap<string, readonly Node[]> {
  const { nodes, tensorOf, readers } = columns;
  return new ByNames(
    () => columns.names,
    (name) => {
      const tensor = tensorOf.get(name);
      if (tensor === undefined) return undefined;
      const [from, to] = [readers.starts[tensor], readers.starts[tensor + 1]];
      return from === to ? undefined : Array.from(readers.items.subarray(from, to), (row) => nodes[row]);
    },
  );
}
