import { LAYOUTS, MODES, ORDERS, WEIGHTS_MODES } from './choices.js';
import { BOOLEAN, BYTES, callback, choice, live, NAMES, TEXT, TEXTS, type Kind } from './kinds.js';
import { IN_MEMORY, PAGES, type Rows } from './row.js';

const CUTS = ['extract', 'cut'] as const;
const FILES = ['extract', 'split', 'common', 'cut'] as const;
const RESULTS = ['extract', 'run', 'cut'] as const;

/** Names, or numbers as names. */
const NET_NAMES: Kind<readonly (string | number)[]> = {
  allowed: 'a list of names',
  accepts: (value): value is readonly (string | number)[] =>
    Array.isArray(value) && value.every((name) => typeof name === 'string' || Number.isInteger(name)),
};

/** What a cut is: what `planRewrite` takes. */
export const PLANNING = {
  /** dict: outputs named by index; list: as their tensors; hook: the features are added to the outputs. */
  mode: {
    kind: choice(MODES),
    in: [...CUTS, 'extractBytes'],
    flag: '--mode <mode>',
    help: 'dict: pruned graph, outputs named by index; list: pruned, named as their tensors; hook: added to the outputs (default: dict)',
    config: 'mode',
    description:
      'dict (default): pruned, outputs named by index; list: pruned, outputs named as their tensors; hook: added to the outputs',
  },
  /** Hook mode: drop what the features do not need. */
  rewrite: {
    kind: BOOLEAN,
    in: [...CUTS, 'extractBytes'],
    flag: '--rewrite',
    help: 'hook mode: drop what the features do not need',
    negated: { flag: '--no-rewrite', help: 'hook mode: keep the whole network (default)' },
    config: 'rewrite',
  },
  /** The original outputs follow the features. */
  keepOutputs: {
    kind: BOOLEAN,
    in: [...CUTS, 'extractBytes'],
    flag: '--keep-outputs',
    help: 'the original outputs follow the features',
    config: 'keep_outputs',
  },
  /** Outputs in the order asked for, or as the network computes them. */
  order: {
    kind: choice(ORDERS),
    in: [...RESULTS, 'extractBytes'],
    flag: '--order <order>',
    help: 'outputs in the order asked for or as the network computes them (default: out)',
    config: 'order',
    description: 'Outputs in the order asked for (default) or as the network computes them',
  },
  /** Names of the outputs, in their order. */
  outMap: {
    kind: NAMES,
    in: [...RESULTS, 'net', 'hookNet', 'extractBytes'],
    flag: '--out-map <names>',
    help: 'names of the outputs: p2,p3,p4',
    config: 'out_map',
    description: 'Names of the outputs',
    per: { net: { kind: NET_NAMES }, hookNet: { kind: NET_NAMES } },
  },
  /** Layout in which every feature leaves; as the model has it by default. */
  outputFmt: {
    kind: choice(LAYOUTS),
    in: [...RESULTS, 'net', 'hookNet', 'extractBytes'],
    flag: '--output-fmt <layout>',
    help: 'layout in which every feature leaves',
    config: 'output_fmt',
  },
  /** All outputs of a module that has several, not the first alone. */
  featureConcat: {
    kind: BOOLEAN,
    in: [...RESULTS, 'inspect', 'net', 'hookNet', ...IN_MEMORY],
    cli: ['extract', 'run', 'batch'],
    flag: '--feature-concat',
    help: 'concatenate the outputs of a module on axis 1 instead of taking the first',
    config: 'feature_concat',
  },
} as const satisfies Rows;

/** Where the files of a cut go, and what they may replace. */
export const WRITING = {
  /** Where the weights live. */
  weights: {
    kind: choice(WEIGHTS_MODES),
    in: FILES,
    flag: '--weights <where>',
    help: 'keep them where they are; embed all; an external sidecar; or a reference into MODEL (default: keep)',
    config: 'weights',
    description: 'Where the weights of the cut live. Default: keep',
  },
  /** Bytes at which tensors in a sidecar start. */
  align: {
    kind: BYTES,
    in: FILES,
    flag: '--align <bytes>',
    help: 'alignment of tensors in the sidecar (default: 4096)',
    config: 'align',
    description: 'Bytes at which tensors in a sidecar start',
  },
  /** Plan and report; write nothing. */
  dryRun: {
    kind: BOOLEAN,
    in: ['extract', 'split', 'doctor'],
    flag: '--dry-run',
    help: 'print the plan and write nothing',
    per: { doctor: { help: 'with --fetch: say what would be downloaded, and download nothing' } },
  },
  /** Run the model and the cut on the same input before the cut appears, and refuse it where they differ. */
  verify: {
    kind: BOOLEAN,
    in: ['cut'],
    cli: ['extract', 'split', 'batch'],
    flag: '--verify',
    help: 'run both models on the same input before the file appears, and refuse it if they differ',
    config: 'verify',
    description: 'Run the model and the cut on the same input before the cut appears, and refuse it where they differ',
  },
  /** Refuse to replace an existing file. */
  noClobber: {
    kind: BOOLEAN,
    in: [...RESULTS, 'split', 'common', ...PAGES, 'page'],
    flag: '--no-clobber',
    help: 'do not replace an existing file',
  },
  /** Where the target is a symbolic link, replace what it points to. */
  follow: {
    kind: BOOLEAN,
    in: [...RESULTS, 'split', 'common', ...PAGES, 'page'],
    flag: '--follow',
    help: 'where the output is a symbolic link, replace what it points to',
    config: 'follow',
  },
  /** Allow the target to be one of the files that are read. */
  inPlace: { kind: BOOLEAN, in: ['extract'], flag: '--in-place', help: 'allow the output to be MODEL itself' },
  /** Refuse external data with several hard links. */
  strictExternal: {
    kind: BOOLEAN,
    in: [...RESULTS, 'split', 'common', ...PAGES, 'net', 'hookNet', 'session'],
    flag: '--strict-external',
    help: 'refuse external data that has several hard links',
    config: 'strict_external',
  },
  /** Further files that were read for it, which the result must not replace. */
  reads: { kind: TEXTS, in: ['extract', 'split', 'run', ...PAGES, 'batch'] },
  /** What the model is called in the report; its path by default. */
  name: { kind: TEXT, in: ['inspect', 'extract', 'split', 'run', ...PAGES, ...IN_MEMORY] },
  /** Takes the bytes instead of a file: for standard output. */
  write: { kind: callback<(bytes: Uint8Array) => Promise<void>>(), in: ['extract', 'run'] },
  /** The bytes of the input `-`. */
  standardInput: { kind: live<Uint8Array>('bytes', 'subarray'), in: ['run'] },
  /** Called with the finished file before it takes its place; the file is discarded where this throws. */
  verifyFile: { kind: callback<unknown>(), in: ['extract'] },
} as const satisfies Rows;
