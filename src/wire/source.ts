import { FeatxError, IoError, UsageError } from '../errors.js';
import type { ByteRange } from './fields.js';

/** A step of a reader that goes through a source from its start to its end. */
export interface ReadStep extends ByteRange {
  /** How far the reader would like to have it, if that costs little. */
  readonly until: number;
  /** Where it stopped reading, to step over what lies before `start`; null if it reads on. */
  readonly left: number | null;
}

/** How bytes are fetched. */
export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Told how many bytes came. */
  readonly onProgress?: (bytes: number) => void;
}

/** Immutable bytes of known size: a file, a buffer, a remote object. */
export interface ByteSource {
  readonly size: number;
  /** Where the bytes live, for messages and for files beside it. */
  readonly path?: string;
  /** Exactly the bytes `[start, end)`. @throws IoError when they cannot be had in full */
  read(start: number, end: number): Promise<Uint8Array>;
  /** Fills `bytes` from `start` on, for copies that use their buffers again. @throws IoError as `read` does */
  readInto?(bytes: Uint8Array, start: number): Promise<void>;
  /**
   * For a source of which a read costs more than its bytes: those from `start` on, up to `end` at least and `until` at
   * most. @throws IoError as `read` does
   */
  readAhead?(step: ReadStep): Promise<Uint8Array>;
  /** Brings bytes near that are going to be read, as a source that is far away best does it. @throws IoError */
  fetch?(ranges: readonly ByteRange[], options?: FetchOptions): Promise<void>;
  /** Throws IoError when the bytes may have changed since the source was opened. */
  assertUnchanged?(): Promise<void>;
  close?(): Promise<void>;
}

/** A source that keeps the contract of `ByteSource`: a read gives exactly what was asked for, or an error of ours. */
export abstract class ExactSource implements ByteSource {
  abstract readonly size: number;
  abstract readonly path?: string;
  abstract read(start: number, end: number): Promise<Uint8Array>;
}

/** Bytes in memory; reads are views, not copies. */
export class BufferSource extends ExactSource {
  readonly size: number;

  constructor(
    private readonly bytes: Uint8Array,
    readonly path?: string,
  ) {
    super();
    this.size = bytes.length;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    if (start < 0 || end > this.size || start > end)
      throw new IoError(`bytes ${start} to ${end} are outside the ${this.size} bytes in memory`, { path: this.path });
    return this.bytes.subarray(start, end);
  }
}

/**
 * A source of anybody's, held to the contract of `ByteSource`.
 * @throws UsageError if its size is not a size, or it cannot be read
 */
export function exactSource(source: ByteSource): ByteSource {
  if (source instanceof ExactSource) return source;
  const { size, read } = (source ?? {}) as Partial<ByteSource>;
  if (typeof read !== 'function')
    throw new UsageError('a source of bytes needs a size and a method read(start, end); this one has no such method');
  if (!Number.isSafeInteger(size) || Number(size) < 0)
    throw new UsageError(`the size of a source is ${String(size)}; it is a whole number of bytes from 0 to 2^53-1`);
  return new CheckedSource(source);
}

class CheckedSource extends ExactSource {
  readonly size: number;
  readonly path?: string;
  readonly readInto?: (bytes: Uint8Array, start: number) => Promise<void>;

  constructor(private readonly source: ByteSource) {
    super();
    this.size = source.size;
    this.path = source.path;
    if (source.readInto !== undefined)
      this.readInto = (bytes, start) =>
        this.asked(start, start + bytes.length, async () => source.readInto?.(bytes, start));
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes: unknown = await this.asked(start, end, () => this.source.read(start, end));
    if (bytes instanceof Uint8Array && bytes.length === end - start) return bytes;
    const got = bytes instanceof Uint8Array ? `${bytes.length} bytes` : `${String(bytes)} instead of bytes`;
    throw this.fault(start, end, `gave ${got}`);
  }

  async assertUnchanged(): Promise<void> {
    await this.source.assertUnchanged?.();
  }

  async close(): Promise<void> {
    await this.source.close?.();
  }

  private async asked<T>(start: number, end: number, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const isAbort = (error as { name?: unknown } | null)?.name === 'AbortError';
      if (error instanceof FeatxError || isAbort) throw error;
      throw this.fault(start, end, `failed: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }

  private fault(start: number, end: number, what: string, cause?: unknown): IoError {
    return new IoError(`the source was asked for ${end - start} bytes from byte ${start} on and ${what}`, {
      path: this.path,
      offset: start,
      cause,
    });
  }
}

/** A model in memory has no directory, and so no files beside it. */
export const NO_SIDECARS = {
  open: async (location: string, field: string): Promise<never> => {
    throw new UsageError(`${field} keeps its values in '${location}', beside a model that was given as bytes`, {
      code: 'FEATX_USAGE_NO_DIRECTORY',
      field,
      hint: 'give the path of the model',
    });
  },
  close: async (): Promise<void> => undefined,
};
