import { seededRandom } from './random.js';

/** Protobuf by hand, for tests: shares nothing with `src/wire`, so that no test checks the reader with itself. */

/** Freedom that a serializer has and a reader must grant. */
export interface Style {
  /** Order of the fields inside every message; occurrences of one field keep theirs. A number shuffles by that seed. */
  readonly order?: 'schema' | 'reversed' | number;
  /** Whether lists of numbers are written in one run (default) or one tag each. */
  readonly packed?: boolean;
  /** Needless bytes in every varint that is not a tag; lengths take 5 bytes at most. */
  readonly overlong?: number;
  /** Number of `graph` messages that the main graph is spread over. */
  readonly graphPieces?: number;
}

/** A field with its tag. */
export interface RawField {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export type Text = string | Uint8Array;

/** The bytes of a varint, int64 values in two's complement, at least `length` of them. */
export function varint(value: number | bigint, length = 1): Uint8Array {
  if (length === 1 && value >= 0 && value < 128) return Uint8Array.of(Number(value));
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  } while (rest > 0n);
  while (bytes.length < length) bytes.push(0x80);
  bytes[bytes.length - 1] &= 0x7f;
  return Uint8Array.from(bytes);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return joinAll(parts);
}

/** As `join`, for any number of parts. */
export function joinAll(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function bytesOf(text: Text): Uint8Array {
  return typeof text === 'string' ? new TextEncoder().encode(text) : text;
}

export function tag(number: number, wireType: number): Uint8Array {
  return varint(number * 8 + wireType);
}

/** A varint field. */
export function int(number: number, value: number | bigint, style: Style = {}): RawField {
  const plain = varint(value).length;
  return { number, bytes: join(tag(number, 0), varint(value, Math.min(10, plain + (style.overlong ?? 0)))) };
}

/** A length-delimited field. */
export function bytes(number: number, content: Text, style: Style = {}): RawField {
  const payload = bytesOf(content);
  const plain = varint(payload.length).length;
  return {
    number,
    bytes: join(tag(number, 2), varint(payload.length, Math.min(5, plain + (style.overlong ?? 0))), payload),
  };
}

export function float(number: number, value: number): RawField {
  return { number, bytes: join(tag(number, 5), floatBytes(value)) };
}

export function double(number: number, value: number): RawField {
  return { number, bytes: join(tag(number, 1), new Uint8Array(Float64Array.of(value).buffer)) };
}

export function group(number: number, ...fields: readonly RawField[]): RawField {
  return { number, bytes: join(tag(number, 3), ...fields.map((field) => field.bytes), tag(number, 4)) };
}

export function floatBytes(value: number): Uint8Array {
  return new Uint8Array(Float32Array.of(value).buffer);
}

/** A list of int64: one run, or a field each. */
export function ints(number: number, values: readonly (number | bigint)[], style: Style = {}): RawField[] {
  if (style.packed === false) return values.map((value) => int(number, value, style));
  return values.length === 0 ? [] : [bytes(number, joinAll(values.map((value) => varint(value))), style)];
}

export function floats(number: number, values: readonly number[], style: Style = {}): RawField[] {
  if (style.packed === false) return values.map((value) => float(number, value));
  return values.length === 0 ? [] : [bytes(number, joinAll(values.map(floatBytes)), style)];
}

/** The bytes of a message, its fields in the order of the style. */
export function message(fields: readonly RawField[], style: Style = {}): Uint8Array {
  return joinAll(ordered(fields, style.order ?? 'schema').map((field) => field.bytes));
}

export function ordered(fields: readonly RawField[], order: 'schema' | 'reversed' | number): RawField[] {
  if (order === 'schema') return [...fields];
  const byNumber = new Map<number, RawField[]>();
  for (const field of fields) byNumber.set(field.number, [...(byNumber.get(field.number) ?? []), field]);
  if (order === 'reversed') return [...byNumber.values()].reverse().flat();
  const random = seededRandom(order);
  const queues = [...byNumber.values()];
  const result: RawField[] = [];
  while (queues.length > 0) {
    const at = Math.floor(random() * queues.length);
    const next = queues[at].shift();
    if (next === undefined) queues.splice(at, 1);
    else result.push(next);
  }
  return result;
}
