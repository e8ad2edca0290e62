import { ByNames } from '../onnx/by-name.js';
import { OMITTED } from '../onnx/columns.js';
import type { GraphView } from '../onnx/graph.js';
import { OFF, type Flow } from './flow.js';
import { nodePaths, type NamingStyle, type NodePaths } from './names.js';
import { NO_PATH, ROOT, type PathTree } from './names/path-tree.js';

/** A module of the network that was exported, as far as the names of its nodes show it. */
export class Module {
  private ownChildren: readonly Module[] | null = null;
  private ownNodes: readonly number[] | null = null;

  constructor(
    readonly tree: ModuleTree,
    /** Its number in the tree. */
    readonly number: number,
    readonly parent: Module | null,
  ) {}

  /** Qualified name; `''` is the root. */
  get path(): string {
    return this.tree.paths.textOf(this.pathNumber);
  }

  get pathNumber(): number {
    return this.tree.columns.paths[this.number];
  }

  /** The last atom of the path. */
  get name(): string {
    return this.tree.paths.nameOf(this.pathNumber);
  }

  /** In order of first execution. */
  get children(): readonly Module[] {
    return (this.ownChildren ??= this.tree.childrenOf(this.number));
  }

  get isLeaf(): boolean {
    return this.tree.isLeaf(this.number);
  }

  /** How many nodes it has, its children's included. */
  get size(): number {
    return this.tree.columns.sizes[this.number];
  }

  /** Position in the flow of its first node. */
  get first(): number {
    return this.tree.columns.firsts[this.number];
  }

  /** Position in the flow of its last node. */
  get last(): number {
    return this.tree.columns.lasts[this.number];
  }

  /** Positions in the flow of its nodes, its children's included, in execution order. */
  get nodes(): readonly number[] {
    return (this.ownNodes ??= this.tree.nodesOf(this.number));
  }
}

/** A module by its number. */
export type ModuleNumber = Pick<Module, 'tree' | 'number'>;

/** Modules by number, in the order of their first execution, each behind the one it lies in; the root is 0. */
interface ModuleColumns {
  /** The number of its path. */
  readonly paths: Int32Array;
  readonly parents: Int32Array;
  /** -1 where there is none. */
  readonly firstChild: Int32Array;
  readonly next: Int32Array;
  readonly sizes: Int32Array;
  readonly firsts: Int32Array;
  readonly lasts: Int32Array;
}

/** The modules of a network, as the names of its nodes nest them. */
export class ModuleTree {
  readonly paths: PathTree;
  readonly columns: ModuleColumns;
  readonly modules: ReadonlyMap<string, Module>;
  readonly classes: ReadonlyMap<string, string>;
  /** Which call of a module, given the number of its path, a node belongs to; null where names do not say. */
  readonly callOf: NodePaths['callOf'];
  readonly style: NamingStyle;
  readonly separator: '.' | '/';
  /** Whether the names show the network's modules inside each other, and not layers alone. */
  readonly isNested: boolean;
  /** The path that each node's own names say; `NO_PATH` where they say nothing. */
  private readonly named: Int32Array;
  /** The number of the module that each node lies in. */
  private readonly owners: Int32Array;
  /** The number of the module of a path; -1 for those that are none. */
  private readonly numbers: Int32Array;
  private readonly made: Module[] = [];
  private grouped: { readonly order: Int32Array; readonly starts: Int32Array } | null = null;

  constructor(flow: Flow, paths: NodePaths) {
    this.paths = paths.paths;
    this.classes = paths.classes;
    this.callOf = paths.callOf;
    this.style = paths.style;
    this.separator = paths.paths.separator;
    this.isNested = paths.style === 'dynamo' || paths.style === 'torchscript';
    this.named = paths.places;
    const found = moduleColumns(paths.paths, inherited(flow, paths));
    this.columns = found.columns;
    this.owners = found.owners;
    this.numbers = found.numbers;
    this.modules = new ByNames(
      () => Array.from(this.columns.paths, (path) => this.paths.textOf(path)),
      (path) => {
        const number = this.numbers[this.paths.findText(path)] ?? -1;
        return number < 0 ? undefined : this.module(number);
      },
      this.columns.paths.length,
      true,
    );
  }

