import { WireType, type ByteRange, type Field } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import { IntList, NumberList } from '../wire/number-list.js';
import type { ValueInfo, ValueType } from './records.js';

/** The columns of a row of numbers. */
const NAME = 0;
/** Bytes of the field's tag and length. */
const HEADER = 1;
const COLUMNS = 2;

/**
 * ValueInfoProtos of one list in columns, with their names as numbers; `infos` are views of its rows. The reader opens
 * a row for each and fills it.
 */
export class InfoRows {
  readonly infos: ValueInfo[] = [];
  private readonly starts = new NumberList();
  private readonly ends = new NumberList();
  private readonly columns = new IntList();
  /** The first range of what is not the name; the others, of the few that have several, by row. */
  private readonly restStarts = new NumberList();
  private readonly restEnds = new NumberList();
  private readonly moreRest = new Map<number, ByteRange[]>();
  private readonly types: (ValueType | null)[] = [];
  private readonly enclosing: (readonly Field[])[] = [];

  constructor(
    readonly names: NameTable,
    /** The number of the field that holds them. */
    private readonly fieldNumber: number,
  ) {}

  /** Opens a row; returns its number. */
  begin({ start, payload, end }: Field, enclosing: readonly Field[]): number {
    this.starts.push(start);
    this.ends.push(end);
    this.columns.push(0);
    this.columns.push(payload - start);
    this.restStarts.push(0);
    this.restEnds.push(0);
    this.types.push(null);
    this.enclosing.push(enclosing);
    return this.infos.push(new InfoRow(this, this.infos.length)) - 1;
  }

  // What is said of the row that is open.

  set name(id: number) {
    this.columns.items[this.columns.length - COLUMNS + NAME] = id;
  }

  get type(): ValueType | null {
    return this.types[this.types.length - 1];
  }

  set type(type: ValueType | null) {
    this.types[this.types.length - 1] = type;
  }

  /** One more field that is not the name; joined to the last where they touch. */
  addRest(start: number, end: number): void {
    const row = this.infos.length - 1;
    const { restStarts, restEnds } = this;
    const more = this.moreRest.get(row);
    const last = more?.[more.length - 1];
    if (last !== undefined) {
      if (last.end === start) more?.splice(-1, 1, { start: last.start, end });
      else more?.push({ start, end });
    } else if (restEnds.items[row] === 0) {
      restStarts.items[row] = start;
      restEnds.items[row] = end;
    } else if (restEnds.items[row] === start) restEnds.items[row] = end;
    else this.moreRest.set(row, [{ start, end }]);
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

  /** The number of its name. */
  nameId(row: number): number {
    return this.columns.items[row * COLUMNS + NAME];
  }

  typeOf(row: number): ValueType | null {
    return this.types[row];
  }

  restOf(row: number): readonly ByteRange[] {
    const end = this.restEnds.items[row];
    return end === 0 ? [] : [{ start: this.restStarts.items[row], end }, ...(this.moreRest.get(row) ?? [])];
  }

  enclosingOf(row: number): readonly Field[] {
    return this.enclosing[row];
  }
}

/** The rows that some ValueInfoProtos are the views of, all of them and in their order; null if they are not. */
export function infoRowsOf(infos: readonly ValueInfo[]): InfoRows | null {
  const [first] = infos;
  return first instanceof InfoRow && first.rows.infos === infos ? first.rows : null;
}

/** A copy with another type: of a view, only its own fields would be copied. */
export function typedInfo({ field, name, rest, enclosing }: ValueInfo, type: ValueType): ValueInfo {
  return { field, name, type, rest, enclosing };
}

/** A ValueInfoProto as a view of its row. */
class InfoRow implements ValueInfo {
  constructor(
    readonly rows: InfoRows,
    private readonly row: number,
  ) {}

  get field(): Field {
    return this.rows.fieldOf(this.row);
  }

  get name(): string {
    return this.rows.names.text(this.rows.nameId(this.row));
  }

  get type(): ValueType | null {
    return this.rows.typeOf(this.row);
  }

  get rest(): readonly ByteRange[] {
    return this.rows.restOf(this.row);
  }

  get enclosing(): readonly Field[] {
    return this.rows.enclosingOf(this.row);
  }
}
