/** The most bytes that wait to be used again. */
const LARGEST_POOL = 512 * 1024 * 1024;

/**
 * Memory that is used again: the first touch of a fresh page costs more than what is copied into it. Sizes that nobody
 * asks for any more are forgotten, one with each fresh one.
 */
export class BufferPool {
  private free: Uint8Array<ArrayBuffer>[] = [];
  private freeBytes = 0;
  private readonly lent = new WeakSet<ArrayBufferLike>();

  /** `length` bytes with any content, in memory of their own. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const index = this.free.findIndex((bytes) => bytes.length === length);
    const [forgotten] = this.free.splice(Math.max(0, index), 1);
    this.freeBytes -= forgotten?.length ?? 0;
    const found = index < 0 || forgotten === undefined ? new Uint8Array(length) : forgotten;
    this.lent.add(found.buffer);
    return found;
  }

  /** Gives back memory that came from here and that nobody uses any more; other memory is left alone. */
  give({ buffer }: ArrayBufferView): void {
    const isOurs = this.lent.delete(buffer) && buffer instanceof ArrayBuffer;
    if (!isOurs || this.freeBytes + buffer.byteLength > LARGEST_POOL) return;
    this.free.push(new Uint8Array(buffer));
    this.freeBytes += buffer.byteLength;
  }
}
