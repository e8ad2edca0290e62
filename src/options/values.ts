import { UsageError } from '../errors.js';
import { PROVIDERS, type Provider } from './choices.js';
import { nearestNames } from './nearest.js';

/** More indices than any model has features; a range past it is a slip. */
const MOST_INDICES = 100_000;
const INDICES_HINT = 'give integers and rising ranges, such as 1,2,3 or 0-3 or -2,-1';

/**
 * `1,2,3`, ranges `a-b`, negatives from the end: `0-3,-1` is 0, 1, 2, 3, -1. @throws UsageError naming every part that
 * is none of these
 */
export function parseIndices(flag: string, text: string, hint = INDICES_HINT): readonly number[] {
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
      hint,
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
 * `1,3,224,224` for the only input (name `''`), `NAME:1,3,224,224` for one of several (a name may hold colons: the
 * last one counts).
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

/** `TENSOR=OUTPUT`: a tensor's name may hold `=`; an output's name, by the last one, seldom does. @throws UsageError */
export function parsePair(flag: string, text: string, form = 'TENSOR=OUTPUT'): readonly [string, string] {
  const at = text.lastIndexOf('=');
  if (at < 1 || at === text.length - 1) throw new UsageError(`${flag} takes ${form}, not '${text}'`);
  return [text.slice(0, at), text.slice(at + 1)];
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

/** One of `count` equal parts of a list; `index` counts from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
  /** Where it came from, for people: `--shard`, or the name of a variable. */
  readonly from?: string;
}

/** More parts than any batch has items; a higher count is a slip. */
export const MOST_SHARDS = 1_000_000;

/** `3/8`; `from` is the flag or variable that says it. @throws UsageError */
export function parseShard(from: string, text: string): Shard {
  const [, index, count] = /^(\d{1,7})\/(\d{1,7})$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count), from };
  if (
    index === undefined ||
    shard.count < 1 ||
    shard.count > MOST_SHARDS ||
    shard.index < 1 ||
    shard.index > shard.count
  ) {
    throw new UsageError(`${from} takes I/N with I from 1 to N, not '${text}'`, {
      code: 'FEATX_USAGE_SHARD',
      hint: 'such as 1/8 for the first of eight parts; 1/1 for everything',
    });
  }
  return shard;
}

/** One of some words, in any case. @throws UsageError */
export function parseChoice<const V extends string>(flag: string, text: string, choices: readonly V[]): V {
  const found = inAnyCase(text, choices);
  if (found !== undefined) return found;
  const [near] = nearestNames(text, choices, 1);
  throw new UsageError(
    `${flag} takes one of ${choices.join(', ')}, not '${text}'`,
    near === undefined ? {} : { hint: `did you mean ${near}?` },
  );
}

function inAnyCase<const V extends string>(text: string, choices: readonly V[]): V | undefined {
  return choices.find((choice) => choice === text) ?? choices.find((each) => each.toLowerCase() === text.toLowerCase());
}

/** Names of execution providers. @throws UsageError */
export function parseProviders(flag: string, text: string): readonly Provider[] {
  return parseNames(flag, text).map((name) => {
    const known = inAnyCase(name, PROVIDERS);
    if (known === undefined)
      throw new UsageError(`${flag}: there is no '${name}'`, {
        hint: `${providerHint([name])}there are ${PROVIDERS.join(', ')}`,
      });
    return known;
  });
}

/** `auto`, or names in any case; those that are none stay as they are. @throws UsageError for an empty name */
export function parseProviderNames(flag: string, text: string): 'auto' | readonly string[] {
  const names = parseNames(flag, text).map((name) => inAnyCase(name, ['auto', ...PROVIDERS]) ?? name);
  return names.length === 1 && names[0] === 'auto' ? 'auto' : names;
}

/** What names may mean that are not those of execution providers; empty if nobody knows. */
export function providerHint(names: readonly string[]): string {
  const isGpu = names.some((name) => /^gpu(?::\d+)?$/i.test(name));
  const near = names.flatMap((name) => nearestNames(name, PROVIDERS, 1));
  if (isGpu) return 'a GPU is cuda or tensorrt (NVIDIA), dml (Windows), coreml (macOS) or webgpu; ';
  return near.length === 0 ? '' : `did you mean ${[...new Set(near)].join(',')}? `;
}
