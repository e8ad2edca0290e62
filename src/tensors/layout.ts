import { elementCount } from '../onnx/types.js';
import { byteLength } from './tensor.js';

/** numpy keeps text as UTF-32. */
export const CHARACTER_BYTES = 4;

/** An array as a file will hold it; its values come later, rows at a time. */
export interface ArraySpec {
  readonly key: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Characters of the longest string, for arrays of strings in formats that give each the same room. */
  readonly characters?: number;
}

/** Bytes that the values of an array take. */
export function specBytes({ dtype, shape, characters }: ArraySpec): number {
  return characters === undefined
    ? (byteLength(dtype, shape) ?? 0)
    : CHARACTER_BYTES * characters * (elementCount(shape) ?? 0);
}

/** Bytes and where in the file they go. */
export interface PlacedBytes {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/**
 * Where everything goes in a file whose arrays are known by dtype and shape: values are written in place as they come,
 * in any order, and `frame` adds what is around them.
 */
export interface FileLayout {
  readonly size: number;
  /** Where the values of each array begin. */
  readonly offsets: readonly number[];
  /** CRC-32 of the bytes that precede the values of each array in its entry; null if the format has no checksums. */
  readonly checksumSeeds: readonly number[] | null;
  /** All bytes that are not values. `checksums`: CRC-32 of each entry, its seed continued over its values. */
  frame(checksums: readonly number[]): readonly PlacedBytes[];
}
