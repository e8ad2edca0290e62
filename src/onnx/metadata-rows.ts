import type { ByteRange, Field } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import { IntList, NumberList } from '../wire/number-list.js';
import { FieldList } from './field-list.js';
import type { MetadataEntry } from './records.js';

/** `metadata_props` in columns, with their keys by number; `entries` are views of its rows. */
export class MetadataRows {
  readonly entries: MetadataEntry[] = [];
  private readonly fields = new FieldList();
  private readonly keys = new IntList();
  /** Where each value starts and ends. */
  private readonly values = new NumberList();

  /** Opens a row; returns its number. */
  begin(field: Field, names: NameTable): number {
    this.fields.push(field);
    this.keys.push(0);
    this.values.push(field.end);
    this.values.push(field.end);
    return this.entries.push(new MetadataRow(this, this.entries.length, names)) - 1;
  }

  // What is said of the row that is open.

  set key(id: number) {
    this.keys.items[this.keys.length - 1] = id;
  }

  set value({ start, end }: ByteRange) {
    const { items, length } = this.values;
    items[length - 2] = start;
    items[length - 1] = end;
  }

  // What the rows say.

  fieldOf(row: number): Field {
    return this.fields.at(row);
  }

  keyId(row: number): number {
    return this.keys.items[row];
  }

  valueOf(row: number): ByteRange {
    return { start: this.values.items[2 * row], end: this.values.items[2 * row + 1] };
  }
}

class MetadataRow implements MetadataEntry {
  constructor(
    private readonly rows: MetadataRows,
    private readonly row: number,
    private readonly names: NameTable,
  ) {}

  get field(): Field {
    return this.rows.fieldOf(this.row);
  }

  get key(): string {
    return this.names.text(this.rows.keyId(this.row));
  }

  get value(): ByteRange {
    return this.rows.valueOf(this.row);
  }
}
