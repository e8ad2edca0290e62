import { resolve } from 'node:path';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { withoutTwins, type Plan } from './jobs.js';
import { Journal } from './journal.js';
import { judge, readMade } from './made.js';
import { takeShard } from './shard.js';
import type { Shard } from '../options/values.js';
import type { ItemError } from './tasks.js';

/** What a batch would do with an item. */
export interface PlannedReport {
  readonly schema: 1;
  readonly command: 'batch-plan';
  readonly item: string;
  /** Null for a file that is left alone. */
  readonly output: string | null;
  /** `check`: it must be read in full to know whether it has changed; `leave`: found, and a cut that featx made. */
  readonly action: 'cut' | 'skip' | 'check' | 'refuse' | 'leave';
  readonly error: ItemError | null;
  /** As `extract` takes them; null for a file that is left alone. */
  readonly options: unknown;
}

export interface PreviewOptions {
  readonly stateDirectory?: string;
  readonly shard?: Pick<Shard, 'index' | 'count'>;
  readonly force?: boolean;
  readonly check?: 'stat' | 'content';
  readonly fileSystem?: FileSystem;
}

const HASH_LIMIT = 4 * 1024 * 1024;

/** What `runPlan` would do, in order. Reads what it must, writes nothing. @throws IoError where the journal cannot be read */
export async function* previewPlan(
  plan: Plan,
  options: PreviewOptions = {},
): AsyncGenerator<PlannedReport & { readonly output: string }> {
  const { fileSystem = nodeFileSystem, shard, stateDirectory } = options;
  const journal =
    stateDirectory === undefined ? null : await Journal.recall(fileSystem, resolve(plan.root, stateDirectory));
  try {
    const { items } = await withoutTwins(plan, fileSystem);
    for (const { id, item, output, options: text, fault } of shard === undefined ? items : takeShard(items, shard)) {
      const made = options.force ? null : readMade((await journal?.cached(id))?.made);
      const verdict =
        made === null
          ? null
          : await judge(
              made,
              { root: plan.root, item, output, options: text },
              { fileSystem, content: options.check === 'content', hashLimit: HASH_LIMIT },
            );
      const action =
        fault !== null ? 'refuse' : verdict?.is === 'same' ? 'skip' : verdict?.is === 'unsure' ? 'check' : 'cut';
      yield { schema: 1, command: 'batch-plan', item, output, action, error: fault, options: JSON.parse(text) };
    }
  } finally {
    await journal?.close();
  }
}
