import { resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { errnoOf, type FileSystem } from '../wire/fs.js';
import { fileKey } from './jobs.js';
import type { SidecarsTask } from './tasks.js';
import type { Outcome } from './worker.js';

/** A file that is needed, and what to call it. */
export interface Needed {
  /** Absolute. */
  readonly path: string;
  /** `a model of this batch`. */
  readonly what: string;
}

/** What a command must not write over. */
export interface GuardOptions {
  /** Absolute paths. */
  readonly models: readonly string[];
  /** What they are; `a model of this batch` by default. */
  readonly modelText?: string;
  /** Whatever else is read, or was made and must stay. */
  readonly files: readonly Needed[];
  readonly fileSystem: FileSystem;
  /** What a model is called in an error; its path by default. */
  readonly nameOf?: (model: string) => string;
  /** Whether a file is a result of the kind that is written, which may be replaced without a look into the models. */
  readonly isResult?: (path: string) => Promise<boolean>;
  /** Has a worker look into a model; null where it could not. */
  readonly perform: (task: SidecarsTask) => Promise<Outcome<'sidecars'> | null>;
  /** Models looked into at the same time. */
  readonly jobs?: number;
}

/**
 * Knows what a batch must not write over: its models, the files that hold their weights, and the files that it reads.
 * Files are the same where device and inode are, whatever their names. Models are looked into only where a target
 * exists that is not an earlier result: it might hold their weights.
 */
export class Guard {
  private byPath: ReadonlyMap<string, string> | null = null;
  private identities: Promise<ReadonlyMap<string, string>> | null = null;
  private weights: Promise<ReadonlyMap<string, string>> | null = null;

  constructor(private readonly options: GuardOptions) {}

  /** What the file is needed for that a target would replace; null where it may be written. */
  async need(target: string): Promise<string | null> {
    const { fileSystem, isResult } = this.options;
    this.byPath ??= new Map(this.direct().map(({ path, what }) => [fileKey(resolve(path)), what]));
    const named = this.byPath.get(fileKey(resolve(target)));
    if (named !== undefined) return named;
    const identity = await identityOf(target, fileSystem);
    // What keeps a target from being looked at is told by who writes it.
    if (identity === null) return null;
    const same = (await (this.identities ??= this.identify(this.direct()))).get(identity);
    if (same !== undefined) return same;
    if (await isResult?.(target)) return null;
    return (await (this.weights ??= this.findWeights())).get(identity) ?? null;
  }

  /** @throws UsageError where the target is needed */
  async assertFree(target: string, subject: string, hint: string): Promise<void> {
    const need = await this.need(target);
    if (need !== null)
      throw new UsageError(`${subject} would replace ${target}, which is ${need}`, {
        code: 'FEATX_USAGE_SAME_FILE',
        path: target,
        hint,
      });
  }

  private direct(): readonly Needed[] {
    const { modelText = 'a model of this batch' } = this.options;
    return [...this.options.models.map((path) => ({ path, what: modelText })), ...this.options.files];
  }

  private async identify(files: Iterable<Needed>): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (const { path, what } of files) {
      const identity = await identityOf(path, this.options.fileSystem);
      if (identity !== null) found.set(identity, what);
    }
    return found;
  }

  private async findWeights(): Promise<ReadonlyMap<string, string>> {
    const { models, perform, fileSystem, nameOf = (path) => path, jobs = 1 } = this.options;
    const needed: Needed[] = [];
    const queue = new Set(models).values();
    const work = async (): Promise<void> => {
      for (const model of queue) {
        // A model that is not there or cannot be read has no weights to lose that anybody knows of.
        if ((await identityOf(model, fileSystem)) === null) continue;
        const outcome = await perform({ kind: 'sidecars', root: '.', item: model });
        if (outcome?.result.is === 'sidecars')
          for (const path of outcome.result.paths) needed.push({ path, what: `the weights of ${nameOf(model)}` });
      }
    };
    await Promise.all(Array.from({ length: Math.min(jobs, models.length) }, work));
    return this.identify(needed);
  }
}

async function identityOf(path: string, fs: FileSystem): Promise<string | null> {
  try {
    const { dev, ino } = await fs.stat(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (errnoOf(error) !== undefined) return null;
    throw error;
  }
}
