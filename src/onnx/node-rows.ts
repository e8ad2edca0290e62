import { bytesField, type ByteRange, type Field } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import { IntList, NumberList } from '../wire/number-list.js';
import type { Attribute, Node } from './records.js';
import { NONE, type Draft } from './rules/drafts.js';

/** The columns of a row of numbers. */
const NAME = 0;
const OP_TYPE = 1;
const DOMAIN = 2;
const OVERLOAD = 3;
const FIRST_INPUT = 4;
const FIRST_OUTPUT = 5;
/** Bytes of the field's tag and length. */
const HEADER = 6;
const COLUMNS = 7;

/** Rows of nodes, of one graph or of functions one behind the other. */
export class NodeLists {
  /** Of each row, where its field starts and where it ends. */
  readonly places = new NumberList();
  readonly columns = new IntList();
  readonly inputs = new IntList();
  readonly outputs = new IntList();
}

/** Of functions and bodies without a node; a file may have many. */
const NO_LISTS = new NodeLists();

/**
 * The nodes of one graph in columns, with their names as numbers; `nodes` are views of its rows. The reader opens a row
 * for each node and fills it.
 */
export class NodeRows {
  readonly nodes: NodeRow[] = [];
  private lists = NO_LISTS;
  /** The first of its rows in the lists. */
  private base = 0;
  /** Where the row that is filled begins in the columns. */
  private open = 0;

  constructor(
    readonly names: NameTable,
    /** The number of the field that holds such a node. */
    private readonly fieldNumber: number,
    /** The lists that it shares with others, which are full before it begins and left alone once it ends. */
    private readonly shared: NodeLists | null = null,
  ) {}

  /** Opens a row; returns its number. */
  begin({ start, payload, end }: Field): number {
    if (this.lists === NO_LISTS) {
      this.lists = this.shared ?? new NodeLists();
      this.base = this.lists.columns.length / COLUMNS;
    }
    this.lists.places.push(start);
    this.lists.places.push(end);
    this.open = this.lists.columns.more(COLUMNS);
    const { items } = this.lists.columns;
    items[this.open + FIRST_INPUT] = this.lists.inputs.length;
    items[this.open + FIRST_OUTPUT] = this.lists.outputs.length;
    items[this.open + HEADER] = payload - start;
    return this.nodes.push(new NodeRow(this, this.nodes.length)) - 1;
  }

  // What is said of the row that is open.

  set name(id: number) {
    this.lists.columns.items[this.open + NAME] = id;
  }

  set opType(id: number) {
    this.lists.columns.items[this.open + OP_TYPE] = id;
  }

  set domain(id: number) {
    this.lists.columns.items[this.open + DOMAIN] = this.names.text(id) === 'ai.onnx' ? 0 : id;
  }

  set overload(id: number) {
    this.lists.columns.items[this.open + OVERLOAD] = id;
  }

  addInput(id: number): void {
    this.lists.inputs.push(id);
  }

  addOutput(id: number): void {
    this.lists.outputs.push(id);
  }

  /** The node of the row that is open, whose lists are replaced by longer ones. */
  get last(): Draft<Pick<Node, 'attributes' | 'metadata'>> {
    return this.nodes[this.nodes.length - 1];
  }

  // What the rows say.

  /** Where its field starts. */
  startOf(row: number): number {
    return this.lists.places.items[2 * (this.base + row)];
  }

  fieldOf(row: number): Field {
    const { columns, places } = this.lists;
    const at = this.base + row;
    return bytesField(
      this.fieldNumber,
      this.startOf(row),
      columns.items[at * COLUMNS + HEADER],
      places.items[2 * at + 1],
    );
  }

  nameOf(row: number): string {
    return this.names.text(this.lists.columns.items[(this.base + row) * COLUMNS + NAME]);
  }

  /** Whether its name begins so, in ASCII. */
  isNamed(row: number, beginning: string): boolean {
    return this.names.startsWith(this.lists.columns.items[(this.base + row) * COLUMNS + NAME], beginning);
  }

  /** The number of its operator's name. */
  opOf(row: number): number {
    return this.lists.columns.items[(this.base + row) * COLUMNS + OP_TYPE];
  }

  /** The number of its domain's name. */
  domainIdOf(row: number): number {
    return this.lists.columns.items[(this.base + row) * COLUMNS + DOMAIN];
  }

