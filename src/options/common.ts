import { HOOK_TYPES } from './choices.js';
import { INDICES, type Indices } from './feature-kinds.js';
import { BOOLEAN, callback, choice, live, type Kind } from './kinds.js';
import { GROUPS, IN_MEMORY, PAGES, type CommandName, type Rows } from './row.js';

const group = GROUPS.common;
const EVERY = [
  'inspect',
  'extract',
  'split',
  'common',
  'run',
  'verify',
  'batch',
  'init',
  'merge',
  'doctor',
  'cache',
  'page',
  ...PAGES,
] as const satisfies readonly CommandName[];
const NETS = ['net', 'hookNet'] as const;

/** Flags of every command. */
export const COMMON = {
  json: {
    kind: BOOLEAN,
    in: [],
    cli: EVERY,
    flag: '--json',
    help: 'print one report record as JSON on standard output',
    group,
  },
  quiet: { kind: BOOLEAN, in: [], cli: EVERY, flag: '--quiet', help: 'print results and errors only', group },
  color: {
    kind: BOOLEAN,
    in: [],
    cli: EVERY,
    flag: '--no-color',
    gives: false,
    help: 'no colours (NO_COLOR does the same)',
    group,
  },
  /** Warnings become errors. */
  strict: {
    kind: BOOLEAN,
    in: ['inspect', 'extract', 'split', 'common', 'run', ...PAGES, 'cut'],
    cli: EVERY,
    flag: '--strict',
    help: 'treat warnings as errors',
    group,
    config: 'strict',
  },
  debug: { kind: BOOLEAN, in: [], cli: EVERY, flag: '--debug', help: 'print stack traces', group },
} as const satisfies Rows;

/** What only a program can give. */
export const LIVE = {
  /** Ends the work at once when it is aborted. */
  signal: {
    kind: live<AbortSignal>('an AbortSignal', 'addEventListener', 'throwIfAborted'),
    in: [
      'inspect',
      'extract',
      'split',
      'common',
      'run',
      'verify',
      'batch',
      'init',
      'doctor',
      'cache',
      'page',
      ...PAGES,
      ...NETS,
      'session',
      'model',
    ],
  },
  fileSystem: {
    kind: live<unknown>('a file system', 'open', 'stat'),
    in: [...EVERY, ...NETS, 'model', 'session'],
  },
  /** A process of ONNX Runtime that was started early; it stays open. */
  child: { kind: live<unknown>('a child process of ONNX Runtime'), in: ['inspect', 'extract'] },
  /** How features are looked for. */
  resolve: {
    kind: live<unknown>('an object'),
    in: ['inspect', 'extract', 'split', 'common', 'run', ...PAGES, ...NETS, ...IN_MEMORY],
  },
  /** Opens the files that a model keeps weights in. */
  files: { kind: live<unknown>('what opens files', 'open'), in: ['extractBytes'] },
  onProgress: { kind: callback<unknown>(), in: ['extract', 'split', 'common', 'run', 'batch', 'doctor'] },
  /** Told what is about to be downloaded. */
  onFetch: { kind: callback<unknown>(), in: ['doctor'] },
  /** Says what a page warns of in other words, as the command line does. */
  inWords: { kind: callback<(message: string) => string>(), in: PAGES },
  /** What the models are called in the report; their paths by default. */
  names: { kind: live<unknown>('a list of two names'), in: ['verify', 'diff'] },
} as const satisfies Rows;

const OUT_INDICES: Kind<Indices | number> = {
  allowed: `${INDICES.allowed}, or how many of the last`,
  accepts: (value): value is Indices | number => Number.isInteger(value) || INDICES.accepts(value),
};

/** timm's networks: what they call what others call `out`, `last`, `hookType` and `rewrite`. */
export const NETWORKS = {
  /** Indices as `out` takes them, or how many of the last; all by default. */
  outIndices: { kind: OUT_INDICES, in: NETS },
  /** A Map instead of an array: by `outMap`, else by module, else by tensor. */
  returnDict: { kind: BOOLEAN, in: ['hookNet'] },
  /**
   * Run the whole network, as by default; false, and the default with `flattenSequential`, drops what the features do
   * not need.
   */
  noRewrite: { kind: BOOLEAN, in: ['hookNet'] },
  /** What a module's hook sees where its entry in the FeatureInfo does not say: its output (default) or its input. */
  defaultHookType: { kind: choice(HOOK_TYPES), in: ['hookNet'] },
} as const satisfies Rows;
