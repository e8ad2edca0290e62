import { WireType, type ByteRange, type Field } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import { IntList, NumberList } from '../wire/number-list.js';
import type { Attribute, Node } from './records.js';

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

const NO_ATTRIBUTES: readonly Attribute[] = [];
const NO_RANGES: readonly ByteRange[] = [];

/**
 * The nodes of one graph in columns, with their names as numbers; `nodes` are views of its rows. The reader opens a row
 * for each node and fills it.
 */
export class NodeRows {
  readonly nodes: Node[] = [];
  private readonly starts = new NumberList();
  private readonly ends = new NumberList();
  private readonly columns = new IntList();
  private readonly inputs = new IntList();
  private readonly outputs = new IntList();
  /** Of each row. */
  private readonly attributes: (readonly Attribute[])[] = [];
  private readonly attributed = new IntList();
  private readonly metadata: (readonly ByteRange[])[] = [];
  /** Where the row that is filled begins in `columns`. */
  private open = 0;

  constructor(
    readonly names: NameTable,
    /** The number of the field that holds such a node. */
    private readonly fieldNumber: number,
  ) {}

  /** Opens a row; returns its number. */
  begin({ start, payload, end }: Field): number {
    this.starts.push(start);
    this.ends.push(end);
    this.open = this.columns.more(COLUMNS);
    const { items } = this.columns;
    items[this.open + FIRST_INPUT] = this.inputs.length;
    items[this.open + FIRST_OUTPUT] = this.outputs.length;
    items[this.open + HEADER] = payload - start;
    this.attributes.push(NO_ATTRIBUTES);
    this.metadata.push(NO_RANGES);
    return this.nodes.push(new NodeRow(this, this.nodes.length)) - 1;
  }

  // What is said of the row that is open.

  set name(id: number) {
    this.columns.items[this.open + NAME] = id;
  }

  set opType(id: number) {
    this.columns.items[this.open + OP_TYPE] = id;
  }

  set domain(id: number) {
    this.columns.items[this.open + DOMAIN] = this.names.text(id) === 'ai.onnx' ? 0 : id;
  }

  set overload(id: number) {
    this.columns.items[this.open + OVERLOAD] = id;
  }

  addInput(id: number): void {
    this.inputs.push(id);
  }

  addOutput(id: number): void {
    this.outputs.push(id);
  }

  /** The list of the row that is open, to be replaced by a longer one. */
  get ownAttributes(): readonly Attribute[] {
    return this.attributes[this.attributes.length - 1];
  }

  set ownAttributes(list: readonly Attribute[]) {
    const row = this.attributes.length - 1;
    if (this.attributes[row].length === 0) this.attributed.push(row);
    this.attributes[row] = list;
  }

  get ownMetadata(): readonly ByteRange[] {
    return this.metadata[this.metadata.length - 1];
  }

  set ownMetadata(list: readonly ByteRange[]) {
    this.metadata[this.metadata.length - 1] = list;
  }

  // What the rows say.

  /** Where its field starts. */
  startOf(row: number): number {
    return this.starts.items[row];
  }

  fieldOf(row: number): Field {
    const start = this.starts.items[row];
    return {
      number: this.fieldNumber,
      wireType: WireType.bytes,
      start,
      payload: start + this.columns.items[row * COLUMNS + HEADER],
      end: this.ends.items[row],
    };
  }

  nameOf(row: number): string {
    return this.names.text(this.columns.items[row * COLUMNS + NAME]);
  }

  /** The number of its operator's name. */
  opOf(row: number): number {
    return this.columns.items[row * COLUMNS + OP_TYPE];
  }

  /** The number of its domain's name. */
  domainIdOf(row: number): number {
    return this.columns.items[row * COLUMNS + DOMAIN];
  }

  overloadOf(row: number): string {
    return this.names.text(this.columns.items[row * COLUMNS + OVERLOAD]);
  }

  attributesOf(row: number): readonly Attribute[] {
    return this.attributes[row];
  }

  metadataOf(row: number): readonly ByteRange[] {
    return this.metadata[row];
  }

  /** Where its inputs begin among those of all rows, `allInputs`. */
  firstInput(row: number): number {
    return row < this.nodes.length ? this.columns.items[row * COLUMNS + FIRST_INPUT] : this.inputs.length;
  }

  /** Where its outputs begin among those of all rows, `allOutputs`. */
  firstOutput(row: number): number {
    return row < this.nodes.length ? this.columns.items[row * COLUMNS + FIRST_OUTPUT] : this.outputs.length;
  }

  get allInputs(): Int32Array {
    return this.inputs.items;
  }

  get allOutputs(): Int32Array {
    return this.outputs.items;
  }

  /** The rows that have attributes. */
  withAttributes(): Int32Array {
    return this.attributed.items.subarray(0, this.attributed.length);
  }

  /** The rows that have a body. */
  withBodies(): readonly number[] {
    const found: number[] = [];
    for (const row of this.withAttributes())
      for (const { graphs } of this.attributes[row])
        if (graphs.length > 0) {
          found.push(row);
          break;
        }
    return found;
  }

  /** The domains of its operators, each once. */
  domains(): readonly string[] {
    const ids = new Set<number>();
    let last = -1;
    for (let row = 0; row < this.nodes.length; row++) {
      const id = this.columns.items[row * COLUMNS + DOMAIN];
      if (id !== last) ids.add((last = id));
    }
    return Array.from(ids, (id) => this.names.text(id));
  }

  inputsOf(row: number): readonly string[] {
    return this.textsOf(this.inputs.items, this.firstInput(row), this.firstInput(row + 1));
  }

  outputsOf(row: number): readonly string[] {
    return this.textsOf(this.outputs.items, this.firstOutput(row), this.firstOutput(row + 1));
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

/** A node as a view of its row: what is not asked for is not made. */
class NodeRow implements Node {
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

  get attributes(): readonly Attribute[] {
    return this.rows.attributesOf(this.index);
  }

  get metadata(): readonly ByteRange[] {
    return this.rows.metadataOf(this.index);
  }
}

/** A copy of a node with something changed: of a view, only its own fields would be copied. */
export function changedNode(node: Node, changes: Partial<Node>): Node {
  const { index, field, name, opType, domain, overload, inputs, outputs, attributes, metadata } = node;
  return { index, field, name, opType, domain, overload, inputs, outputs, attributes, metadata, ...changes };
}
