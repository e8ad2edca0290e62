// Arrays of 64 bytes lie in V8's own heap: many a list stays that short.

/** Whole numbers below 2^31 in a list that grows. */
export class IntList {
  items: Int32Array;
  length = 0;

  /** Room for so many more, which are 0; returns where they begin. */
  more(count: number): number {
    const { length } = this;
    if (length + count > this.items.length)
      this.items = grown(this.items, new Int32Array(Math.max(2 * this.items.length, length + count)));
    this.length += count;
    return length;
  }

  constructor(room = 16) {
    this.items = new Int32Array(room);
  }

  push(value: number): void {
    if (this.length === this.items.length) this.items = grown(this.items, new Int32Array(2 * this.length));
    this.items[this.length++] = value;
  }
}

/** Places in a file, or other numbers that may be larger, in a list that grows. */
export class NumberList {
  items: Float64Array;
  length = 0;

  constructor(room = 8) {
    this.items = new Float64Array(room);
  }

  push(value: number): void {
    if (this.length === this.items.length) this.items = grown(this.items, new Float64Array(2 * this.length));
    this.items[this.length++] = value;
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
