import { crc32 } from 'node:zlib';

/** CRC-32 of bytes, continuing from `seed`. zlib answers 0 for no bytes, whatever the seed. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return bytes.length === 0 ? seed : crc32(bytes, seed);
}
