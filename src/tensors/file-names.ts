import { createHash } from 'node:crypto';
import { encodeText, isEscaped } from '../wire/text.js';

/**
 * Names that Windows gives to devices, with any extension.
 * @see https://learn.microsoft.com/windows/win32/fileio/naming-a-file
 */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;
const LONGEST_FILE_NAME = 180;
const LONGEST_ZIP_NAME = 65_000;

function hash(name: string, digits: number): string {
  return createHash('sha256').update(encodeText(name)).digest('hex').slice(0, digits);
}

/** How each byte stands in an encoded name; the dot, inside a name, stands for itself. */
const ENCODED = Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9_-]/.test(String.fromCharCode(byte))
    ? String.fromCharCode(byte)
    : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);
const DOT = 0x2e;

/** A name with every byte but letters, digits, `_`, `-` and inner dots as `%XX`. */
export function percentEncode(name: string): string {
  const bytes = encodeText(name);
  let text = '';
  for (let at = 0; at < bytes.length; at++)
    text += bytes[at] === DOT && at > 0 && at < bytes.length - 1 ? '.' : ENCODED[bytes[at]];
  return text;
}

/**
 * File names (without extension) for tensors, safe and distinct on every system, in the order of `names`. Long and
 * colliding ones end in a hash.
 */
export function safeFileNames(names: readonly string[]): string[] {
  const encoded = names.map((name) => {
    const text = percentEncode(name);
    const safe =
      text === ''
        ? '%'
        : DEVICE.test(text)
          ? `%${text.charCodeAt(0).toString(16).toUpperCase()}${text.slice(1)}`
          : text;
    return safe.length > LONGEST_FILE_NAME ? `${safe.slice(0, LONGEST_FILE_NAME - 17)}-${hash(name, 16)}` : safe;
  });
  return distinct(names, encoded);
}

/** Names under which an archive would be unpacked outside of its folder: `..` on the way, or a drive of Windows. */
const LEADS_OUT = /(^|[/\\:])\.\.([/\\]|$)|^\\|^[A-Za-z]:[/\\]/;

/**
 * Keys for an archive: the names themselves but where its readers cannot hold them, or would unpack them elsewhere. A
 * slash in front, as names of PyTorch's exporters have, stays: whatever unpacks archives takes it off.
 */
export function archiveKeys(names: readonly string[]): string[] {
  return keysOf(names, { isBad: (name) => LEADS_OUT.test(name) });
}

/** Keys for a header or for columns: the names themselves but where a format or its readers cannot hold them. */
export function headerKeys(names: readonly string[], reserved: readonly string[]): string[] {
  return keysOf(names, { reserved });
}

interface KeyRules {
  readonly reserved?: readonly string[];
  readonly isBad?: (name: string) => boolean;
}

function keysOf(names: readonly string[], { reserved = [], isBad = () => false }: KeyRules): string[] {
  const keys = names.map((name) => {
    const unfit = name === '' || name.includes('\0') || isEscaped(name) || reserved.includes(name) || isBad(name);
    if (unfit)
      return name === ''
        ? '%'
        : reserved.includes(name)
          ? `%${name.charCodeAt(0).toString(16).toUpperCase()}${name.slice(1)}`
          : percentEncode(name);
    return encodeText(name).length > LONGEST_ZIP_NAME
      ? `${percentEncode(name).slice(0, LONGEST_FILE_NAME)}-${hash(name, 16)}`
      : name;
  });
  return distinct(names, keys, (key) => key);
}

/**
 * Adds a hash to names that fall together, here on file systems that fold case; and a number where even that is
 * another's name.
 */
function distinct(
  names: readonly string[],
  keys: readonly string[],
  fold: (key: string) => string = (key) => key.toLowerCase(),
): string[] {
  const count = new Map<string, number>();
  for (const key of keys) count.set(fold(key), (count.get(fold(key)) ?? 0) + 1);
  const taken = new Set(count.keys());
  return keys.map((key, index) => {
    if (count.get(fold(key)) === 1) return key;
    const hashed = `${key}-${hash(names[index], 8)}`;
    let free = hashed;
    for (let number = 2; taken.has(fold(free)); number++) free = `${hashed}-${number}`;
    taken.add(fold(free));
    return free;
  });
}
