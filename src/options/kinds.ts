import { UsageError } from '../errors.js';
import { mapOf, type ByName } from './by-name.js';
import { violations, isRecord, type Schema } from './schema.js';
import {
  parseBytes,
  parseChoice,
  parseCount,
  parseFractions,
  parseNames,
  parsePair,
  parsePerChannel,
  parseProviderNames,
  parseShard,
  parseSize,
  type Shard,
} from './values.js';

/**
 * What an option may be, in each of its spellings: a value of the library (`T`), the text behind a flag, a value of a
 * config (`C`).
 */
export interface Kind<T, C = T> {
  /** What is allowed, after "it is": `a whole number from 1 on`. */
  readonly allowed: string;
  /** Whether the library takes this value. */
  readonly accepts: (value: unknown) => value is T;
  /** The words to choose from, where that is all. */
  readonly choices?: readonly string[];
  /** Reads the text behind a flag; as it stands by default. @throws UsageError */
  readonly parse?: (flag: string, text: string) => T;
  /** What a flag that is given again makes of both values; the last one counts by default. @throws UsageError */
  readonly add?: (flag: string, before: T, next: T) => T;
  /** The texts behind its flag that say a value; by default it as text, lists with commas. */
  readonly spell?: (value: T) => readonly string[];
  /** Its form in a config. */
  readonly schema?: Schema;
  /** A config's value as the library's, where they differ. */
  readonly fromConfig?: (value: C) => T;
}

/** Kinds whose values are JSON: a config's value is the library's, and one schema holds both. */
function plain<T>(allowed: string, schema: Schema, more: Partial<Kind<NoInfer<T>>> = {}): Kind<T> {
  return {
    allowed,
    schema,
    accepts: (value: unknown): value is T => violations(value, schema).length === 0,
    ...more,
  };
}

/** Yes or no. */
export const BOOLEAN: Kind<boolean> = plain('true or false', { type: 'boolean' });

/** One text. */
export const TEXT: Kind<string> = plain('a text that is not empty', { type: 'string', minLength: 1 });

/** Texts, each by a flag of its own. */
export const TEXTS: Kind<readonly string[]> = plain<readonly string[]>(
  'a list of texts',
  { type: 'array', items: { type: 'string', minLength: 1 } },
  { parse: (_flag, text) => [text], add: (_flag, before, next) => [...before, ...next], spell: (texts) => texts },
);

/** One word out of some; behind a flag in any case. */
export function choice<const V extends readonly string[]>(choices: V): Kind<V[number]> {
  return plain(
    `one of ${choices.join(', ')}`,
    { type: 'string', enum: choices },
    { choices, parse: (flag, text) => parseChoice(flag, text, choices) },
  );
}

/** A whole number from `least` to `most`. */
export function count(least: number, most = Number.MAX_SAFE_INTEGER): Kind<number> {
  return plain(
    `a whole number from ${least} ${most === Number.MAX_SAFE_INTEGER ? 'on' : `to ${most}`}`,
    { type: 'integer', minimum: least, maximum: most },
    { parse: (flag, text) => parseCount(flag, text, least) },
  );
}

/** A number of bytes: `64MiB` behind a flag. */
export const BYTES: Kind<number> = plain(
  'a whole number of bytes from 1 on',
  { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
  { parse: parseBytes },
);

/** A longer timer fires at once. @see https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
const LONGEST_TIMEOUT_S = Math.floor(LONGEST_TIMEOUT_MS / 1_000);

/** Milliseconds in the library, seconds elsewhere. */
export const DURATION: Kind<number> = {
  allowed: `a number of milliseconds above 0, at most ${LONGEST_TIMEOUT_MS}`,
  accepts: (value): value is number => typeof value === 'number' && value > 0 && value <= LONGEST_TIMEOUT_MS,
  parse: (flag, text) => {
    const seconds = parseCount(flag, text, 1);
    if (seconds <= LONGEST_TIMEOUT_S) return seconds * 1_000;
    throw new UsageError(`${flag} takes a whole number of seconds from 1 to ${LONGEST_TIMEOUT_S}, not '${text}'`);
  },
  schema: { type: 'number', minimum: 0.001, maximum: 1_000_000 },
  spell: (ms) => [String(ms / 1_000)],
  fromConfig: (seconds) => seconds * 1_000,
};

/** Any number. */
export function fraction(allowed: string): Kind<number> {
  return plain(allowed, { type: 'number' }, { parse: (flag, text) => parseFractions(flag, text, 1)[0] });
}

/** Names separated by commas. */
export const NAMES: Kind<readonly string[]> = {
  allowed: 'a list of names',
  accepts: isListOf((name) => typeof name === 'string'),
  parse: parseNames,
  schema: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1, description: 'A name' } },
};

