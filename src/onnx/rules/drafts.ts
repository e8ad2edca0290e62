import type { FieldRule } from '../message-rules.js';
import type { ByteRange, Field } from '../../wire/fields.js';

/** A record while the reader fills it. */
export type Draft<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** A string field: its last value counts. */
export const text = <B>(set: (record: B, value: string) => void): FieldRule<B> => ({
  kind: 'text',
  list: false,
  set,
});
/** A repeated string field. */
export const texts = <B>(set: (record: B, value: string) => void): FieldRule<B> => ({
  kind: 'text',
  list: true,
  set,
});
/** A string field by the number of its name: its last value counts. */
export const name = <B>(set: (record: B, id: number) => void): FieldRule<B> => ({
  kind: 'name',
  list: false,
  set,
});
/** A repeated string field by the numbers of its names. */
export const names = <B>(set: (record: B, id: number) => void): FieldRule<B> => ({
  kind: 'name',
  list: true,
  set,
});
/** A number field: its last value counts. */
export const int = <B>(set: (record: B, value: number | bigint, field: Field) => void): FieldRule<B> => ({
  kind: 'int',
  list: false,
  set,
});
/** A repeated number field, packed or not. */
export const ints = <B>(set: (record: B, value: number | bigint, field: Field) => void): FieldRule<B> => ({
  kind: 'int',
  list: true,
  set,
});
/** A float field: its last value counts. */
export const float = <B>(set: (record: B, value: number) => void): FieldRule<B> => ({
  kind: 'float',
  list: false,
  set,
});
/** A repeated float field, packed or not. */
export const floats = <B>(set: (record: B, value: number) => void): FieldRule<B> => ({
  kind: 'float',
  list: true,
  set,
});
/** A field of bytes of which only the place is noted. */
export const skipped = <B>(set: (record: B, field: Field) => void): FieldRule<B> => ({
  kind: 'range',
  list: false,
  kept: false,
  set,
});
/** A repeated field of bytes of which only the places are noted. */
export const skippedEach = <B>(set: (record: B, field: Field) => void): FieldRule<B> => ({
  kind: 'range',
  list: true,
  kept: false,
  set,
});
/** A repeated field whose places are noted and whose bytes stay in memory if they are few. */
export const keptEach = <B>(set: (record: B, field: Field) => void): FieldRule<B> => ({
  kind: 'range',
  list: true,
  kept: true,
  set,
});

/** Protobuf's int32: the low 32 bits. */
export const int32 = (value: number | bigint): number =>
  typeof value === 'number' ? value | 0 : Number(BigInt.asIntN(32, value));

/**
 * An enum of proto2, whose values are 0 to `largest`: any other value counts as an unknown field, so that what was said
 * before stays.
 * @see https://protobuf.dev/programming-guides/enum/#proto2
 */
export const closedEnum = <B>(largest: number, set: (record: B, value: number) => void): FieldRule<B> =>
  int((record, value) => {
    const narrow = int32(value);
    if (narrow >= 0 && narrow <= largest) set(record, narrow);
  });

/**
 * Most lists of a graph stay empty or short: the empty ones are this one, and the short ones take no more room than
 * they need.
 */
export const NONE: never[] = [];
Object.freeze(NONE);

/** The list with one more entry; only a longer list is extended in place, since `push` makes room for 16 more. */
export function add<T>(list: T[], value: T): T[] {
  if (list.length === 0) return [value];
  if (list.length === 1) return [list[0], value];
  if (list.length === 2) return [list[0], list[1], value];
  if (list.length === 3) return [list[0], list[1], list[2], value];
  list.push(value);
  return list;
}

/** The ranges with one more, joined to the last where they touch. */
export function extended(ranges: ByteRange[], { start, end }: ByteRange): ByteRange[] {
  const last = ranges.at(-1);
  if (last === undefined || last.end !== start) return add(ranges, { start, end });
  ranges[ranges.length - 1] = { start: last.start, end };
  return ranges;
}
