import { addAbortSignal, type Readable } from 'node:stream';
import { PolicyError } from '../errors.js';
import { concat } from '../wire/pieces.js';
import { ioError } from '../wire/fs.js';
import { bytesText } from '../report/units.js';

/** A whole file from standard input, until `signal` is aborted. @throws PolicyError past `limit` bytes, IoError */
export async function readStdin(
  stdin: Readable,
  limit: number,
  signal: AbortSignal,
  what = 'the model',
): Promise<Uint8Array> {
  addAbortSignal(signal, stdin);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stdin as AsyncIterable<string | Uint8Array>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      size += bytes.length;
      if (size > limit) break;
      chunks.push(bytes);
    }
  } catch (cause) {
    throw ioError(cause, 'read', 'standard input');
  }
  if (size > limit) {
    throw new PolicyError(`standard input is longer than ${limit} bytes (${bytesText(limit)})`, {
      code: 'FEATX_LIMIT_STDIN',
      hint: `raise the limit with --max-stdin BYTES, or give ${what} as a file, which is not read into memory`,
    });
  }
  return concat(chunks);
}