  get root(): Module {
    return this.module(0);
  }

  /** The module that the node at a position lies in. */
  ownerAt(at: number): Module {
    return this.module(this.owners[at]);
  }

  /** The path that the names of the node at a position say themselves; `''` where they say nothing. */
  namedAt(at: number): string {
    const path = this.named[at] ?? NO_PATH;
    return path === NO_PATH ? '' : this.paths.textOf(path);
  }

  /** The modules of that many nodes or more, in order. */
  *atLeast(nodes: number): Generator<Module> {
    const { sizes } = this.columns;
    for (let number = 0; number < sizes.length; number++) if (sizes[number] >= nodes) yield this.module(number);
  }

  /** The modules with several modules inside, in order. */
  *withSeveral(): Generator<Module> {
    const { firstChild, next } = this.columns;
    for (let number = 0; number < firstChild.length; number++)
      if (firstChild[number] >= 0 && next[firstChild[number]] >= 0) yield this.module(number);
  }

  /** The module of a number. */
  module(number: number): Module {
    const parent = this.columns.parents[number];
    return (this.made[number] ??= new Module(this, number, parent < 0 ? null : this.module(parent)));
  }

  /** Whether no module lies inside one. */
  isLeaf(number: number): boolean {
    return this.columns.firstChild[number] < 0;
  }

  /** Whether a module lies in another one, at any depth. */
  isInside(number: number, container: number): boolean {
    const { parents } = this.columns;
    for (let up = parents[number]; up >= 0; up = parents[up]) if (up === container) return true;
    return false;
  }

  /** The modules inside one, in order. */
  childrenOf(number: number): readonly Module[] {
    const { firstChild, next } = this.columns;
    const children: Module[] = [];
    for (let child = firstChild[number]; child >= 0; child = next[child]) children.push(this.module(child));
    return children;
  }

  /** Positions of the nodes of a module, in order. */
  nodesOf(number: number): readonly number[] {
    const { firsts, lasts, sizes } = this.columns;
    const [first, size] = [firsts[number], sizes[number]];
    if (lasts[number] - first === size - 1) {
      const nodes: number[] = [];
      for (let at = first; at < first + size; at++) nodes.push(at);
      return nodes;
    }
    const { order, starts } = (this.grouped ??= grouped(this.columns, this.owners));
    return [...order.slice(starts[number], starts[number] + size).sort()];
  }
}

/** Positions of nodes with those of a module side by side, and where those of each module begin. */
function grouped(
  { parents, firstChild, next, sizes }: ModuleColumns,
  owners: Int32Array,
): { readonly order: Int32Array; readonly starts: Int32Array } {
  const own = sizes.slice();
  for (let number = 1; number < own.length; number++) own[parents[number]] -= sizes[number];
  const starts = new Int32Array(own.length);
  // Behind a module's own nodes stand those of its children.
  for (let number = 0; number < own.length; number++) {
    let at = starts[number] + own[number];
    for (let child = firstChild[number]; child >= 0; child = next[child]) {
      starts[child] = at;
      at += sizes[child];
    }
  }
  const free = starts.slice();
  const order = new Int32Array(owners.length);
  for (let at = 0; at < owners.length; at++) order[free[owners[at]]++] = at;
  return { order, starts };
}

const trees = new WeakMap<Flow['rows'], { readonly view: GraphView; readonly tree: ModuleTree }>();

/** The modules of a flow through a graph, as the names of its nodes tell them; found once. */
export function modulesOf(view: GraphView, flow: Flow): ModuleTree {
  const known = trees.get(flow.rows);
  if (known?.view === view) return known.tree;
  const tree = new ModuleTree(flow, nodePaths(view, flow));
  trees.set(flow.rows, { view, tree });
  return tree;
}

