import type { ByteSource } from '../wire/source.js';

/** A source that counts what is read of it. */
export class CountingSource implements ByteSource {
  readonly reads: { readonly start: number; readonly end: number }[] = [];

  constructor(private readonly inner: ByteSource) {}

  get size(): number {
    return this.inner.size;
  }

  get path(): string | undefined {
    return this.inner.path;
  }

  get bytesRead(): number {
    return this.reads.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  read(start: number, end: number): Promise<Uint8Array> {
    this.reads.push({ start, end });
    return this.inner.read(start, end);
  }
}

/**
 * A long file of which little exists: the given parts at their offsets, zeros elsewhere, never allocated as a whole.
 */
export class SparseSource implements ByteSource {
  constructor(
    readonly size: number,
    private readonly parts: readonly { readonly at: number; readonly bytes: Uint8Array }[],
  ) {}

  async read(start: number, end: number): Promise<Uint8Array> {
    if (start < 0 || end > this.size || end < start) throw new RangeError(`bytes ${start} to ${end} of ${this.size}`);
    const result = new Uint8Array(end - start);
    for (const { at, bytes } of this.parts) {
      const from = Math.max(start, at);
      const until = Math.min(end, at + bytes.length);
      if (from < until) result.set(bytes.subarray(from - at, until - at), from - start);
    }
    return result;
  }
}
