import { ModelFormatError, UsageError } from '../errors.js';
import { CHARACTER_BYTES } from './layout.js';

/** Characters of the longest of some strings, at least one: numpy has no text of no width. */
export function longestOf(strings: readonly string[]): number {
  return strings.reduce((most, text) => Math.max(most, Array.from(text).length), 1);
}

/**
 * Strings as numpy's `<U` arrays keep them: UTF-32, each filled up with zeros to one length.
 * @throws UsageError for a string that ends in a zero, which nobody could read back
 */
export function encodeStrings(strings: readonly string[], characters: number, name: string): Uint8Array {
  const bytes = new Uint8Array(strings.length * characters * CHARACTER_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, text] of strings.entries()) {
    if (text.endsWith('\0'))
      throw new UsageError(`a string of ${name} ends in a zero character, which .npy and .npz cannot keep`, {
        hint: 'write .jsonl or .parquet',
      });
    let at = index * characters * CHARACTER_BYTES;
    for (const character of text) {
      view.setUint32(at, character.codePointAt(0) ?? 0, true);
      at += CHARACTER_BYTES;
    }
  }
  return bytes;
}

const LAST_CODE_POINT = 0x10ffff;

/** An array of text as its header says it is. */
interface TextArray {
  readonly count: number;
  /** Room of each, which may be none. */
  readonly characters: number;
  readonly littleEndian: boolean;
  readonly name: string;
}

/** The strings of a `<U` or `>U` array. @throws ModelFormatError for what is not a character */
export function decodeStrings(bytes: Uint8Array, { count, characters, littleEndian, name }: TextArray): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const width = characters * CHARACTER_BYTES;
  const strings: string[] = [];
  for (let start = 0; strings.length < count; start += width) {
    const codes: number[] = [];
    for (let at = start; at < start + width; at += CHARACTER_BYTES) {
      const code = view.getUint32(at, littleEndian);
      if (code > LAST_CODE_POINT)
        throw new ModelFormatError(`${name}: ${code} is not a character`, { code: 'FEATX_TENSOR_FORMAT', path: name });
      codes.push(code);
    }
    while (codes.at(-1) === 0) codes.pop();
    strings.push(codes.map((code) => String.fromCodePoint(code)).join(''));
  }
  return strings;
}
