import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { assertList, checkOptions, shown } from '../options/check.js';
import { UsageError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import type { OptionsOf } from '../options/types.js';
import type { Shard } from '../options/values.js';
import { openModel } from '../open.js';
import { takeShard } from '../shards/shard.js';
import { type FileSystem, nodeFileSystem } from '../wire/fs.js';
import { Channel } from './channel.js';
import { WORKER_TIMEOUT_MS } from './worker.js';
import { type Job, type BatchPlan, planJobs, withoutTwins } from './jobs.js';
import { Journal } from './journal.js';
import { judge, readMade, type Verdict } from './made.js';
import type { BatchProgress, BatchSummary, JobReport } from './reports.js';
import { BatchRun } from './run.js';
import { type ItemError, itemError, relativeError } from './tasks.js';

/** What `batch` takes: the options of the table, and what only a program can give. */
export type BatchOptions = OptionsOf<'batch'> & {
  readonly onProgress?: (progress: BatchProgress) => void;
  readonly fileSystem?: FileSystem;
};

const MEMORY_BYTES = 4 * 2 ** 30;
const UNREAD_REPORTS = 256;

/**
 * Cuts features out of many models, each in a process that may crash or hang without harm to the rest.
 * @returns one terminal record per item, as they are done; the value of the generator is the summary
 * @example `for await (const { item, status } of batch([{ input: 'a.onnx', output: 'out/a.onnx', options: { out: [1, 2]
 * } }])) …`
 * @throws IoError where the journal cannot be kept; what happens to an item is in its record
 */
export async function* batch(
  jobs: Iterable<Job>,
  options: BatchOptions = {},
): AsyncGenerator<JobReport, BatchSummary, undefined> {
  checkOptions('batch', options);
  const wanted: unknown = listOf(jobs);
  assertList<Job>('the jobs', wanted, '{ input, output }, both paths', isJob);
  for (const { options: cut = {} } of wanted) checkOptions('cut', cut);
  return yield* runPlan(planJobs(wanted, options.root ?? '.', options.reads), options);
}

/** @throws UsageError if jobs cannot be gone through */
function listOf(jobs: unknown): readonly unknown[] {
  if (typeof jobs === 'object' && jobs !== null && Symbol.iterator in jobs) return [...(jobs as Iterable<unknown>)];
  throw new UsageError(`the jobs are ${shown(jobs)}, not a list of { input, output }`, { code: 'FEATX_USAGE_OPTION' });
}

function isJob(job: unknown): boolean {
  return isRecord(job) && [job['input'], job['output']].every((path) => typeof path === 'string' && path !== '');
}

/** `batch` of a plan that is already made. */
export async function* runPlan(
  plan: BatchPlan,
  options: BatchOptions = {},
): AsyncGenerator<JobReport, BatchSummary, undefined> {
  const channel = new Channel<JobReport>(UNREAD_REPORTS);
  const stop = new AbortController();
  const fileSystem = options.fileSystem ?? nodeFileSystem;
  const run = new BatchRun(await withoutTwins(plan, fileSystem), {
    fileSystem,
    jobs: options.jobs ?? availableParallelism(),
    worker: {
      timeoutMs: options.timeoutMs ?? WORKER_TIMEOUT_MS,
      memoryBytes:
        options.memoryBytes === undefined ? (process.platform === 'win32' ? null : MEMORY_BYTES) : options.memoryBytes,
      entry: options.workerEntry,
    },
    remote: options.remote ?? {},
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

/** What a batch would do with an item. */
export interface PlannedReport {
  readonly schema: 1;
  readonly command: 'batch-plan';
  readonly item: string;
  /** Null for a file that is left alone. */
  readonly output: string | null;
  /**
   * `verify`: it is as it was made, and will be run beside its model; `check`: it must be read in full to know
   * whether it has changed; `refuse`: it will fail; `leave`: found, and a cut that featx made.
   */
  readonly action: 'cut' | 'skip' | 'verify' | 'check' | 'refuse' | 'leave';
  readonly error: ItemError | null;
  /** As `extract` takes them; null for a file that is left alone. */
  readonly options: unknown;
}

/** How a batch that writes nothing is run. */
export interface PreviewOptions {
  readonly stateDirectory?: string;
  readonly shard?: Pick<Shard, 'index' | 'count'>;
  readonly force?: boolean;
  readonly check?: 'stat' | 'content';
  readonly fileSystem?: FileSystem;
}

const HASH_LIMIT = 4 * 1024 * 1024;
const ACTIONS: { readonly [Is in Verdict['is']]: PlannedReport['action'] } = {
  same: 'skip',
  unverified: 'verify',
  changed: 'cut',
  unsure: 'check',
};

/**
 * What `runPlan` would do, in order. Reads what it must, writes nothing.
 * @throws IoError where the journal cannot be read
 */
export async function* previewPlan(
  plan: BatchPlan,
  options: PreviewOptions = {},
): AsyncGenerator<PlannedReport & { readonly output: string }> {
  const { fileSystem = nodeFileSystem, shard, stateDirectory } = options;
  const journal =
    stateDirectory === undefined ? null : await Journal.recall(fileSystem, resolve(plan.root, stateDirectory));
  try {
    const { items } = await withoutTwins(plan, fileSystem);
    for (const { id, item, url, output, options: text, fault } of shard === undefined
      ? items
      : takeShard(items, shard)) {
      const made = options.force ? null : readMade((await journal?.cached(id))?.made);
      const verdict =
        made === null
          ? null
          : await judge(
              made,
              { root: plan.root, item, output, options: text },
              { fileSystem, content: options.check === 'content', hashLimit: HASH_LIMIT },
            );
      const planned = ACTIONS[verdict?.is ?? 'changed'];
      const error = fault ?? (url === null && planned === 'cut' ? await unreadable(plan.root, item, fileSystem) : null);
      const action = error !== null ? 'refuse' : planned;
      yield { schema: 1, command: 'batch-plan', item, output, action, error, options: JSON.parse(text) };
    }
  } finally {
    await journal?.close();
  }
}

/** Why an item is no model that can be read, as its run would say; null if it is one. */
async function unreadable(root: string, item: string, fileSystem: FileSystem): Promise<ItemError | null> {
  try {
    await using _model = await openModel(resolve(root, item), { fileSystem });
    return null;
  } catch (error) {
    return relativeError(itemError(error), root);
  }
}
