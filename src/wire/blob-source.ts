import { IoError } from '../errors.js';
import { ExactSource, type ReadStep } from './source.js';

/** Bytes that a slice asks for at least: one costs about a millisecond, whatever its length. */
const LEAST_SLICE = 64 * 1024;

/** A `Blob` as a source of bytes: a file that was dropped on a page. Its slices are read, never the whole. */
export class BlobSource extends ExactSource {
  readonly size: number;
  /** The slice that was read last. */
  private last: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array(0) };

  constructor(
    readonly blob: Blob,
    readonly path?: string,
  ) {
    super();
    this.size = blob.size;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    this.assertInside(start, end);
    const { start: from, bytes } = this.last;
    if (start >= from && end <= from + bytes.length) return bytes.subarray(start - from, end - from);
    if (end - start >= LEAST_SLICE) return this.slice(start, end);
    const fresh = await this.slice(start, Math.min(this.size, start + LEAST_SLICE));
    this.last = { start, bytes: fresh };
    return fresh.subarray(0, end - start);
  }

  readAhead({ start, end, until }: ReadStep): Promise<Uint8Array> {
    return this.read(start, Math.max(end, until));
  }

  /** Bytes as they are now. @throws IoError if the file is gone, shorter or, as far as the browser tells, another */
  async slice(start: number, end: number): Promise<Uint8Array> {
    this.assertInside(start, end);
    const buffer = await this.blob
      .slice(start, end)
      .arrayBuffer()
      .catch((cause: unknown) => {
        throw this.changed(start, cause);
      });
    // Firefox gives what is left of a file that became shorter.
    if (buffer.byteLength !== end - start) throw this.changed(start);
    return new Uint8Array(buffer);
  }

  private assertInside(start: number, end: number): void {
    if (start >= 0 && end <= this.size && start <= end) return;
    throw new IoError(`bytes ${start} to ${end} are outside the ${this.size} bytes of ${this.path ?? 'the file'}`, {
      path: this.path,
    });
  }

  private changed(offset: number, cause?: unknown): IoError {
    return new IoError(`${this.path ?? 'the file'} changed or cannot be read any more`, {
      code: 'FEATX_IO_CHANGED',
      path: this.path,
      offset,
      hint: 'choose it again',
      cause,
    });
  }
}
