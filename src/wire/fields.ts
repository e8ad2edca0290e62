import { ModelFormatError } from '../errors.js';

/** Bytes `[start, end)` of a file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** One occurrence of a field: its tag at `start`, its payload at `payload`, the next field at `end`. */
export interface Field extends ByteRange {
  readonly number: number;
  readonly wireType: WireType;
  readonly payload: number;
}

/** Bytes of a message: the payloads of its occurrences, in order. */
export function payloadRanges(parts: readonly Field[]): ByteRange[] {
  return parts.map((part) => ({ start: part.payload, end: part.end }));
}

/** @see https://protobuf.dev/programming-guides/encoding/#structure */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;
/** One of those numbers. */
export type WireType = (typeof WireType)[keyof typeof WireType];

/** A length-delimited field whose tag and length take `header` bytes. */
export function bytesField(number: number, start: number, header: number, end: number): Field {
  return { number, wireType: WireType.bytes, start, payload: start + header, end };
}

/** A tag as a number, of a length-delimited field by default: one byte where the number is below 16. */
export function tagOf(number: number, wireType: WireType = WireType.bytes): number {
  return (number << 3) | wireType;
}

/** The largest number whose varint is one byte. */
export const LARGEST_BYTE = 0x7f;

/** Tag (at most 5 bytes) and length (at most 10) of any field. */
export const MAX_FIELD_HEADER = 15;

const TWO_32 = 2 ** 32;

/**
 * Reads varints out of a window of a file. `position` is an offset in the file; the caller guarantees that the window
 * holds the bytes up to `limit`, so that every read is synchronous.
 */
export class Cursor {
  bytes: Uint8Array = new Uint8Array(0);
  /** File offset of `bytes[0]`. */
  base = 0;
  position = 0;
  low = 0;
  high = 0;

  constructor(private readonly fail: (code: string, message: string, offset: number) => Error = defaultFailure) {}

  /** Reads a varint of at most 10 bytes into `low` and `high` (unsigned 32-bit halves). */
  varint64(limit: number): void {
    const { bytes, base } = this;
    const start = this.position;
    let at = start - base;
    const end = limit - base;
    const first = bytes[at];
    if (at < end && first < 0x80) {
      this.position = start + 1;
      this.low = first;
      this.high = 0;
      return;
    }
    let low = 0;
    let high = 0;
    // The tenth byte ends it: it is 0 or 1, or too much. Shifts count modulo 32.
    for (let index = 0; ; index++, at++) {
      if (at >= end) throw this.fail('FEATX_WIRE_TRUNCATED', 'a varint is cut off', start);
      const byte = bytes[at];
      const value = byte & 0x7f;
      if (index < 4) low |= value << (7 * index);
      else if (index === 4) {
        low |= (value & 0x0f) << 28;
        high |= value >>> 4;
      } else if (index < 9) high |= value << (7 * index);
      else {
        if (byte > 1) break;
        high |= value << 31;
      }
      if (byte < 0x80) {
        this.position = base + at + 1;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw this.fail('FEATX_WIRE_VARINT', 'a varint is longer than 64 bits', start);
  }

  /** A tag: field number `low >>> 3`, wire type `low & 7`. At most 5 bytes, field number 1 to 2^29-1. */
  tag(limit: number): number {
    const start = this.position;
    this.varint64(limit);
    if (this.position - start > 5 || this.high !== 0)
      throw this.fail('FEATX_WIRE_TAG', 'a field tag is longer than 32 bits', start);
    if (this.low >>> 3 === 0) throw this.fail('FEATX_WIRE_TAG', 'field number 0 is not allowed', start);
    if ((this.low & 7) > 5)
      throw this.fail('FEATX_WIRE_TAG', `wire type ${this.low & 7} does not exist (0 to 5 do)`, start);
    return this.low;
  }

  /** A length that must fit before `limit` (the end of the enclosing message). */
  length(limit: number): number {
    const start = this.position;
    this.varint64(limit);
    if (this.position - start > 5) throw this.fail('FEATX_WIRE_LENGTH', 'a length takes more than 5 bytes', start);
    // Where it can, V8 keeps small integers out of the heap; the product would be a double.
    const length = this.high === 0 ? this.low : this.high * TWO_32 + this.low;
    if (length > limit - this.position) {
      throw this.fail(
        'FEATX_WIRE_TRUNCATED',
        `a field of ${length} bytes does not fit: its message has ${limit - this.position} bytes left`,
        start,
      );
    }
    return length;
  }

  /** The varint just read as int64: a number where that is exact, else a bigint. */
  int64(): number | bigint {
    const { low, high } = this;
    if (high === 0) return low;
    if (high < 0x200000) return high * TWO_32 + low;
    const signed = (high | 0) * TWO_32 + low;
    return signed < 0 && signed >= -Number.MAX_SAFE_INTEGER ? signed : (BigInt(high | 0) << 32n) | BigInt(low);
  }

  /** The varint just read as int32 (protobuf truncates). */
  int32(): number {
    return this.low | 0;
  }
}

function defaultFailure(code: string, message: string, offset: number): Error {
  return new ModelFormatError(`${message} (byte ${offset})`, { code, offset });
}
