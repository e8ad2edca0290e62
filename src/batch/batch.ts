import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { Channel } from './channel.js';
import { planJobs, type Job, type Plan } from './jobs.js';
import { Run } from './run.js';
import type { BatchProgress, BatchSummary, JobReport } from './reports.js';
import type { Shard } from './shard.js';

export interface BatchOptions {
  /** What the paths of jobs are relative to; the current directory by default. */
  readonly root?: string;
  /** Items worked on at the same time; as many as there are processors by default. */
  readonly jobs?: number;
  /** Time that an item may take without making progress, in milliseconds; 120,000 by default. */
  readonly timeoutMs?: number;
  /** Resident memory of the process that works on an item, in bytes; 4 GiB by default, null for no limit. Not on Windows. */
  readonly memoryBytes?: number | null;
  /** Where the journal is kept, relative to the root; without one nothing is remembered, and every item is cut. */
  readonly stateDirectory?: string;
  /** Go on with the last run where it was interrupted: what it reported is reported again and not done again. */
  readonly resume?: boolean;
  /** Cut what has not changed, too. */
  readonly force?: boolean;
  /** `content` hashes even what looks unchanged; default `stat`. */
  readonly check?: 'stat' | 'content';
  /** Start no other item once one has failed. */
  readonly failFast?: boolean;
  /** Only this part of the items. */
  readonly shard?: Pick<Shard, 'index' | 'count'>;
  /** Where to write the manifest, relative to the root; by default in the state directory, for a shard. */
  readonly manifest?: string;
  /** Files that were read to know what to cut, such as a config, relative to the root: nothing may replace them. */
  readonly reads?: readonly string[];
  /** Stops the run: what is being worked on is killed, what was reported stays. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BatchProgress) => void;
  readonly fileSystem?: FileSystem;
  /** The program of worker processes to run instead of ours. */
  readonly workerEntry?: string;
}

const TIMEOUT_MS = 120_000;
const MEMORY_BYTES = 4 * 2 ** 30;
const UNREAD_REPORTS = 256;

/**
 * Cuts features out of many models, each in a process that may crash or hang without harm to the rest.
 * @returns one terminal record per item, as they are done; the value of the generator is the summary
 * @example `for await (const { item, status } of batch([{ input: 'a.onnx', output: 'out/a.onnx', options: { out: [1, 2] } }])) …`
 * @throws IoError where the journal cannot be kept; what happens to an item is in its record
 */
export async function* batch(
  jobs: Iterable<Job>,
  options: BatchOptions = {},
): AsyncGenerator<JobReport, BatchSummary, undefined> {
  return yield* runPlan(planJobs(jobs, options.root ?? '.', options.reads), options);
}

/** `batch` of a plan that is already made. */
export async function* runPlan(
  plan: Plan,
  options: BatchOptions = {},
): AsyncGenerator<JobReport, BatchSummary, undefined> {
  const channel = new Channel<JobReport>(UNREAD_REPORTS);
  const stop = new AbortController();
  const run = new Run(plan, {
    fileSystem: options.fileSystem ?? nodeFileSystem,
    jobs: options.jobs ?? availableParallelism(),
    worker: {
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      memoryBytes:
        options.memoryBytes === undefined ? (process.platform === 'win32' ? null : MEMORY_BYTES) : options.memoryBytes,
      entry: options.workerEntry,
    },
    stateDirectory: options.stateDirectory === undefined ? null : resolve(plan.root, options.stateDirectory),
    manifest: options.manifest === undefined ? null : resolve(plan.root, options.manifest),
    reads: (options.reads ?? []).map((path) => resolve(plan.root, path)),
    resume: options.resume ?? false,
    force: options.force ?? false,
    content: options.check === 'content',
    failFast: options.failFast ?? false,
    shard: options.shard ?? null,
    signal: options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]),
    onProgress: options.onProgress ?? (() => undefined),
    report: (record) => channel.push(record),
  });
  const finished = run.go();
  finished.then(
    () => channel.close(),
    (error: unknown) => channel.fail(error),
  );
  try {
    yield* channel.drain();
    return await finished;
  } finally {
    // A consumer that leaves early stops the run.
    stop.abort();
    channel.close();
    await finished.catch(() => undefined);
  }
}
