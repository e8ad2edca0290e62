import type { MessageType } from './schema.js';

/** Protobuf as a tree that is cheap to change: every field keeps its bytes. Shares nothing with `src/wire`. */

export interface Piece {
  readonly number: number;
  readonly wireType: number;
  /** What stands behind the tag, and behind the length where there is one. */
  readonly payload: Uint8Array;
  /** The whole field. */
  readonly bytes: Uint8Array;
  readonly type: MessageType | null;
  /** Null where it is no message, or one that cannot be taken apart. */
  readonly children: readonly Piece[] | null;
}

/** Bytes of a varint, at least `length` of them; values are taken modulo 2^64. */
export function varintBytes(value: number | bigint, length = 1): Uint8Array {
  if (typeof value === 'number' && value >= 0 && value < 128 && length === 1) return Uint8Array.of(value);
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); rest > 0n || bytes.length === 0; rest >>= 7n)
    bytes.push(Number(rest & 0x7fn) | 0x80);
  while (bytes.length < length) bytes.push(0x80);
  bytes[bytes.length - 1] &= 0x7f;
  return Uint8Array.from(bytes);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function smallVarintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** A field with a tag; wire type 2 gets a length in front of its payload. */
export function leaf(number: number, wireType: number, payload: Uint8Array): Piece {
  return { number, wireType, payload, bytes: fieldBytes(number, wireType, payload), type: null, children: null };
}

function fieldBytes(number: number, wireType: number, payload: Uint8Array): Uint8Array {
  const tag = ((number << 3) | wireType) >>> 0;
  const tagLength = smallVarintLength(tag);
  const isBytes = wireType === 2;
  const bytes = new Uint8Array(tagLength + (isBytes ? smallVarintLength(payload.length) : 0) + payload.length);
  let at = putVarint(bytes, 0, tag);
  if (isBytes) at = putVarint(bytes, at, payload.length);
  bytes.set(payload, at);
  return bytes;
}

/** A field with needless bytes in its length. */
export function overlong(piece: Piece, more: number): Piece {
  const bytes = joined([
    varintBytes(piece.number * 8 + 2),
    varintBytes(piece.payload.length, smallVarintLength(piece.payload.length) + more),
    piece.payload,
  ]);
  return { ...piece, wireType: 2, bytes };
}

/** A message from its fields. */
export function branch(number: number, type: MessageType | null, children: readonly Piece[]): Piece {
  const payload = contentOf(children);
  return { number, wireType: 2, payload, bytes: fieldBytes(number, 2, payload), type, children };
}

/** The bytes of fields, one behind the other. */
export function contentOf(pieces: readonly Piece[]): Uint8Array {
  let size = 0;
  for (const piece of pieces) size += piece.bytes.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece.bytes, at);
    at += piece.bytes.length;
  }
  return whole;
}

const DEEPEST = 110;

/** Takes a message apart as far as it can be; null where its own fields cannot be told apart. */
export function piecesOf(bytes: Uint8Array, type: MessageType | null, depth = 0): readonly Piece[] | null {
  const pieces: Piece[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++, scale *= 128) {
      if (at >= bytes.length) return -1;
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return -1;
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const wireType = tag % 8;
    const number = Math.floor(tag / 8);
    if (tag < 8 || tag >= 2 ** 32 || wireType > 5) return null;
    let payload = at;
    if (wireType === 0 && varint() < 0) return null;
    if (wireType === 1) at += 8;
    if (wireType === 5) at += 4;
    if (wireType === 2) {
      const length = varint();
      payload = at;
      at += length;
      if (length < 0) return null;
    }
    if (wireType === 3) {
      at = groupEnd(bytes, at, number);
      if (at < 0) return null;
    }
    if (wireType === 4 || at > bytes.length) return null;
    const message = wireType === 2 ? (type?.fields.get(number)?.message ?? null) : null;
    const content = bytes.subarray(payload, at);
    pieces.push({
      number,
      wireType,
      payload: content,
      bytes: bytes.subarray(start, at),
      type: message,
      children: message === null || depth > DEEPEST ? null : piecesOf(content, message, depth + 1),
    });
  }
  return pieces;
}

/** Behind the tag that closes a group; -1 where none does. */
function groupEnd(bytes: Uint8Array, start: number, number: number): number {
  for (let at = start; at < bytes.length; at++) {
    const tail = leaf(number, 4, new Uint8Array(0)).bytes;
    if (tail.every((byte, index) => bytes[at + index] === byte)) return at + tail.length;
  }
  return -1;
}
