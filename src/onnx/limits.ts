import { PolicyError } from '../errors.js';
import { checkOptions } from '../options/check.js';
import { READ_LIMITS } from '../options/read-limits.js';
import type { OptionsIn } from '../options/types.js';
import { ANY, option } from '../options/words.js';

/** What a model may cost; every limit guards against a hostile file and has a flag. */
export type ReadLimits = Required<OptionsIn<'limits'>>;

/** What the refusal of each is called. */
const LIMIT_CODES: { readonly [K in keyof ReadLimits]: string } = {
  depth: 'FEATX_WIRE_DEPTH',
  indexBytes: 'FEATX_LIMIT_INDEX',
  nameBytes: 'FEATX_LIMIT_NAME',
  functions: 'FEATX_LIMIT_FUNCTIONS',
  calls: 'FEATX_LIMIT_CALLS',
  expansion: 'FEATX_LIMIT_EXPANSION',
};

/** Expansions from here on are worth a warning. */
export const LARGE_EXPANSION = 10_000;

/** What is read unless a caller sets other limits. */
export const DEFAULT_LIMITS: ReadLimits = READ_LIMITS;

/**
 * The limits with their defaults.
 * @throws UsageError if one is not a whole number from 1 on, `depth` is above 1,000, or there is no such limit
 */
export function readLimits(limits: Partial<ReadLimits> = {}): ReadLimits {
  checkOptions('model', { limits });
  return {
    ...DEFAULT_LIMITS,
    ...Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
  };
}

/** How to go beyond a limit, for hints. */
export function raiseHint(name: keyof ReadLimits): string {
  return `raise the limit with ${option(`limits.${name}`, ANY)} if you trust this file`;
}

/** The refusal of a file that goes beyond a limit; `problem` says what was seen. */
export function overLimit(
  name: keyof ReadLimits,
  limit: number,
  problem: string,
  where: { readonly path?: string; readonly offset?: number; readonly field?: string },
): PolicyError {
  return new PolicyError(
    `${where.path ?? 'the model'}: ${problem}, more than ${limit}${where.offset === undefined ? '' : ` (byte ${where.offset})`}`,
    { ...where, code: LIMIT_CODES[name], hint: raiseHint(name) },
  );
}
