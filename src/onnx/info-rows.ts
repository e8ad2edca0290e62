import { bytesField, type ByteRange, type Field } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import { IntList, NumberList } from '../wire/number-list.js';
import type { ValueInfo, ValueType } from './records.js';

/** The columns of a row of small numbers. */
const NAME = 0;
/** Bytes of the field's tag and length. */
const HEADER = 1;
const COLUMNS = 2;

/** The columns of a row of places in the file: of its field, and of the first range of what is not the name. */
const START = 0;
const END = 1;
const REST_START = 2;
const REST_END = 3;
const PLACES = 4;

class InfoLists {
  readonly places = new NumberList();
  readonly columns = new IntList();
  /** Further ranges of what is not the name, of the few that have several. */
  readonly moreRest = new Map<number, ByteRange[]>();
}

/** Of lists without an entry, as most bodies and functions have them. */
const NO_LISTS = new InfoLists();

/**
 * ValueInfoProtos of one list in columns, with their names as numbers; `infos` are views of its rows. The reader opens
 * a row for each and fills it.
 */
export class InfoRows {
  readonly infos: InfoRow[] = [];
  private lists = NO_LISTS;

  constructor(
    readonly names: NameTable,
    /** The number of the field that holds them. */
    private readonly fieldNumber: number,
  ) {}

  /** Opens a row; returns its number. */
  begin({ start, payload, end }: Field, enclosing: readonly Field[]): number {
    if (this.lists === NO_LISTS) this.lists = new InfoLists();
    for (const place of [start, end, 0, 0]) this.lists.places.push(place);
    this.lists.columns.push(0);
    this.lists.columns.push(payload - start);
    return this.infos.push(new InfoRow(this, this.infos.length, enclosing)) - 1;
  }

  // What is said of the row that is open.

  set name(id: number) {
    this.lists.columns.items[this.lists.columns.length - COLUMNS + NAME] = id;
  }

  get type(): ValueType | null {
    return this.infos[this.infos.length - 1].type;
  }

  set type(type: ValueType | null) {
    this.infos[this.infos.length - 1].type = type;
  }

  /** One more field that is not the name; joined to the last where they touch. */
  addRest(start: number, end: number): void {
    const row = this.infos.length - 1;
    const { places, moreRest } = this.lists;
    const at = row * PLACES;
    const more = moreRest.get(row);
    const last = more?.[more.length - 1];
    if (last !== undefined) {
      if (last.end === start) more?.splice(-1, 1, { start: last.start, end });
      else more?.push({ start, end });
    } else if (places.items[at + REST_END] === 0) {
      places.items[at + REST_START] = start;
      places.items[at + REST_END] = end;
    } else if (places.items[at + REST_END] === start) places.items[at + REST_END] = end;
    else moreRest.set(row, [{ start, end }]);
  }

  // What the rows say.

  /** Where its field starts. */
  startOf(row: number): number {
    return this.lists.places.items[row * PLACES + START];
  }

  fieldOf(row: number): Field {
    const { columns, places } = this.lists;
    const header = columns.items[row * COLUMNS + HEADER];
    return bytesField(this.fieldNumber, this.startOf(row), header, places.items[row * PLACES + END]);
  }

  /** The number of its name. */
  nameId(row: number): number {
    return this.lists.columns.items[row * COLUMNS + NAME];
  }

  restOf(row: number): readonly ByteRange[] {
    const { places, moreRest } = this.lists;
    const end = places.items[row * PLACES + REST_END];
    return end === 0 ? [] : [{ start: places.items[row * PLACES + REST_START], end }, ...(moreRest.get(row) ?? [])];
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
  type: ValueType | null = null;

  constructor(
    readonly rows: InfoRows,
    private readonly row: number,
    readonly enclosing: readonly Field[],
  ) {}

  get field(): Field {
    return this.rows.fieldOf(this.row);
  }

  get name(): string {
    return this.rows.names.text(this.rows.nameId(this.row));
  }

  get rest(): readonly ByteRange[] {
    return this.rows.restOf(this.row);
  }
}
