import { UsageError } from '../errors.js';

/** More indices than any model has features; a range past it is a slip. */
const MOST_INDICES = 100_000;

/** `1,2,3`, ranges `a-b`, negatives from the end: `0-3,-1` is 0, 1, 2, 3, -1. @throws UsageError naming every part that is none of these */
export function parseIndices(flag: string, text: string): readonly number[] {
  const indices: number[] = [];
  const wrong: string[] = [];
  for (const part of text.split(',').map((item) => item.trim())) {
    const [, from, to] = /^(-?\d{1,9})(?:-(-?\d{1,9}))?$/.exec(part) ?? [];
    const first = Number(from);
    const last = to === undefined ? first : Number(to);
    if (from === undefined || last < first || (first < 0 && last >= 0) || indices.length + last - first >= MOST_INDICES)
      wrong.push(part);
    else for (let index = first; index <= last; index++) indices.push(index);
  }
  if (wrong.length > 0) {
    throw new UsageError(`${flag} cannot read ${wrong.map((part) => `'${part}'`).join(', ')} as indices`, {
      hint: 'give integers and rising ranges, such as 1,2,3 or 0-3 or -2,-1',
    });
  }
  return indices;
}

/** A whole number from `least` on. @throws UsageError */
export function parseCount(flag: string, text: string, least: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!(value >= least)) throw new UsageError(`${flag} takes a whole number from ${least} on, not '${text}'`);
  return value;
}

const UNITS: { readonly [unit: string]: number } = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  ki: 2 ** 10,
  kib: 2 ** 10,
  mi: 2 ** 20,
  mib: 2 ** 20,
  gi: 2 ** 30,
  gib: 2 ** 30,
  ti: 2 ** 40,
  tib: 2 ** 40,
};

/** `1048576`, `64MiB`, `2GB`. @throws UsageError */
export function parseBytes(flag: string, text: string): number {
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = unit === undefined || !Object.hasOwn(UNITS, unit.toLowerCase()) ? NaN : UNITS[unit.toLowerCase()];
  const bytes = Math.floor(Number(digits) * factor);
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER))
    throw new UsageError(`${flag} takes a number of bytes such as 1048576, 64MiB or 2GB, not '${text}'`);
  return bytes;
}

/**
 * `1,3,224,224` for the only input (name `''`), `NAME:1,3,224,224` for one of several (a name may hold colons: the last one counts).
 * @throws UsageError
 */
export function parseInputShape(
  flag: string,
  text: string,
): { readonly name: string; readonly shape: readonly number[] } {
  const colon = text.lastIndexOf(':');
  const sizes = text
    .slice(colon + 1)
    .split(',')
    .map((size) => size.trim());
  if (sizes.some((size) => !/^\d{1,10}$/.test(size) || Number(size) === 0)) {
    throw new UsageError(`${flag} takes sizes such as 1,3,224,224 or NAME:1,3,224,224, not '${text}'`, {
      hint: 'every size is a whole number from 1 on',
    });
  }
  return { name: colon < 0 ? '' : text.slice(0, colon), shape: sizes.map(Number) };
}

/** `a,b,c`; empty entries are refused. @throws UsageError */
export function parseNames(flag: string, text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes(''))
    throw new UsageError(`${flag} '${text}' holds an empty name`, {
      hint: 'separate names by single commas: p2,p3,p4',
    });
  return names;
}

/** One number for all channels, or three. @throws UsageError */
export function parsePerChannel(flag: string, text: string): readonly number[] {
  return parseFractions(flag, text, text.includes(',') ? 3 : 1);
}

/** `count` numbers, `0.485,0.456,0.406`. @throws UsageError */
export function parseFractions(flag: string, text: string, count: number): readonly number[] {
  const parts = text.split(',').map((part) => part.trim());
  const values = parts.map((part) => (/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(part) ? Number(part) : NaN));
  if (values.length !== count || values.some((value) => !Number.isFinite(value))) {
    throw new UsageError(
      `${flag} takes ${count === 1 ? 'a number' : `${count} numbers separated by commas`}, not '${text}'`,
    );
  }
  return values;
}

/** `224`, or height and width `224,256`. @throws UsageError */
export function parseSize(flag: string, text: string): number | readonly [number, number] {
  const sizes = text.split(',').map((part) => parseCount(flag, part.trim(), 1));
  if (sizes.length > 2) throw new UsageError(`${flag} takes a size or height,width, not '${text}'`);
  return sizes.length === 1 ? sizes[0] : [sizes[0], sizes[1]];
}
