import type { Field, WireType } from '../wire/fields.js';
import { IntList, NumberList } from '../wire/number-list.js';

/** Fields in file order, in columns: a graph has one for each node. */
export class FieldList implements Iterable<Field> {
  private readonly tags = new IntList();
  private readonly headers = new IntList();
  private readonly starts = new NumberList();
  private readonly ends = new NumberList();

  get length(): number {
    return this.tags.length;
  }

  push({ number, wireType, start, payload, end }: Field): void {
    this.tags.push((number << 3) | wireType);
    this.headers.push(payload - start);
    this.starts.push(start);
    this.ends.push(end);
  }

  /** The field at a place in the list. */
  at(index: number): Field {
    const tag = this.tags.items[index];
    const start = this.starts.items[index];
    return {
      number: tag >>> 3,
      wireType: (tag & 7) as WireType,
      start,
      payload: start + this.headers.items[index],
      end: this.ends.items[index],
    };
  }

  startOf(index: number): number {
    return this.starts.items[index];
  }

  endOf(index: number): number {
    return this.ends.items[index];
  }

  *[Symbol.iterator](): Generator<Field> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  filter(is: (field: Field) => boolean): Field[] {
    return [...this].filter(is);
  }

  map<T>(value: (field: Field) => T): T[] {
    return [...this].map(value);
  }
}
