import { ByNames } from './by-name.js';
import type { Node } from './records.js';
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
  /** Of each tensor. */
  readonly names: readonly string[];
  /** The number of each name. */
  readonly tensorOf: ReadonlyMap<string, number>;
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

/** Some nodes as columns. */
export function columnsOf(nodes: readonly Node[]): Columns {
  const names: string[] = [];
  const tensorOf = new Map<string, number>();
  const numberOf = (name: string): number => {
    let tensor = tensorOf.get(name);
    if (tensor === undefined) tensorOf.set(name, (tensor = names.push(name) - 1));
    return tensor;
  };
  let most = 0;
  for (const node of nodes) most += node.inputs.length + capturesOf(node).length;
  const reads = new ListsDraft(nodes.length, most);
  most = 0;
  for (const { outputs } of nodes) most += outputs.length;
  const makes = new ListsDraft(nodes.length, most);
  for (const node of nodes) {
    for (const name of node.inputs) if (name !== '') reads.push(numberOf(name));
    for (const name of capturesOf(node)) reads.push(numberOf(name));
    reads.end();
    for (const name of node.outputs) if (name !== '') makes.push(numberOf(name));
    makes.end();
  }
  const maker = new Int32Array(names.length).fill(-1);
  for (let row = 0; row < nodes.length; row++)
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++) maker[makes.items[at]] = row;
  return { nodes, names, tensorOf, reads, makes, maker, readers: turned(reads, names.length) };
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
  const each = (call: (item: number, list: number) => void): void => {
    last.fill(-1);
    for (let list = 0; list < lists; list++)
      for (let at = starts[list]; at < starts[list + 1]; at++) {
        const item = items[at];
        if (last[item] === list) continue;
        last[item] = list;
        call(item, list);
      }
  };
  each((item) => void from[item + 1]++);
  for (let item = 0; item < count; item++) from[item + 1] += from[item];
  const next = from.slice();
  const holders = new Int32Array(from[count]);
  each((item, list) => void (holders[next[item]++] = list));
  return { starts: from, items: holders };
}

/** Who makes each tensor, by name. */
export function producersByName(columns: Columns): ReadonlyMap<string, Producer> {
  const { nodes, names, tensorOf, makes, maker } = columns;
  return new ByNames(
    function* () {
      for (const tensor of makes.items.subarray(0, makes.starts[nodes.length])) yield names[tensor];
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
export function consumersByName({ nodes, names, tensorOf, readers }: Columns): ReadonlyMap<string, readonly Node[]> {
  return new ByNames(
    () => names,
    (name) => {
      const tensor = tensorOf.get(name);
      if (tensor === undefined) return undefined;
      const [from, to] = [readers.starts[tensor], readers.starts[tensor + 1]];
      return from === to ? undefined : Array.from(readers.items.subarray(from, to), (row) => nodes[row]);
    },
  );
}
