import { pipeline, Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import type { ZipFile } from 'yauzl';
import { FeatxError } from '../errors.js';
import type { ByteSource } from '../wire/source.js';
import { malformed } from './faults.js';

/** Compressed bytes that are read at once. */
export const INFLATE_CHUNK = 1024 * 1024;

/** Where the compressed bytes of an entry lie, and what it is called in messages. */
export interface Compressed {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** yauzl's view of the directory; it reads through `source`, and names stay bytes. */
export async function openZip(source: ByteSource): Promise<ZipFile> {
  // A bundle of this CommonJS package has a default export alone.
  const { RandomAccessReader, fromRandomAccessReaderPromise } = (await import('yauzl')).default;
  class SourceReader extends RandomAccessReader {
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ): void {
      if (position < 0 || position + length > source.size) {
        callback(new Error(`bytes ${position} to ${position + length} are not in the file of ${source.size}`));
        return;
      }
      source.read(position, position + length).then((bytes) => {
        buffer.set(bytes, offset);
        callback(null);
      }, callback);
    }
  }
  return fromRandomAccessReaderPromise(new SourceReader(), source.size, { autoClose: false, decodeStrings: false });
}

/** The bytes of a deflated entry, as they come. @throws ModelFormatError if they are damaged */
export async function* inflated(source: ByteSource, { name, start, end }: Compressed): AsyncGenerator<Uint8Array> {
  async function* compressed(): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += INFLATE_CHUNK) yield await source.read(at, Math.min(end, at + INFLATE_CHUNK));
  }
  let failure: Error | null = null;
  const inflate = createInflateRaw();
  pipeline(Readable.from(compressed(), { objectMode: false }), inflate, (error) => (failure = error ?? null));
  try {
    for await (const chunk of inflate) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
  } catch (error) {
    const cause: unknown = failure ?? error;
    throw cause instanceof FeatxError
      ? cause
      : malformed(name, `its compressed bytes are damaged: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
