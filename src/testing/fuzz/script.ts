/**
 * Decisions read from the bytes of an input, one after the other; behind its end all are 0, which is the plain case,
 * so that an input which is cut down decides less.
 */
export class Script {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next byte. */
  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }

  /** A whole number from 0 to `count - 1`, of two bytes. */
  below(count: number): number {
    return (this.byte() * 256 + this.byte()) % count;
  }

  /** True for one byte in `count`, never for 0. */
  once(count: number): boolean {
    return this.byte() % count === count - 1;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.byte() % items.length];
  }

  /** Whether any decision is left that was written down. */
  get isOpen(): boolean {
    return this.at < this.bytes.length;
  }
}
