/**
 * What the page has in the place of the writer of protobufjs: only what `wire/encode.ts` uses of it.
 * @see https://protobuf.dev/programming-guides/encoding
 */
export class Writer {
  private readonly parts: number[] = [];

  static create(): Writer {
    return new Writer();
  }

  /** A varint. */
  uint32(value: number): this {
    return this.int64(value);
  }

  /** A varint of 64 bits. @param value a whole number that is exact */
  int64(value: number): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) this.parts.push(Number(rest & 0x7fn) | 0x80);
    this.parts.push(Number(rest));
    return this;
  }

  /** Bytes behind their length. */
  bytes(value: Uint8Array): this {
    this.int64(value.length);
    for (const byte of value) this.parts.push(byte);
    return this;
  }

  /** Four bytes, the lowest first. */
  float(value: number): this {
    const bytes = new DataView(new ArrayBuffer(4));
    bytes.setFloat32(0, value, true);
    for (let at = 0; at < 4; at++) this.parts.push(bytes.getUint8(at));
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.parts);
  }
}
