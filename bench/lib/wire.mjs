// Protobuf messages as lists of chunks: bytes, or a number of bytes of payload that are only named. Files of any size
// are written from them without being held in memory.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** A whole number from 0 on as a varint. */
export function varint(value) {
  const bytes = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return Buffer.from(bytes);
}

/** A field whose value is a whole number. */
export const int = (number, value) => [Buffer.concat([varint(number * 8), varint(value)])];
/** A field of numbers that is repeated, one field for each. */
export const ints = (number, values) => values.flatMap((value) => int(number, value));
/** A field whose value is text. */
export const text = (number, value) => {
  const bytes = Buffer.from(value);
  return [Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])];
};
/** A payload of `size` bytes whose content does not matter. */
export const payload = (number, size) => [Buffer.concat([varint(number * 8 + 2), varint(size)]), size];

/** A field whose value is the message of these chunks. */
export function message(number, content) {
  const size = sizeOf(content);
  const header = Buffer.concat([varint(number * 8 + 2), varint(size)]);
  return content.every((chunk) => typeof chunk !== 'number')
    ? [Buffer.concat([header, ...content])]
    : [header, ...content];
}

/** How many bytes the chunks take, those that are only named included. */
export function sizeOf(chunks) {
  let size = 0;
  for (const chunk of chunks) size += typeof chunk === 'number' ? chunk : chunk.length;
  return size;
}

const NOISE = Buffer.alloc(1024 * 1024);
for (let at = 0, state = 1; at < NOISE.length; at++)
  NOISE[at] = (state = (state * 1103515245 + 12345) & 0x7fffffff) >>> 16;

/** Payloads are holes where `sparse`, else bytes that no file system can leave out. */
export function writeChunks(path, chunks, { sparse }) {
  const file = openSync(path, 'w');
  try {
    let at = 0;
    let pending = [];
    const flush = () => {
      const bytes = Buffer.concat(pending);
      pending = [];
      writeSync(file, bytes, 0, bytes.length, at);
      at += bytes.length;
    };
    for (const chunk of chunks) {
      if (typeof chunk !== 'number') {
        pending.push(chunk);
        continue;
      }
      flush();
      for (let left = sparse ? 0 : chunk; left > 0; left -= NOISE.length)
        writeSync(file, NOISE, 0, Math.min(left, NOISE.length), at + chunk - left);
      at += chunk;
    }
    flush();
    ftruncateSync(file, at);
    return at;
  } finally {
    closeSync(file);
  }
}
