import { READ_LIMITS } from './read-limits.js';
import { BYTES, count, DURATION, type Kind } from './kinds.js';
import { GROUPS, IN_MEMORY, PAGES, type Rows } from './row.js';

const group = GROUPS.limits;
const READING = [
  'inspect',
  'extract',
  'split',
  'common',
  'run',
  ...PAGES,
  'verify',
  'cut',
  'net',
  'hookNet',
  'model',
  ...IN_MEMORY,
] as const;
const RUNTIMES = [
  'inspect',
  'extract',
  'split',
  'common',
  'run',
  ...PAGES,
  'verify',
  'net',
  'hookNet',
  'session',
] as const;

/** Bodies are walked by recursion in some rooms; deeper than this, JavaScript's stack would be the limit. */
const DEEPEST_ALLOWED = 1_000;

/** Time for ONNX Runtime to work out shapes. */
export const SHAPES_SECONDS = 60;
/** Time for ONNX Runtime to open a model, and for each batch. */
export const RUN_SECONDS = 600;
/** Memory for ONNX Runtime where it works out shapes, which takes no weights. */
export const SHAPES_MEMORY_BYTES = 4 * 2 ** 30;
/** Half of what a protobuf message may be. */
export const MAX_STDIN_BYTES = 2 ** 30;

const TO_RUN = `time for opening the model and for each batch (default: ${RUN_SECONDS}, so that no model hangs a build)`;
const TO_RUN_MEMORY = 'memory of the process of ONNX Runtime (default: no limit; not on Windows)';

/** Bytes, or null for no limit. */
const BYTES_OR_NONE: Kind<number | null, number> = {
  allowed: `${BYTES.allowed}, or null for no limit`,
  accepts: (value): value is number | null => value === null || BYTES.accepts(value),
  parse: BYTES.parse,
};

/** What a model and the work on it may cost. Defaults and reasons of `limits.*` stand in their help. */
export const LIMITING = {
  /** Bytes of memory for the graph without its weights. */
  'limits.indexBytes': {
    kind: BYTES,
    default: READ_LIMITS.indexBytes,
    in: READING,
    flag: '--max-index <bytes>',
    help: 'memory for the graph without its weights (default: 512MiB, real networks take 1 to 4 KB for a node)',
    group,
    config: 'limits.index_bytes',
    description: 'Memory for the graph without its weights',
  },
  /** Messages inside messages. @see https://protobuf.dev/programming-guides/proto-limits */
  'limits.depth': {
    kind: count(1, DEEPEST_ALLOWED),
    default: READ_LIMITS.depth,
    in: READING,
    flag: '--max-depth <n>',
    help: 'messages inside messages (default: 100, the limit of protobuf in C++, Java and Python)',
    group,
    config: 'limits.depth',
    description: 'Messages inside messages',
  },
  /** Bytes of one name. */
  'limits.nameBytes': {
    kind: BYTES,
    default: READ_LIMITS.nameBytes,
    in: READING,
    flag: '--max-name <bytes>',
    help: 'length of one name (default: 64KiB, the longest that a zip entry can have)',
    group,
    config: 'limits.name_bytes',
    description: 'Length of one name',
  },
  /** Model-local functions. @see https://github.com/onnx/onnx/blob/main/onnx/checker.cc */
  'limits.functions': {
    kind: count(1),
    default: READ_LIMITS.functions,
    in: READING,
    flag: '--max-functions <n>',
    help: "model-local functions (default: 10000, the ONNX checker's limit)",
    group,
    config: 'limits.functions',
    description: 'Model-local functions',
  },
  /** Functions that call functions, one inside the other. */
  'limits.calls': {
    kind: count(1),
    default: READ_LIMITS.calls,
    in: READING,
    flag: '--max-calls <n>',
    help: "functions calling functions, one inside the other (default: 100, the ONNX checker's limit)",
    group,
    config: 'limits.calls',
    description: 'Functions calling functions, one inside the other',
  },
  /** Nodes that the calls of the main graph stand for, all functions expanded. */
  'limits.expansion': {
    kind: count(1),
    default: READ_LIMITS.expansion,
    in: READING,
    flag: '--max-expansion <n>',
    help: 'nodes that calls of functions stand for (default: 1000000, ONNX Runtime expands each and hangs)',
    group,
    config: 'limits.expansion',
    description: 'Nodes that calls of functions stand for',
  },
  maxStdin: {
    kind: BYTES,
    in: [],
    cli: ['inspect', 'extract', 'run', ...PAGES, 'verify'],
    flag: '--max-stdin <bytes>',
    help: 'largest model on standard input (default: 1GiB, it is held in memory)',
    group,
  },
  /** Resident memory of the process that works, in bytes; isolated only. Not on Windows. */
  memoryBytes: {
    kind: BYTES,
    in: [...RUNTIMES, 'batch'],
    flag: '--max-memory <bytes>',
    help: 'memory of the process of ONNX Runtime (default: 4GiB, it gets no weights; not on Windows)',
    group,
    config: 'memory_bytes',
    description: 'Resident memory that the work on an item may take',
    per: {
      run: { help: TO_RUN_MEMORY },
      verify: { help: TO_RUN_MEMORY },
      report: { help: TO_RUN_MEMORY },
      diff: { help: TO_RUN_MEMORY },
      batch: {
        kind: BYTES_OR_NONE,
        flag: '--memory <bytes>',
        help: 'memory that the work on an item may take (default: 4GiB; not on Windows)',
      },
    },
  },
  /** Time, in milliseconds; isolated only. */
  timeoutMs: {
    kind: DURATION,
    in: [...RUNTIMES, 'batch', 'init', 'doctor'],
    flag: '--timeout <seconds>',
    help: `time for ONNX Runtime to work out shapes (default: ${SHAPES_SECONDS}, so that no model hangs a build)`,
    group,
    config: 'timeout_seconds',
    description: 'Time that an item may take without making progress',
    per: {
      run: { help: TO_RUN },
      verify: { help: TO_RUN },
      report: { help: TO_RUN },
      diff: { help: TO_RUN },
      batch: { help: 'time that an item may take without making progress (default: 120)' },
      init: { help: 'time that a model may take (default: 120)', group: GROUPS.flags },
      doctor: { help: 'time for each of them (default: 60)', group: GROUPS.flags },
    },
  },
  /** Bytes of the values of one array in memory. */
  'tensorLimits.arrayBytes': {
    kind: BYTES,
    in: ['run', ...PAGES, 'verify'],
    flag: '--max-array <bytes>',
    help: 'values of one array of an input file (default: 4GiB, they are held in memory)',
    group,
  },
  /** Pixels of one picture. */
  'tensorLimits.pixels': {
    kind: count(1),
    in: ['run', ...PAGES, 'verify'],
    flag: '--max-pixels <n>',
    help: 'pixels of one picture (default: 268435456, 1 GB once decoded)',
    group,
  },
  /** Bytes of a header: numpy's dictionary, the JSON of safetensors, the directory of a zip archive. */
  'tensorLimits.headerBytes': { kind: BYTES, in: ['run', ...PAGES, 'verify'] },
  /** Arrays in one file. */
  'tensorLimits.arrays': { kind: count(1), in: ['run', ...PAGES, 'verify'] },
} as const satisfies Rows;