/** The modules that nodes lie in, given the path of each. */
function moduleColumns(
  paths: PathTree,
  pathAt: Int32Array,
): { readonly columns: ModuleColumns; readonly owners: Int32Array; readonly numbers: Int32Array } {
  const numbers = new Int32Array(paths.size).fill(-1);
  numbers[ROOT] = 0;
  const pathOf = new Int32Array(paths.size);
  const parents = new Int32Array(paths.size).fill(-1);
  const firstChild = new Int32Array(paths.size).fill(-1);
  const next = new Int32Array(paths.size).fill(-1);
  const lastChild = new Int32Array(paths.size).fill(-1);
  let count = 1;
  const numberOf = (path: number): number => {
    if (numbers[path] >= 0) return numbers[path];
    const parent = numberOf(paths.parentOf(path));
    const number = count++;
    pathOf[number] = path;
    parents[number] = parent;
    if (lastChild[parent] < 0) firstChild[parent] = number;
    else next[lastChild[parent]] = number;
    lastChild[parent] = number;
    return (numbers[path] = number);
  };
  const owners = new Int32Array(pathAt.length);
  let [before, owner] = [ROOT, 0];
  for (let at = 0; at < owners.length; at++) {
    const path = pathAt[at];
    if (path !== before) owner = numberOf(paths.shallow(path));
    before = path;
    owners[at] = owner;
  }
  const sizes = new Int32Array(count);
  const firsts = new Int32Array(count).fill(owners.length);
  const lasts = new Int32Array(count).fill(-1);
  for (let at = 0; at < owners.length; at++) {
    owner = owners[at];
    sizes[owner]++;
    if (firsts[owner] > at) firsts[owner] = at;
    lasts[owner] = at;
  }
  for (let number = count - 1; number > 0; number--) {
    const parent = parents[number];
    sizes[parent] += sizes[number];
    if (firsts[parent] > firsts[number]) firsts[parent] = firsts[number];
    if (lasts[parent] < lasts[number]) lasts[parent] = lasts[number];
  }
  const own = (column: Int32Array): Int32Array => column.slice(0, count);
  const columns = { paths: own(pathOf), parents: own(parents), firstChild: own(firstChild), next: own(next) };
  return { columns: { ...columns, sizes, firsts, lasts }, owners, numbers };
}

/**
 * Fills the gaps with what the paths of a node's producers and readers have in common; what was put in front of the
 * network or behind it lies in no module.
 */
function inherited(flow: Flow, { paths, places: given, closing }: NodePaths): Int32Array {
  if (!given.includes(NO_PATH)) return given;
  const { columns, rows, positions, atRow } = flow;
  const { inputs, makes, readers } = columns;
  const joint = (a: number, b: number): number => (a === NO_PATH ? b : b === NO_PATH ? a : paths.common(a, b));
  const before = given.slice();
  for (let at = 0; at < rows.length; at++) {
    if (given[at] !== NO_PATH) continue;
    for (let read = inputs.starts[rows[at]]; read < inputs.starts[rows[at] + 1]; read++) {
      const from = inputs.items[read] === OMITTED ? OFF : positions[inputs.items[read]];
      if (from >= 0) before[at] = joint(before[at], before[from]);
    }
  }
  const after = given.slice();
  for (let at = rows.length - 1; at >= 0; at--) {
    if (given[at] !== NO_PATH) continue;
    for (let made = makes.starts[rows[at]]; made < makes.starts[rows[at] + 1]; made++) {
      const tensor = makes.items[made];
      for (let reader = readers.starts[tensor]; reader < readers.starts[tensor + 1]; reader++) {
        const to = atRow[readers.items[reader]];
        if (to >= 0) after[at] = joint(after[at], after[to]);
      }
    }
  }
  return given.map((path, at) => {
    if (path !== NO_PATH) return path;
    if (after[at] === NO_PATH) return ROOT;
    const closed = closing(at);
    return closed !== NO_PATH ? closed : before[at] === NO_PATH ? ROOT : paths.common(before[at], after[at]);
  });
}

/** The tensor a module ends with: the first output of its last node that the flow goes on with; -1 if there is none. */
export function lastTensor({ columns: { makes }, rows, positions }: Flow, { tree, number }: ModuleNumber): number {
  const last = tree.columns.lasts[number];
  const row = rows[last] ?? -1;
  for (let at = row < 0 ? 0 : makes.starts[row]; row >= 0 && at < makes.starts[row + 1]; at++)
    if (positions[makes.items[at]] >= 0) return makes.items[at];
  return -1;
}
