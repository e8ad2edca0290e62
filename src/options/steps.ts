import { UsageError } from '../errors.js';
import { CASTS, CONCATS, POOLS, type Concat } from './choices.js';
import { BOOLEAN, choice, type Kind } from './kinds.js';
import { GROUPS, IN_MEMORY, type Rows } from './row.js';
import { isRecord } from './schema.js';

/** How a feature is pooled: `gem:3`, `mean:attention_mask`. */
export interface Pool {
  readonly kind: (typeof POOLS)[number];
  /** The exponent of `gem`. */
  readonly p: number;
  /** The input that says which tokens count, for `max`, `mean` and `last`; null if none is named. */
  readonly mask: string | null;
}

/** The exponent of GeM where none is given. @see https://arxiv.org/abs/1711.02512 */
const DEFAULT_P = 3;
const SPELLINGS = 'avg, max[:MASK], gem[:P], cls, mean[:MASK] or last[:MASK]';

/** What a text says of pooling; null if it says none. */
export function poolOf(text: string): Pool | null {
  const colon = text.indexOf(':');
  const kind = POOLS.find((known) => known === (colon < 0 ? text : text.slice(0, colon)));
  const rest = colon < 0 ? null : text.slice(colon + 1);
  if (kind === undefined || rest === '') return null;
  if (rest === null) return { kind, p: DEFAULT_P, mask: null };
  if (kind === 'max' || kind === 'mean' || kind === 'last') return { kind, p: DEFAULT_P, mask: rest };
  const p = Number(rest);
  return kind === 'gem' && /^\d+(\.\d+)?$/.test(rest) && p > 0 ? { kind, p, mask: null } : null;
}

const POOL: Kind<string> = {
  allowed: SPELLINGS,
  accepts: (value): value is string => typeof value === 'string' && poolOf(value) !== null,
  parse: readPool,
  schema: { type: 'string', minLength: 1 },
  fromConfig: (text: string) => readPool('pool', text),
};

function readPool(name: string, text: string): string {
  if (poolOf(text) === null) throw new UsageError(`${name} takes ${SPELLINGS}, not '${text}'`);
  return text;
}

/** An array in memory, as the library takes it. */
interface ArrayValue {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: ArrayLike<unknown>;
}

/** The matrix [channels, width] of a projection, and what is subtracted in front of it; or the files that hold them. */
export type Projecting = string | { readonly weights: ArrayValue; readonly mean?: ArrayValue };

const PROJECTING: Kind<Projecting, string> = {
  allowed: 'the path of a .npy file, two with a comma between them, or { weights, mean } as arrays',
  accepts: (value): value is Projecting =>
    (typeof value === 'string' && value !== '') ||
    (isRecord(value) && isArrayValue(value['weights']) && (value['mean'] === undefined || isArrayValue(value['mean']))),
  schema: { type: 'string', minLength: 1 },
  fromConfig: (paths) => paths,
};

function isArrayValue(value: unknown): value is ArrayValue {
  return (
    isRecord(value) &&
    typeof value['dtype'] === 'string' &&
    Array.isArray(value['shape']) &&
    (Array.isArray(value['data']) || ArrayBuffer.isView(value['data']))
  );
}

/** How maps of several strides come to one grid; true: bilinear. */
const CONCAT: Kind<boolean | Concat> = {
  allowed: `true, false, or one of ${CONCATS.join(', ')}`,
  accepts: (value): value is boolean | Concat => typeof value === 'boolean' || CONCATS.some((known) => known === value),
  parse: (flag, text) => {
    if (text === '') return true;
    const how = CONCATS.find((known) => known === text);
    if (how === undefined) throw new UsageError(`${flag} takes one of ${CONCATS.join(', ')}, not '${text}'`);
    return how;
  },
  schema: { type: ['boolean', 'string'] },
};

const CUTS = ['extract', 'run', 'cut', 'net', 'hookNet', IN_MEMORY[1]] as const;
const group = GROUPS.steps;

/** What is computed of each feature before it leaves, in this order. */
export const STEPPING = {
  /**
   * One vector per entry: `avg`, `max`, `max:attention_mask`, `gem:3`, `cls`, `mean:attention_mask`,
   * `last:attention_mask`.
   */
  pool: {
    kind: POOL,
    in: CUTS,
    flag: '--pool <kind>',
    elsewhere: ['--pooling'],
    help: `a vector of each feature: ${SPELLINGS}; MASK is an input`,
    group,
    config: 'pool',
    description: `A vector of each feature: ${SPELLINGS}; MASK is an input`,
  },
  /** All axes but the first in one. */
  flatten: {
    kind: BOOLEAN,
    in: CUTS,
    flag: '--flatten',
    help: 'all axes but the first in one',
    group,
    config: 'flatten',
  },
  /** A matrix that the channels are multiplied by; what is subtracted before it behind a comma. */
  project: {
    kind: PROJECTING,
    in: CUTS,
    flag: '--project <files>',
    help: 'multiply the channels by the matrix of W.npy [channels, width]; W.npy,MEAN.npy subtracts a mean before',
    group,
    config: 'project',
  },
  /** Vectors of length 1 along the channels. */
  normalize: {
    kind: BOOLEAN,
    in: CUTS,
    flag: '--normalize',
    elsewhere: ['--normalise', '--l2'],
    help: 'divide by the length along the channels (L2)',
    group,
    config: 'normalize',
  },
  /** All features as one, along the channels; maps on the finest grid. */
  concat: {
    kind: CONCAT,
    in: CUTS,
    flag: '--concat [how]',
    help: 'all features as one along the channels; maps are resized to the finest grid, linear (default) or nearest',
    group,
    config: 'concat',
  },
  /** The dtype of the result; int8 holds numbers from -1 to 1 as multiples of 1/127. */
  cast: {
    kind: choice(CASTS),
    in: CUTS,
    flag: '--cast <dtype>',
    elsewhere: ['--fp16', '--half', '--float16', '--dtype', '--precision'],
    help: 'float16, or int8 (multiples of 1/127, for normalised vectors)',
    group,
    config: 'cast',
  },
} as const satisfies Rows;
