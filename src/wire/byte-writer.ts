import { WireType } from './fields.js';

const FIRST_SIZE = 64 * 1024;
/** Below this a loop is quicker than the call that copies memory. */
const SHORT = 24;

/**
 * Protobuf into one growing buffer: for messages of thousands of small parts, where an array each would cost more than
 * the bytes.
 */
export class ByteWriter {
  private bytes = new Uint8Array(FIRST_SIZE);
  length = 0;

  /** What was written; a view that the next write may overwrite. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  varint(value: number): void {
    this.reserve(10);
    while (value > 0x7f) {
      this.bytes[this.length++] = (value % 128) | 0x80;
      value = Math.floor(value / 128);
    }
    this.bytes[this.length++] = value;
  }

  /** The tag and the length that open a length-delimited field. */
  header(fieldNumber: number, length: number): void {
    this.varint(fieldNumber * 8 + WireType.bytes);
    this.varint(length);
  }

  raw(source: Uint8Array): void {
    const { length } = source;
    this.reserve(length);
    if (length > SHORT) this.bytes.set(source, this.length);
    else for (let index = 0; index < length; index++) this.bytes[this.length + index] = source[index];
    this.length += length;
  }

  /** A length-delimited field. */
  field(fieldNumber: number, content: Uint8Array): void {
    this.header(fieldNumber, content.length);
    this.raw(content);
  }

  private reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.written);
    this.bytes = larger;
  }
}
