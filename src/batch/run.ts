import { option } from '../options/words.js';
import { dirname, join, resolve } from 'node:path';
import { FeatxError } from '../errors.js';
import type { Shard } from '../options/values.js';
import { takeShard } from '../shards/shard.js';
import { relativeTo } from '../wire/find-files.js';
import { type FileSystem, errnoOf, ioError } from '../wire/fs.js';
import { removeStale } from '../wire/temporary-names.js';
import { Guard, type Needed } from './guard.js';
import { type BatchPlan, type PlannedItem, sameFileFault } from './jobs.js';
import { Journal, SUFFIX } from './journal.js';
import { isManifestFile, kindOf } from './look-into.js';
import { type Made, Refresher, type Verdict, judge, optionsDigest, readMade } from './made.js';
import { manifestName, writeManifest } from './manifest.js';
import { type BatchProgress, type BatchSummary, type JobReport, type Settled, carried, settled } from './reports.js';
import { type ItemError, type RemoteTask, itemError, relativeError } from './tasks.js';
import { type WorkerOptions, WorkerPool } from './worker.js';

/** How a batch runs, after defaults. */
export interface RunSettings {
  readonly fileSystem: FileSystem;
  readonly jobs: number;
  readonly worker: WorkerOptions;
  readonly remote: RemoteTask;
  readonly stateDirectory: string | null;
  readonly manifest: string | null;
  readonly reads: readonly string[];
  readonly resume: boolean;
  readonly force: boolean;
  readonly content: boolean;
  readonly failFast: boolean;
  readonly shard: Pick<Shard, 'index' | 'count'> | null;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BatchProgress) => void;
  readonly report: (record: JobReport) => Promise<void>;
}

/** An item that a worker must see, with the record of an earlier cut that may still hold. */
interface Todo {
  readonly item: PlannedItem;
  readonly made: Made | null;
}

/** Items looked at together before workers are asked. */
const TRIAGE = 256;
/** More than this is hashed by a worker, not between the records of the parent. */
const OWN_HASHING = 4 * 1024 * 1024;

/** What outlives a run. */
interface Memory {
  readonly journal: Journal;
  readonly refresher: Refresher;
  /** Whether the run goes on with one that was interrupted. */
  readonly resumes: boolean;
}

/** One run of a batch. */
export class BatchRun {
  private readonly items: readonly PlannedItem[];
  private readonly counts = { done: 0, skipped: 0, failed: 0 };
  private readonly pool: WorkerPool;
  private readonly guard: Guard;
  private readonly started = performance.now();
  /** Directories of outputs that were made. */
  private readonly directories = new Map<string, Promise<void>>();
  private memory: Memory | null = null;
  /** `closing`: no other item is begun. */
  private state: 'going' | 'closing' = 'going';

  constructor(
    private readonly plan: BatchPlan,
    private readonly settings: RunSettings,
  ) {
    this.items = settings.shard === null ? plan.items : takeShard(plan.items, settings.shard);
    this.pool = new WorkerPool(settings.worker);
    this.guard = this.guardOf([], async (path) => (await kindOf(path, settings.fileSystem)) === 'cut');
  }

