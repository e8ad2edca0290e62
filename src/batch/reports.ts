import type { ExtractReport } from '../report/records.js';
import type { Shard } from '../options/values.js';
import type { ItemError } from './tasks.js';

/** What became of one item: its terminal record. */
export interface JobReport {
  readonly schema: 1;
  readonly command: 'batch';
  /** The model, relative to the root. */
  readonly item: string;
  readonly output: string;
  readonly status: 'done' | 'skipped' | 'failed';
  /** Processes that worked on it: 0 where none was needed, 2 where the first died. */
  readonly attempts: number;
  /** Null unless it failed; with the `signal` that ended the process, where one did. */
  readonly error: (ItemError & { readonly signal?: string }) | null;
  /** The report of the cut; null where none was made. */
  readonly report: ExtractReport | null;
}

/** What became of a batch. */
export interface BatchSummary {
  readonly schema: 1;
  readonly command: 'batch-summary';
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  /** Items that were not reached because the run was stopped; `--resume` goes on with them. */
  readonly remaining: number;
  /** Present where a part of the items was asked for. */
  readonly shard?: Pick<Shard, 'index' | 'count'>;
  readonly elapsed_ms: number;
}

/** How far a batch is. */
export interface BatchProgress {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly total: number;
  readonly elapsedMs: number;
}
