/**
 * A quick deterministic generator with 128 bits of state.
 * @see http://pracrand.sourceforge.net/RNG_engines.txt (sfc32)
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** The same numbers for the same seeds. */
  constructor(seed: number, stream = 0, position = 0) {
    this.a = seed | 0;
    this.b = Math.imul(stream, 0x9e3779b1) ^ (position / 2 ** 32);
    this.c = position | 0;
    for (let round = 0; round < 12; round++) this.next();
  }

  /** 32 random bits, unsigned. */
  next(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    return this.next() % count;
  }

  /** True once in `count` times. */
  once(count: number): boolean {
    return this.next() % count === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/** 32 bits that depend on every byte. @see http://www.isthe.com/chongo/tech/comp/fnv/ (FNV-1a) */
export function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return hash >>> 0;
}
