/** The most bytes that wait to be used again. */
const LARGEST_POOL = 512 * 1024 * 1024;

/** Memory that is used again: the first touch of a fresh page costs more than what is copied into it. */
export class BufferPool {
  private free: Uint8Array[] = [];
  private freeBytes = 0;
  private readonly lent = new WeakSet<ArrayBufferLike>();

  /** `length` bytes with any content, in memory of their own. */
  take(length: number): Uint8Array {
    const index = this.free.findIndex((bytes) => bytes.length === length);
    const [found] = index < 0 ? [new Uint8Array(length)] : this.free.splice(index, 1);
    if (index >= 0) this.freeBytes -= length;
    this.lent.add(found.buffer);
    return found;
  }

  /** Gives back memory that came from here and that nobody uses any more; other memory is left alone. */
  give({ buffer }: ArrayBufferView): void {
    if (!this.lent.delete(buffer) || this.freeBytes + buffer.byteLength > LARGEST_POOL) return;
    this.free.push(new Uint8Array(buffer));
    this.freeBytes += buffer.byteLength;
  }
}
