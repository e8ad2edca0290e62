import { encodeText } from '../wire/text.js';
import type { GrowingBytes } from './growing-bytes.js';

/**
 * A value of Thrift: natural numbers of 32 and 64 bits, texts, lists of one kind, records, and many records as they
 * were written.
 */
export type ThriftValue =
  | { readonly i32: number }
  | { readonly i64: number }
  | { readonly text: string }
  | { readonly list: readonly ThriftValue[] }
  | { readonly records: GrowingBytes; readonly count: number }
  | ThriftRecord;

/** Fields by their numbers, in rising order; what is undefined is left out. */
export interface ThriftRecord {
  readonly record: readonly (readonly [id: number, value: ThriftValue | undefined])[];
}

const LONG_FORM = 15;
const RECORD = 12;

/**
 * Appends a record in Thrift's compact protocol.
 * @see https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
export function writeRecord(into: GrowingBytes, { record }: ThriftRecord): void {
  let last = 0;
  for (const [id, value] of record) {
    if (value === undefined) continue;
    into.push(((id - last) << 4) | typeOf(value));
    writeValue(into, value);
    last = id;
  }
  into.push(0);
}

function typeOf(value: ThriftValue): number {
  if ('i32' in value) return 5;
  if ('i64' in value) return 6;
  if ('text' in value) return 8;
  return 'list' in value || 'records' in value ? 9 : RECORD;
}

function writeValue(into: GrowingBytes, value: ThriftValue): void {
  // Zigzag: the lowest bit is the sign.
  if ('i32' in value) into.varint(value.i32 * 2);
  else if ('i64' in value) into.varint(value.i64 * 2);
  else if ('text' in value) {
    const bytes = encodeText(value.text);
    into.varint(bytes.length);
    into.append(bytes);
  } else if ('list' in value) {
    const { list } = value;
    writeListHead(into, list.length, list.length === 0 ? RECORD : typeOf(list[0]));
    for (const each of list) writeValue(into, each);
  } else if ('records' in value) {
    writeListHead(into, value.count, RECORD);
    into.append(value.records.view);
  } else writeRecord(into, value);
}

function writeListHead(into: GrowingBytes, count: number, type: number): void {
  if (count < LONG_FORM) into.push((count << 4) | type);
  else {
    into.push(0xf0 | type);
    into.varint(count);
  }
}