/** One name behind a flag. */
export const NAME: Kind<string> = plain(
  'a name',
  { type: 'string', minLength: 1 },
  {
    parse: (flag, name) => {
      if (name === '') throw new UsageError(`${flag} takes a name, not ''`);
      return name;
    },
  },
);

/** Names by name: `TENSOR=OUTPUT`. */
export const PAIRS: Kind<ByName<string>> = {
  allowed: 'a Map or an object from names to names',
  accepts: isByName((name): name is string => typeof name === 'string'),
  parse: (flag, text) => new Map([parsePair(flag, text)]),
  add: (_flag, before, next) => new Map([...mapOf(before), ...mapOf(next)]),
  spell: (pairs) => [...mapOf(pairs)].map((pair) => pair.join('=')),
};

/** Execution providers in the order to try them, or `auto`. */
export const PROVIDER_NAMES: Kind<'auto' | readonly string[]> = {
  allowed: "'auto' or a list of execution providers",
  accepts: (value): value is 'auto' | readonly string[] => value === 'auto' || NAMES.accepts(value),
  parse: parseProviderNames,
};

/** Height and width, or one number for both. */
export const SIZE: Kind<number | readonly [height: number, width: number]> = {
  allowed: 'a whole number of pixels from 1 on, or [height, width]',
  accepts: (value): value is number | readonly [number, number] =>
    isCount(value) || (Array.isArray(value) && value.length === 2 && value.every(isCount)),
  parse: parseSize,
};

/** One number for all channels, or three. */
export const PER_CHANNEL: Kind<readonly number[]> = {
  allowed: 'a list of one or three numbers',
  accepts: (value): value is readonly number[] =>
    isListOf(Number.isFinite)(value) && (value.length === 1 || value.length === 3),
  parse: parsePerChannel,
};

/** A part of the work: `3/8` behind a flag. */
export const SHARD: Kind<Shard> = {
  allowed: '{ index, count } with index from 1 to count',
  accepts: (value): value is Shard =>
    isRecord(value) && isCount(value.index) && isCount(value.count) && value.index <= value.count,
  parse: parseShard,
};

/** A value that only a program can give: an object with these methods. */
export function live<T>(allowed: string, ...methods: readonly string[]): Kind<T> {
  return {
    allowed,
    accepts: (value): value is T =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((method) => typeof Reflect.get(value, method) === 'function'),
  };
}

/** A function that is called back. */
export function callback<T>(): Kind<T> {
  return { allowed: 'a function', accepts: (value): value is T => typeof value === 'function' };
}

/** Whether a value is a whole number from 1 on. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

/** Whether a value is a list whose entries are all as `isEntry` says. */
export function isListOf<T>(isEntry: (entry: unknown) => boolean): (value: unknown) => value is readonly T[] {
  return (value): value is readonly T[] => Array.isArray(value) && value.every((entry) => isEntry(entry));
}

/** Whether a value is a Map or a plain object whose values are all as `isValue` says. */
export function isByName<T>(isValue: (value: unknown) => value is T): (value: unknown) => value is ByName<T> {
  return (value): value is ByName<T> => {
    if (value instanceof Map) return [...value].every(([name, inner]) => typeof name === 'string' && isValue(inner));
    return isRecord(value) && isPlain(value) && Object.values(value).every(isValue);
  };
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
