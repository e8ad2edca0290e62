/** Bytes that are appended to; the memory behind them is used again after `clear`. */
export class GrowingBytes {
  private bytes: Uint8Array;
  private count = 0;

  constructor(room = 256) {
    this.bytes = new Uint8Array(room);
  }

  get length(): number {
    return this.count;
  }

  /** What was appended; valid until the next change. */
  get view(): Uint8Array {
    return this.bytes.subarray(0, this.count);
  }

  push(byte: number): void {
    this.reserve(1);
    this.bytes[this.count++] = byte;
  }

  append(some: Uint8Array): void {
    this.reserve(some.length);
    this.bytes.set(some, this.count);
    this.count += some.length;
  }

  fill(byte: number, times: number): void {
    this.reserve(times);
    this.bytes.fill(byte, this.count, this.count + times);
    this.count += times;
  }

  /** A natural number in groups of 7 bits, the lowest first. */
  varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.push((rest % 0x80) | 0x80);
    this.push(rest);
  }

  /** 32 bits, the lowest byte first. */
  uint32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.push((value >>> shift) & 0xff);
  }

  clear(): void {
    this.count = 0;
  }

  private reserve(more: number): void {
    const needed = this.count + more;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.view);
    this.bytes = grown;
  }
}
