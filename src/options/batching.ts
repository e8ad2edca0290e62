import { CHECKS } from './choices.js';
import { BOOLEAN, choice, count, SHARD, TEXT, TEXTS } from './kinds.js';
import type { Rows } from './row.js';

/** The name under which `featx batch` looks for a config. */
export const CONFIG_NAME = 'featx.config.json';

/** Where `featx batch` keeps its journal. */
export const STATE_DIRECTORY = '.featx';

/** How many models are worked on. */
export const BATCHING = {
  exclude: {
    kind: TEXTS,
    in: [],
    cli: ['batch'],
    flag: '--exclude <glob>',
    help: 'leave out models that a folder or glob finds; repeatable',
  },
  plan: { kind: BOOLEAN, in: [], cli: ['batch'], flag: '--plan', help: 'print what would be done and do nothing' },
  watch: {
    kind: BOOLEAN,
    in: [],
    cli: ['batch'],
    flag: '--watch',
    help: 'stay, and cut again whenever a model or the config changes',
    conflicts: 'plan',
  },
  /** Items worked on at the same time; as many as there are processors by default. */
  jobs: {
    kind: count(1),
    in: ['batch', 'init'],
    flag: '--jobs <n>',
    help: 'items worked on at the same time (default: the processors)',
    config: 'jobs',
    description: 'Items worked on at the same time',
    schema: { maximum: 1024 },
    per: { init: { help: 'models looked at at the same time (default: the processors)' } },
  },
  /** Start no other item once one has failed. */
  failFast: {
    kind: BOOLEAN,
    in: ['batch'],
    flag: '--fail-fast',
    help: 'start no other item once one has failed',
    config: 'fail_fast',
  },
  keepGoing: {
    kind: BOOLEAN,
    in: [],
    cli: ['batch'],
    flag: '--keep-going',
    help: 'work on every item whatever fails (default)',
    conflicts: 'failFast',
  },
  /** Go on with the last run where it was interrupted: what it reported is reported again and not done again. */
  resume: {
    kind: BOOLEAN,
    in: ['batch'],
    flag: '--resume',
    help: 'go on with an interrupted run: report again what it reported, do only the rest',
  },
  /** Cut what has not changed, too; replace an existing config. */
  force: {
    kind: BOOLEAN,
    in: ['batch', 'init'],
    flag: '--force',
    help: 'cut what has not changed, too',
    per: { init: { help: 'replace an existing config' } },
  },
  /** `content` hashes even what looks unchanged; default `stat`. */
  check: {
    kind: choice(CHECKS),
    in: ['batch'],
    cli: ['batch', 'merge'],
    flag: '--check <how>',
    help: 'how an unchanged item is recognized: by what the file system says, or by hashing always (default: stat)',
    config: 'check',
    description: 'How an unchanged item is recognized: by what the file system says (default), or by hashing always',
    per: {
      merge: {
        kind: choice(['content', 'stat']),
        help: 'hash every file that the shards made, or look at sizes only (default: content)',
      },
    },
  },
  /** Hash every file that the shards made (default), or check sizes only. */
  content: { kind: BOOLEAN, in: ['merge'] },
  /** Where the journal is kept, relative to the root; without one nothing is remembered, and every item is cut. */
  stateDirectory: {
    kind: TEXT,
    in: ['batch'],
    flag: '--state <dir>',
    help: `where the journal is kept (default: ${STATE_DIRECTORY})`,
  },
  /** Only this part of the items. */
  shard: {
    kind: SHARD,
    in: ['batch'],
    cli: ['run', 'batch'],
    flag: '--shard <I/N>',
    help: 'work on part I of N only (default: the array variables of Slurm, Kubernetes, AWS Batch or Azure Batch)',
    per: {
      run: {
        help: 'run part I of N of the files only, into NAME.I-of-N.EXT (default: the array variables of Slurm, Kubernetes, AWS Batch or Azure Batch)',
      },
    },
  },
  /** Where to write the manifest, relative to the root; by default in the state directory, for a shard. */
  manifest: {
    kind: TEXT,
    in: ['batch'],
    flag: '--manifest <file>',
    help: 'write what was made, with digests (default for a shard: in the state directory)',
  },
  /** What the paths of jobs are relative to; the current directory by default. */
  root: { kind: TEXT, in: ['batch'] },
  /** The program of worker processes to run instead of ours. */
  workerEntry: { kind: TEXT, in: ['batch', 'init'] },
} as const satisfies Rows;
