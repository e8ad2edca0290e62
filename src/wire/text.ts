/**
 * Names as JavaScript strings and back. A protobuf string that is not UTF-8 still names a tensor, so every byte that is
 * not part of a well-formed sequence becomes U+DC80..U+DCFF (Python's `surrogateescape`): equality of strings is
 * equality of bytes.
 */

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Decodes `bytes[start, end)`; reversible for any bytes. */
export function decodeText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  const slice = bytes.subarray(start, end);
  try {
    return strict.decode(slice);
  } catch {
    return decodeEscaped(slice);
  }
}

function decodeEscaped(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) text += String.fromCharCode(0xdc00 + bytes[at++]);
    else {
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/**
 * Length of the well-formed UTF-8 sequence at `at`, or 0.
 * @see https://www.unicode.org/versions/Unicode15.0.0/ch03.pdf table 3-7
 */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1];
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let index = 2; index < length; index++) if (bytes[at + index] >> 6 !== 2) return 0;
  return length;
}

/** The bytes that `decodeText` read. */
export function encodeText(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return encoder.encode(text);
  const bytes: number[] = [];
  // Character by character: a half of a pair is none by itself.
  for (const char of text) {
    if (/^[\udc80-\udcff]$/.test(char)) bytes.push(char.charCodeAt(0) - 0xdc00);
    else bytes.push(...encoder.encode(char));
  }
  return Uint8Array.from(bytes);
}

/** Whether a name holds bytes that are not UTF-8. */
export function isEscaped(text: string): boolean {
  return /[\udc80-\udcff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''));
}

/** Foreign text without characters that steer a terminal. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`,
  );
}
