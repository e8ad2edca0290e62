import { IoError } from '../errors.js';

/** Immutable bytes of known size: a file, a buffer, a remote object. */
export interface ByteSource {
  readonly size: number;
  /** Where the bytes live, for messages and for files beside it. */
  readonly path?: string;
  /** Exactly the bytes `[start, end)`. @throws IoError when they cannot be had in full */
  read(start: number, end: number): Promise<Uint8Array>;
  /** Fills `bytes` from `start` on, for copies that use their buffers again. @throws IoError as `read` does */
  readInto?(bytes: Uint8Array, start: number): Promise<void>;
  /** Throws IoError when the bytes may have changed since the source was opened. */
  assertUnchanged?(): Promise<void>;
  close?(): Promise<void>;
}

/** Bytes in memory; reads are views, not copies. */
export class BufferSource implements ByteSource {
  readonly size: number;

  constructor(
    private readonly bytes: Uint8Array,
    readonly path?: string,
  ) {
    this.size = bytes.length;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    if (start < 0 || end > this.size || start > end)
      throw new IoError(`bytes ${start} to ${end} are outside the ${this.size} bytes in memory`, { path: this.path });
    return this.bytes.subarray(start, end);
  }
}
