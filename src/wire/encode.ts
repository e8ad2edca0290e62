import protobuf from 'protobufjs/minimal.js';
import { WireType } from './fields.js';
import { sizeOf, type Piece } from './pieces.js';
import { encodeText } from './text.js';

/**
 * The one writer of protobuf. Names go through `encodeText`, because a protobuf `string` in the wild need not be UTF-8
 * and must come back byte for byte. What only reads a model does not load this file, and protobufjs with it.
 */

/** A message that is being written; `finish()` gives its bytes. */
export type Message = protobuf.Writer;

/** An empty message. */
export function message(): Message {
  return protobuf.Writer.create();
}

/** Adds a `string`. */
export function text(to: Message, field: number, value: string): Message {
  return bytes(to, field, encodeText(value));
}

/** Adds a length-delimited field: a message inside this one, or bytes. */
export function bytes(to: Message, field: number, value: Uint8Array): Message {
  return to.uint32(tag(field, WireType.bytes)).bytes(value);
}

/** Adds an integer or an enum; a negative one takes ten bytes, as int32 and int64 do. */
export function int(to: Message, field: number, value: number): Message {
  return to.uint32(tag(field, WireType.varint)).int64(value);
}

/** Adds a `float`. */
export function float(to: Message, field: number, value: number): Message {
  return to.uint32(tag(field, WireType.fixed32)).float(value);
}

/** Adds the tag and the length of a field whose bytes follow the message. */
export function header(to: Message, field: number, length: number): Message {
  return to.uint32(tag(field, WireType.bytes)).int64(length);
}

/** A length-delimited field around pieces. */
export function wrap(field: number, content: readonly Piece[]): Piece[] {
  return [header(message(), field, sizeOf(content)).finish(), ...content];
}

function tag(field: number, wireType: number): number {
  return ((field << 3) | wireType) >>> 0;
}
