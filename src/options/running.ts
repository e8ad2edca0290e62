import { CONFIG_NAME } from './batching.js';
import { OPTIMIZATION_LEVELS, OUTPUT_FORMATS, PROVIDERS, type Provider } from './choices.js';
import { INDEX } from './feature-kinds.js';
import { BOOLEAN, choice, count, fraction, PAIRS, PROVIDER_NAMES, TEXT, TEXTS, type Kind } from './kinds.js';
import { PAGES, type Rows } from './row.js';
import { parseProviders } from './values.js';

/** ONNX Runtime starts all of them before it says a word: a million take minutes. */
const MOST_THREADS = 1024;

const SESSIONS = ['run', ...PAGES, 'net', 'hookNet', 'session'] as const;

const PROVIDER_LIST: Kind<readonly Provider[]> = {
  allowed: `a list of ${PROVIDERS.join(', ')}`,
  accepts: (value): value is readonly Provider[] =>
    Array.isArray(value) && value.every((name) => PROVIDERS.some((known) => known === name)),
  parse: parseProviders,
};

/** What `run` reads and `verify` compares, and how ONNX Runtime runs it. */
export const RUNNING = {
  /** Values of the inputs: `NAME=FILE`, FILE, directories, patterns, `random[:SEED]`. */
  inputs: {
    kind: TEXTS,
    in: ['run', ...PAGES, 'verify'],
    flag: '--input <file>',
    elsewhere: ['--image', '--images', '--picture', '--pictures', '--file', '--files', '--data'],
    help: '[NAME=]FILE, a URL, a directory or a glob: jpg, png, webp, wav, npy, npz, safetensors, pb; - for standard input; or random[:SEED]; repeatable',
  },
  /** Texts, or files of them: `FILE.txt`, `FILE.jsonl:KEY`, `FILE.csv:COLUMN`. */
  texts: {
    kind: TEXTS,
    in: ['run', ...PAGES],
    flag: '--text <text>',
    elsewhere: ['--sentences'],
    help: 'a text, FILE.txt (a line each), FILE.jsonl:KEY or FILE.csv:COLUMN, through the tokenizer.json beside MODEL; repeatable',
  },
  /** The tokenizer.json, where it does not lie beside the model. */
  tokenizer: {
    kind: TEXT,
    in: ['run', ...PAGES],
    flag: '--tokenizer <file>',
    help: 'tokenizer.json for --text (default: beside MODEL)',
  },
  /** Most tokens of a text. */
  maxLength: {
    kind: count(1),
    in: ['run', ...PAGES],
    flag: '--max-length <n>',
    help: 'most tokens of a text (default: what the files of the model say)',
  },
  /** What stands in front of every text. */
  prompt: {
    kind: TEXT,
    in: ['run', ...PAGES],
    flag: '--prompt <text>',
    help: 'what stands in front of every text: "query: "',
  },
  /** Samples a second that the model takes of sound. */
  sampleRate: {
    kind: count(1),
    in: ['run'],
    flag: '--sample-rate <hz>',
    help: 'samples a second that the model takes of .wav files (default: what the files of the model say)',
  },
  /** Where the result goes. */
  output: {
    kind: TEXT,
    in: ['common', 'run', ...PAGES, 'page', 'init', 'merge'],
    cli: ['extract', 'split', 'common', 'run', ...PAGES, 'page', 'batch', 'init', 'merge'],
    per: {
      extract: {
        flag: '-o, --output <path>',
        help: 'file to write, - for standard output (default: MODEL.features.onnx beside MODEL)',
      },
      split: {
        flag: '-o, --output <template>',
        help: "files of the parts: {name} and {part} stand for the model's name and the part's number (default: {name}.{part}.onnx beside MODEL)",
      },
      common: { flag: '-o, --output <dir>', help: 'folder of the trunk and the heads that --split writes' },
      run: {
        flag: '-o, --output <path>',
        help: `where the features go: a ${OUTPUT_FORMATS.map((name) => `.${name}`).join(', ')} file, or a directory of .pb; - for standard output`,
      },
      diff: { flag: '-o, --output <file>', help: 'page to write, too' },
      report: {
        flag: '-o, --output <file>',
        help: 'page to write (default: MODEL.report.html in the working directory)',
      },
      page: { flag: '-o, --output <file>', help: 'page to write (default: featx.html)' },
      batch: {
        flag: '-o, --output <template>',
        help: 'output of each model: {dir}, {rel} and {name} stand for parts of its path (default: {dir}/{name}.features.onnx)',
      },
      init: { flag: '-o, --output <file>', help: `config to write (default: ${CONFIG_NAME})` },
      merge: {
        flag: '-o, --output <file>',
        help: 'manifest to write (default: manifest.json beside those of the shards)',
      },
    },
  },
  /** The format of the result, where no extension says it: on standard output, there `jsonl` by default. */
  format: {
    kind: choice(OUTPUT_FORMATS),
    in: ['run'],
    flag: '--format <name>',
    help: `format of -o -: ${OUTPUT_FORMATS.join(', ')} (default: jsonl)`,
  },
  /**
   * Let rows of a number that differs from entry to entry, as detections are, leave as one array, with where those of
   * each entry begin in another; without it only formats of rows hold them.
   */
  ragged: {
    kind: BOOLEAN,
    in: ['run'],
    flag: '--ragged',
    help: 'join rows whose number differs from entry to entry in one array, with one of offsets beside it',
  },
  /** Whether min, max, mean and std of every feature are computed, and what is not finite counted, as they are. */
  statistics: {
    kind: BOOLEAN,
    in: ['run'],
    flag: '--no-statistics',
    gives: false,
    help: 'do not compute min, max, mean and std of what is written: some hundredths faster',
  },
  /** Leave out files that cannot be read, and say which; without it they are errors. */
  skipBad: {
    kind: BOOLEAN,
    in: ['run'],
    flag: '--skip-bad',
    help: 'leave out inputs that cannot be read, name them, and end with exit code 1',
  },
  /** Add `tensors`: every tensor that a node of the main graph makes. */
  listTensors: { kind: BOOLEAN, in: ['inspect', 'inspectBytes'], flag: '--tensors', help: 'list every tensor too' },
  /** Add `modules`: the modules that names in the graph tell of, in the order of execution. */
  listModules: {
    kind: BOOLEAN,
    in: ['inspect', 'inspectBytes'],
    flag: '--modules',
    help: 'list every module too, as a tree',
  },
  csv: {
    kind: BOOLEAN,
    in: [],
    cli: ['inspect'],
    flag: '--csv',
    help: 'print CSV, one line per feature (with --tensors: per tensor)',
  },
  /** Add `explain`: what every resolver said of this feature, 3 or `'neck:0'`. */
  explain: {
    kind: INDEX,
    in: ['inspect', 'inspectBytes'],
    flag: '--explain <index>',
    help: 'say why a feature was chosen and what else was tried: 3, or neck:0 of a group',
  },
  /**
   * Pairs to compare, from tensors of the model to outputs of the cut; what the cut says of itself by default, else
   * outputs of equal name.
   */
  map: {
    kind: PAIRS,
    in: ['verify'],
    flag: '--map <pair>',
    help: 'compare this tensor of MODEL with this output of EXTRACTED: TENSOR=OUTPUT; repeatable (default: what EXTRACTED says of itself, else equal names)',
  },
  /** Largest difference at optimisation level `all`, relative to a feature's standard deviation. */
  tolerance: {
    kind: fraction('a number'),
    in: ['verify'],
    flag: '--tolerance <x>',
    help: 'largest difference at full optimisation, relative to the standard deviation (default: 0.001, float16 0.05)',
  },
  /** Seed of the inputs. */
  seed: { kind: count(0), in: ['verify'], flag: '--seed <n>', help: 'seed of the inputs (default: 0)' },
  /**
   * Providers to try in order, or `auto`; the CPU by default. A provider that is not named is never used in the place
   * of one that is.
   */
  providers: {
    kind: PROVIDER_NAMES,
    in: [...SESSIONS, 'doctor'],
    cli: ['run', ...PAGES, 'doctor'],
    flag: '--provider <names>',
    elsewhere: ['--gpu', '--cuda', '--device', '--ep', '--execution-provider'],
    help: `auto, ${PROVIDERS.join(', ')}; several in order (default: auto)`,
    per: {
      doctor: {
        kind: PROVIDER_LIST,
        help: 'execution providers to try (default: all that this platform can have)',
      },
    },
  },
  /** Put what a provider lacks beside onnxruntime-node: of CUDA for Linux on x64, from an index of Python packages. */
  fetch: {
    kind: BOOLEAN,
    in: ['doctor'],
    flag: '--fetch',
    help: 'download the libraries that --provider cuda lacks, and put them beside onnxruntime-node (Linux on x64)',
  },
  /** The index that wheels come from; `PIP_INDEX_URL`, or that of Python itself, by default. */
  index: {
    kind: TEXT,
    in: ['doctor'],
    flag: '--index <url>',
    help: 'index of Python packages for --fetch (default: PIP_INDEX_URL, else https://pypi.org/simple)',
  },
  deviceId: { kind: count(0), in: SESSIONS, flag: '--device-id <n>', help: 'which device of the provider' },
  /** Threads inside an operator, at most 1,024; ONNX Runtime's own choice by default. */
  threads: {
    kind: count(1, MOST_THREADS),
    in: [...SESSIONS, 'verify'],
    flag: '--threads <n>',
    help: 'threads inside an operator',
  },
  /** How much ONNX Runtime may rewrite the graph. */
  optimization: {
    kind: choice(OPTIMIZATION_LEVELS),
    in: SESSIONS,
    flag: '--optimization <level>',
    help: 'how much ONNX Runtime may rewrite the graph (default: all)',
  },
  /**
   * Whether CUDA may multiply float32 as TF32, which keeps 10 bits of 23: as ONNX Runtime does by default on devices
   * that can. It holds for all sessions of a process.
   */
  tf32: {
    kind: BOOLEAN,
    in: SESSIONS,
    flag: '--no-tf32',
    gives: false,
    help: 'multiply float32 as float32 on CUDA: slower, and nearer to the CPU',
  },
  /**
   * Whether weights are copied into the layout that kernels like best: quicker runs, slower start, twice the memory.
   * The last bits of a MatMul depend on it.
   */
  prepacking: {
    kind: BOOLEAN,
    in: SESSIONS,
    flag: '--no-prepacking',
    gives: false,
    help: 'leave weights as they lie in the file: opens sooner and takes less memory, runs slower',
  },
  /** Entries per run; what the model fixes by default, else 16. */
  batchSize: {
    kind: count(1),
    in: ['run'],
    flag: '--batch-size <n>',
    elsewhere: ['--batch', '--bs'],
    help: 'entries per run (default: what the model fixes, else 16; 32 for a shard)',
  },
  /** Servers that the page may fetch models from: their URLs, or `https:` for all. */
  connect: {
    kind: TEXTS,
    in: ['page'],
    flag: '--connect <url>',
    help: 'let the page fetch models from this server, or https: from all; repeatable (default: it fetches nothing)',
  },
  /** Write the pictures of the page as files, too, into this folder. */
  png: { kind: TEXT, in: ['report'], flag: '--png <dir>', help: 'write the pictures of the page as .png files, too' },
  /** Run with other normalisations as well, and say with which more channels of the last feature are silent. */
  inputCheck: {
    kind: BOOLEAN,
    in: ['report'],
    flag: '--input-check',
    help: 'run with other normalisations too, and warn if fewer channels of the last feature are silent with one',
  },
  /** Where ONNX Runtime's profile of the run goes. */
  profile: {
    kind: TEXT,
    in: ['run'],
    flag: '--profile <file>',
    help: "keep ONNX Runtime's profile of the first batch",
  },
  /** Whether the model runs in a child process that can be killed. */
  isolate: { kind: BOOLEAN, in: [...SESSIONS, 'inspect', 'extract', 'split', 'common', 'verify'] },
  /** Keeps ONNX Runtime's profile of the first run: the path it begins with. */
  profilePrefix: { kind: TEXT, in: ['net', 'hookNet', 'session'] },
  /** Tensors to compute, of the main graph; the model's outputs by default. What none of them needs is left out. */
  outputs: { kind: TEXTS, in: ['session'] },
} as const satisfies Rows;