  overloadOf(row: number): string {
    return this.names.text(this.lists.columns.items[(this.base + row) * COLUMNS + OVERLOAD]);
  }

  /** Where its inputs begin in `allInputs`; those of the row behind the last begin where its own end. */
  firstInput(row: number): number {
    return this.first(row, FIRST_INPUT, this.lists.inputs);
  }

  /** Where its outputs begin in `allOutputs`. */
  firstOutput(row: number): number {
    return this.first(row, FIRST_OUTPUT, this.lists.outputs);
  }

  private first(row: number, column: number, list: IntList): number {
    const at = (this.base + row) * COLUMNS;
    const { columns } = this.lists;
    return at < columns.length ? columns.items[at + column] : list.length;
  }

  get allInputs(): Int32Array {
    return this.lists.inputs.items;
  }

  get allOutputs(): Int32Array {
    return this.lists.outputs.items;
  }

  /** The nodes that have attributes. */
  withAttributes(): readonly Node[] {
    return this.nodes.filter(({ attributes }) => attributes.length > 0);
  }

  /** The rows that have a body. */
  withBodies(): readonly number[] {
    const found: number[] = [];
    for (const { index, attributes } of this.nodes)
      if (attributes.some(({ graphs }) => graphs.length > 0)) found.push(index);
    return found;
  }

  /** The domains of its operators, each once. */
  domains(): readonly string[] {
    const ids = new Set<number>();
    let last = -1;
    for (let row = 0; row < this.nodes.length; row++) {
      const id = this.lists.columns.items[(this.base + row) * COLUMNS + DOMAIN];
      if (id !== last) ids.add((last = id));
    }
    return Array.from(ids, (id) => this.names.text(id));
  }

  inputsOf(row: number): readonly string[] {
    return this.textsOf(this.lists.inputs.items, this.firstInput(row), this.firstInput(row + 1));
  }

  outputsOf(row: number): readonly string[] {
    return this.textsOf(this.lists.outputs.items, this.firstOutput(row), this.firstOutput(row + 1));
  }

  private textsOf(ids: Int32Array, from: number, to: number): readonly string[] {
    const { names } = this;
    switch (to - from) {
      case 0:
        return [];
      case 1:
        return [names.text(ids[from])];
      case 2:
        return [names.text(ids[from]), names.text(ids[from + 1])];
      default: {
        const texts: string[] = [];
        for (let at = from; at < to; at++) texts.push(names.text(ids[at]));
        return texts;
      }
    }
  }
}

/** The rows that some nodes are the views of, all of them and in their order; null if they are not. */
export function rowsOf(nodes: readonly Node[]): NodeRows | null {
  const [first] = nodes;
  return first instanceof NodeRow && first.rows.nodes === nodes ? first.rows : null;
}

/** The nodes of a list whose names begin so, in ASCII. */
export function nodesNamed(nodes: readonly Node[], beginning: string): readonly Node[] {
  const rows = rowsOf(nodes);
  return nodes.filter(
    rows === null ? ({ name }) => name.startsWith(beginning) : (_node, row) => rows.isNamed(row, beginning),
  );
}

/** A node as a view of its row: what is not asked for is not made. */
class NodeRow implements Node {
  attributes: Attribute[] = NONE;
  metadata: ByteRange[] = NONE;
  private ownInputs: readonly string[] | null = null;
  private ownOutputs: readonly string[] | null = null;

  constructor(
    readonly rows: NodeRows,
    readonly index: number,
  ) {}

  get field(): Field {
    return this.rows.fieldOf(this.index);
  }

  get name(): string {
    return this.rows.nameOf(this.index);
  }

  get opType(): string {
    return this.rows.names.text(this.rows.opOf(this.index));
  }

  get domain(): string {
    return this.rows.names.text(this.rows.domainIdOf(this.index));
  }

  get overload(): string {
    return this.rows.overloadOf(this.index);
  }

  get inputs(): readonly string[] {
    return (this.ownInputs ??= this.rows.inputsOf(this.index));
  }

  get outputs(): readonly string[] {
    return (this.ownOutputs ??= this.rows.outputsOf(this.index));
  }
}

/** A copy of a node with something changed: of a view, only its own fields would be copied. */
export function changedNode(node: Node, changes: Partial<Node>): Node {
  const { index, field, name, opType, domain, overload, inputs, outputs, attributes, metadata } = node;
  return { index, field, name, opType, domain, overload, inputs, outputs, attributes, metadata, ...changes };
}
