import { PolicyError, UsageError } from '../errors.js';

/** What a model may cost; every limit guards against a hostile file and has a flag. */
export interface ReadLimits {
  /** Messages inside messages. */
  readonly depth: number;
  /** Bytes of memory for the graph without its weights. */
  readonly indexBytes: number;
  /** Bytes of one name. */
  readonly nameBytes: number;
  /** Model-local functions. */
  readonly functions: number;
  /** Functions that call functions, one inside the other. */
  readonly calls: number;
  /** Nodes that the calls of the main graph stand for, all functions expanded. */
  readonly expansion: number;
}

/** A limit as messages, `--help` and the documentation speak of it. */
export interface LimitFacts {
  readonly flag: string;
  readonly code: string;
  readonly default: number;
  readonly unit: 'bytes' | 'n';
  /** What it limits. */
  readonly what: string;
  /** Why the default is what it is. */
  readonly reason: string;
}

/**
 * The limits of the reader.
 * @see https://protobuf.dev/programming-guides/proto-limits (depth),
 * https://github.com/onnx/onnx/blob/main/onnx/checker.cc (functions, calls)
 */
export const LIMITS: { readonly [K in keyof ReadLimits]: LimitFacts } = {
  depth: {
    flag: '--max-depth',
    code: 'FEATX_WIRE_DEPTH',
    default: 100,
    unit: 'n',
    what: 'messages inside messages',
    reason: 'the limit of protobuf in C++, Java and Python',
  },
  indexBytes: {
    flag: '--max-index',
    code: 'FEATX_LIMIT_INDEX',
    default: 512 * 2 ** 20,
    unit: 'bytes',
    what: 'memory for the graph without its weights',
    reason: 'real networks take 1 to 4 KB for a node',
  },
  nameBytes: {
    flag: '--max-name',
    code: 'FEATX_LIMIT_NAME',
    default: 64 * 2 ** 10,
    unit: 'bytes',
    what: 'length of one name',
    reason: 'the longest that a zip entry can have',
  },
  functions: {
    flag: '--max-functions',
    code: 'FEATX_LIMIT_FUNCTIONS',
    default: 10_000,
    unit: 'n',
    what: 'model-local functions',
    reason: "the ONNX checker's limit",
  },
  calls: {
    flag: '--max-calls',
    code: 'FEATX_LIMIT_CALLS',
    default: 100,
    unit: 'n',
    what: 'functions calling functions, one inside the other',
    reason: "the ONNX checker's limit",
  },
  expansion: {
    flag: '--max-expansion',
    code: 'FEATX_LIMIT_EXPANSION',
    default: 1_000_000,
    unit: 'n',
    what: 'nodes that calls of functions stand for',
    reason: 'ONNX Runtime expands each and hangs',
  },
};

/** Expansions from here on are worth a warning. */
export const LARGE_EXPANSION = 10_000;

/** Bodies are walked by recursion in some rooms; deeper than this, JavaScript's stack would be the limit. */
const DEEPEST = 1_000;

/** What is read unless a caller sets other limits. */
export const DEFAULT_LIMITS: ReadLimits = {
  depth: LIMITS.depth.default,
  indexBytes: LIMITS.indexBytes.default,
  nameBytes: LIMITS.nameBytes.default,
  functions: LIMITS.functions.default,
  calls: LIMITS.calls.default,
  expansion: LIMITS.expansion.default,
};

/**
 * The limits with their defaults.
 * @throws UsageError where one is no whole number from 1 on, or `depth` is above 1,000
 */
export function readLimits(limits: Partial<ReadLimits> = {}): ReadLimits {
  const whole: ReadLimits = {
    ...DEFAULT_LIMITS,
    ...Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
  };
  for (const [name, { flag }] of Object.entries(LIMITS) as [keyof ReadLimits, LimitFacts][]) {
    const most = name === 'depth' ? DEEPEST : Number.MAX_SAFE_INTEGER;
    if (!Number.isSafeInteger(whole[name]) || whole[name] < 1 || whole[name] > most)
      throw new UsageError(`${flag} (limits.${name}) is ${whole[name]}; it is a whole number from 1 to ${most}`);
  }
  return whole;
}

/** How to go beyond a limit, for hints. */
export function raiseHint(name: keyof ReadLimits): string {
  const { flag, unit } = LIMITS[name];
  return `raise the limit with ${flag} ${unit === 'bytes' ? 'BYTES' : 'N'} (limits.${name}) if you trust this file`;
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
    { ...where, code: LIMITS[name].code, hint: raiseHint(name) },
  );
}
