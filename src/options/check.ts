import { UsageError } from '../errors.js';
import { nearestNames } from './nearest.js';
import type { OptionSet, Row } from './row.js';
import { isRecord } from './schema.js';
import { optionsOf } from './table.js';
import type { OptionKeys } from './types.js';

/**
 * Holds the options that a function was called with against the table. TypeScript refuses a type with an option that
 * the table does not have.
 * @throws UsageError `FEATX_USAGE_OPTION` naming every option that there is not, with the nearest, and every value
 * that is not allowed
 */
export function checkOptions<S extends OptionSet, O extends object>(
  set: S,
  options: O & { readonly [K in Exclude<keyof O, OptionKeys<S>>]: never },
): void {
  const given: unknown = options;
  if (!isRecord(given))
    throw new UsageError(`the options of ${set} are ${shown(given)}, not an object`, { code: 'FEATX_USAGE_OPTION' });
  const rows = new Map<string, Row>(optionsOf(set));
  const objects = new Set([...rows.keys()].flatMap((key) => (key.includes('.') ? [key.split('.')[0]] : [])));
  const found: OptionFault[] = [];
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!objects.has(key)) checkValue(key, value, set, rows, found);
    else if (!isRecord(value)) found.push({ key, text: `\`${key}\` is ${shown(value)}, not an object` });
    else
      for (const [name, inner] of Object.entries(value))
        if (inner !== undefined) checkValue(`${key}.${name}`, inner, set, rows, found);
  }
  if (found.length === 0) return;
  throw new UsageError(found.map(({ text }) => text).join('; '), {
    code: 'FEATX_USAGE_OPTION',
    field: found[0].key,
    hint: found.some(({ isUnknown }) => isUnknown) ? takes(set, [...rows.keys()]) : undefined,
  });
}

/**
 * A call of the library: holds its options against the table, and ends an aborted one with the reason of its signal
 * (an `AbortError`, unless the caller gave another), whatever the abort met.
 * @throws UsageError as `checkOptions` does
 */
export async function called<T, S extends OptionSet, O extends { readonly signal?: AbortSignal }>(
  set: S,
  options: O & { readonly [K in Exclude<keyof O, OptionKeys<S>>]: never },
  work: () => Promise<T>,
): Promise<T> {
  checkOptions<S, O>(set, options);
  return abortable(options.signal, work);
}

/** Work that ends with the reason of a signal once that is aborted, whatever the abort met. */
export async function abortable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

interface OptionFault {
  readonly key: string;
  readonly text: string;
  readonly isUnknown?: boolean;
}

function checkValue(
  key: string,
  value: unknown,
  set: OptionSet,
  rows: ReadonlyMap<string, Row>,
  found: OptionFault[],
): void {
  const row = rows.get(key);
  if (row === undefined) {
    const near = nearestNames(key, rows.keys(), 2);
    const instead = near.length === 0 ? '' : `; did you mean ${near.map((name) => `\`${name}\``).join(' or ')}?`;
    found.push({ key, text: `${set} has no option \`${key}\`${instead}`, isUnknown: true });
    return;
  }
  const kind = row.per?.[set]?.kind ?? row.kind;
  if (!kind.accepts(value)) found.push({ key, text: `\`${key}\` is ${shown(value)}, not ${kind.allowed}` });
}

function takes(set: OptionSet, keys: readonly string[]): string {
  return `${set} takes ${[...keys].sort().join(', ')}`;
}

/** @throws UsageError if a path is not a text that is not empty */
export function assertPath(what: string, path: unknown): asserts path is string {
  if (typeof path === 'string' && path !== '') return;
  throw new UsageError(`${what} is ${shown(path)}, not a path`, { code: 'FEATX_USAGE_OPTION' });
}

/** @throws UsageError if a value is not a list, or has an entry that is not what it must be */
export function assertList<T>(
  what: string,
  list: unknown,
  wanted: string,
  isEntry: (entry: unknown) => boolean,
): asserts list is readonly T[] {
  if (Array.isArray(list) && list.every(isEntry)) return;
  throw new UsageError(`${what} are ${shown(list)}, not a list of ${wanted}`, { code: 'FEATX_USAGE_OPTION' });
}

/** @throws UsageError if a value is not a list of paths */
export function assertPaths(what: string, list: unknown): asserts list is readonly string[] {
  assertList<string>(what, list, 'paths', (path) => typeof path === 'string' && path !== '');
}

const LONGEST_SHOWN = 60;

/** A value of any kind, short enough for a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return clipped(`'${value}'`);
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (value instanceof Map) return clipped(`a Map of ${JSON.stringify([...value]) ?? ''}`);
  try {
    return clipped(JSON.stringify(value) ?? 'an object');
  } catch {
    // A circle, or a BigInt inside.
    return 'an object';
  }
}

function clipped(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text;
}