  /** @throws IoError where the journal or the manifest cannot be written */
  async go(): Promise<BatchSummary> {
    const { settings, plan } = this;
    const { signal, stateDirectory, fileSystem, shard } = settings;
    const stop = (): void => void this.pool.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.assertManifest();
      if (stateDirectory !== null) {
        const journal = await Journal.open(fileSystem, stateDirectory, shardName(shard));
        const refresher = new Refresher(journal, (made, item) => this.judge(made, item));
        this.memory = { journal, refresher, resumes: false };
        const resumes = await journal.begin({ plan: plan.digest, shard: shardName(shard) }, settings.resume);
        this.memory = { journal, refresher, resumes };
      }
      await this.tidy();
      const todos = this.triage();
      await Promise.all(
        Array.from({ length: Math.min(settings.jobs, Math.max(1, this.items.length)) }, () => this.work(todos)),
      );
      await this.pool.stop();
      await this.memory?.refresher.settle();
      // Again: a worker of a killed run may have outlived it by a moment.
      await this.tidy();
      const summary = this.summary();
      if (summary.remaining === 0) await this.finish(summary);
      return summary;
    } catch (error) {
      // What the file system says of the batch's own files; an item's failure is in its record.
      throw error instanceof FeatxError || errnoOf(error) === undefined
        ? error
        : ioError(error, 'keep the journal of the batch in', stateDirectory ?? plan.root);
    } finally {
      signal.removeEventListener('abort', stop);
      await this.pool.stop();
      await this.memory?.journal.close();
    }
  }

  private get isStopping(): boolean {
    return this.state === 'closing' || this.settings.signal.aborted;
  }

  private summary(): BatchSummary {
    const { done, skipped, failed } = this.counts;
    const { shard } = this.settings;
    return {
      schema: 1,
      command: 'batch-summary',
      done,
      skipped,
      failed,
      remaining: this.items.length - done - skipped - failed,
      ...(shard === null ? {} : { shard: { index: shard.index, count: shard.count } }),
      elapsed_ms: Math.round(performance.now() - this.started),
    };
  }

  private async finish(summary: BatchSummary): Promise<void> {
    const { memory, plan, items } = this;
    const journal = memory?.journal ?? null;
    const { shard, fileSystem } = this.settings;
    const { done, skipped, failed } = summary;
    await journal?.end({ done, skipped, failed });
    const path = this.manifestPath();
    if (path === null || journal === null) return;
    await journal.reread();
    await writeManifest(
      path,
      { plan, shard: shard ?? { index: 1, count: 1 }, items, madeOf: (item) => this.madeOf(journal, item) },
      fileSystem,
    );
  }

  private manifestPath(): string | null {
    const { manifest, shard, stateDirectory } = this.settings;
    return (
      manifest ?? (shard === null || stateDirectory === null ? null : resolve(stateDirectory, manifestName(shard)))
    );
  }

  /** @throws UsageError where the manifest would replace what the batch reads or makes */
  private async assertManifest(): Promise<void> {
    const path = this.manifestPath();
    if (path === null) return;
    const outputs = this.plan.items.map(({ output }) => ({
      path: resolve(this.plan.root, output),
      what: 'an output of this batch',
    }));
    await this.guardOf(outputs, (file) => isManifestFile(file, this.settings.fileSystem)).assertFree(
      path,
      'the manifest',
      `choose another ${option('manifest')}`,
    );
  }

  private guardOf(others: readonly Needed[], isResult: (path: string) => Promise<boolean>): Guard {
    const { reads, stateDirectory, shard, fileSystem, jobs } = this.settings;
    const { root, items } = this.plan;
    const files = [...reads.map((path) => ({ path, what: 'a file that this batch reads' })), ...others];
    if (stateDirectory !== null)
      files.push({ path: join(stateDirectory, `${shardName(shard)}${SUFFIX}`), what: 'the journal of this batch' });
    return new Guard({
      models: items.flatMap(({ item, url }) => (url === null ? [resolve(root, item)] : [])),
      files,
      fileSystem,
      jobs,
      isResult,
      nameOf: (model) => relativeTo(root, model),
      perform: (task) => this.pool.perform(task),
    });
  }

  /** What this run left of an item: its outputs, or the error. */
  private async madeOf(journal: Journal, { id }: PlannedItem): Promise<Made | { readonly error: unknown } | null> {
    const record = await journal.ofThisRun(id);
    if (record?.status === 'failed') return { error: record.error };
    return readMade(record?.made) ?? readMade((await journal.cached(id))?.made);
  }

  /**
   * One of several loops that take items until there are none. The record of an item is made durable while the next one
   * is worked on.
   */
  private async work(todos: AsyncGenerator<Todo>): Promise<void> {
    let settling: Promise<void> = Promise.resolve();
    const settle = async (result: Settled): Promise<void> => {
      await settling;
      settling = this.settle(result);
      // Awaited in the next round, or at the end.
      settling.catch(() => undefined);
    };
    try {
      for (let next = await todos.next(); !next.done && !this.isStopping; next = await todos.next()) {
        const { item, made } = next.value;
        const fault = await this.prepare(item);
        if (fault !== null) {
          await settle({ item, status: 'failed', attempts: 0, error: fault, report: null, made: null });
          continue;
        }
        const { root } = this.plan;
        const outcome = await this.pool.perform({
          kind: 'extract',
          root,
          item: item.item,
          url: item.url,
          remote: this.settings.remote,
          output: item.output,
          options: item.options,
          made,
          remember: this.memory !== null,
        });
        if (outcome === null) break;
        await settle(settled(item, outcome));
      }
      await settling;
    } catch (error) {
      this.state = 'closing';
      await this.pool.stop();
      throw error;
    }
  }

  /** Settles what needs no worker and gives the rest, in order. */
  private async *triage(): AsyncGenerator<Todo> {
    for (let start = 0; start < this.items.length && !this.isStopping; start += TRIAGE) {
      const looked = await Promise.all(this.items.slice(start, start + TRIAGE).map((item) => this.look(item)));
      const open: Todo[] = [];
      const known: Settled[] = [];
      for (const one of looked) {
        if ('status' in one) known.push(one);
        else open.push(one);
      }
      if (this.isStopping) return;
      if (this.settings.failFast) for (const one of known) await (this.isStopping ? undefined : this.settle(one));
      else await Promise.all(known.map((one) => this.settle(one)));
      for (const todo of open) {
        if (this.isStopping) return;
        yield todo;
      }
    }
  }

  private async look(item: PlannedItem): Promise<Settled | Todo> {
    const { fault, options } = item;
    const { memory } = this;
    const previous = memory?.resumes ? ((await memory.journal.ofThisRun(item.id)) ?? null) : null;
    const isCarried = previous !== null && previous.options === optionsDigest(options);
    if (isCarried && previous.status === 'failed') return carried(item, previous);
    if (fault !== null) return { item, status: 'failed', attempts: 0, error: fault, report: null, made: null };
    if (this.settings.force && !isCarried) return { item, made: null };
    const made = readMade(previous?.made) ?? readMade((await memory?.journal.cached(item.id))?.made);
    if (made === null) return { item, made: null };
    const verdict = await this.judge(made, item);
    if (verdict.is === 'same') {
      const refreshed = verdict.refreshed ? verdict.made : null;
      if (isCarried) return { ...carried(item, previous), made: refreshed };
      return { item, status: 'skipped', attempts: 0, error: null, report: null, made: refreshed };
    }
    return { item, made: verdict.is === 'changed' ? null : made };
  }

  private judge(made: Made, { item, output, options }: PlannedItem): Promise<Verdict> {
    const { fileSystem, content } = this.settings;
    return judge(
      made,
      { root: this.plan.root, item, output, options },
      { fileSystem, content, hashLimit: OWN_HASHING },
    );
  }

  /** Records and reports an item. */
  private async settle({ item, status, attempts, error, report, verified, made, isRecorded }: Settled): Promise<void> {
    this.counts[status]++;
    if (status === 'failed' && this.settings.failFast) this.state = 'closing';
    if (!isRecorded)
      await this.memory?.journal.item(item.id, {
        item: item.item,
        output: item.output,
        options: optionsDigest(item.options),
        status,
        attempts,
        error,
        report,
        ...(made === null ? {} : { made }),
      });
    else if (made !== null) this.memory?.journal.remember(item.id, made);
    if (status === 'done' && made !== null) this.memory?.refresher.add(item, made);
    this.settings.onProgress({ ...this.counts, total: this.items.length, elapsedMs: performance.now() - this.started });
    await this.settings.report({
      schema: 1,
      command: 'batch',
      item: item.item,
      output: item.output,
      status,
      attempts,
      error,
      report,
      ...(verified === true ? { verified } : {}),
    });
  }

  /** The directory of an output, made once, and whether the output may be written. */
  private async prepare({ output }: PlannedItem): Promise<ItemError | null> {
    const directory = dirname(resolve(this.plan.root, output));
    let made = this.directories.get(directory);
    if (made === undefined) this.directories.set(directory, (made = this.settings.fileSystem.mkdir(directory)));
    try {
      await made;
    } catch (error) {
      return relativeError(itemError(ioError(error, 'make the directory', directory)), this.plan.root);
    }
    const need = await this.guard.need(resolve(this.plan.root, output));
    return need === null ? null : sameFileFault(output, need);
  }

  /** Removes what killed runs left behind in the directories of the outputs. */
  private async tidy(): Promise<void> {
    const { fileSystem } = this.settings;
    const directories = new Set(this.items.map(({ output }) => dirname(resolve(this.plan.root, output))));
    for (const directory of directories) {
      const isThere = await fileSystem.stat(directory).then(
        (stats) => stats.isDirectory(),
        (error: unknown) => errnoOf(error) === undefined,
      );
      if (isThere) await removeStale(fileSystem, directory);
    }
  }
}

function shardName(shard: Pick<Shard, 'index' | 'count'> | null): string {
  return shard === null || shard.count === 1 ? 'batch' : `batch.${shard.index}-of-${shard.count}`;
}
