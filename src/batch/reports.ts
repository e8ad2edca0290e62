import { isRecord } from '../options/schema.js';
import type { Shard } from '../options/values.js';
import type { ExtractReport } from '../report/records.js';
import type { PlannedItem } from './jobs.js';
import type { JournalRecord } from './journal-lines.js';
import type { Made } from './made.js';
import { type ItemError, itemError } from './tasks.js';
import type { Outcome } from './worker.js';

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
  /** Present if the cut was there already, and now was run beside its model. */
  readonly verified?: true;
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

/** What became of an item, and what to remember of it. */
export interface Settled {
  readonly item: PlannedItem;
  readonly status: JobReport['status'];
  readonly attempts: number;
  readonly error: JobReport['error'];
  readonly report: ExtractReport | null;
  readonly verified?: true;
  /** What to remember; null to leave the memory as it is. */
  readonly made: Made | null;
  /** Already in the journal of this run. */
  readonly isRecorded?: boolean;
}

/** What a worker made of an item. */
export function settled(item: PlannedItem, { result, attempts }: Outcome<'extract'>): Settled {
  switch (result.is) {
    case 'made':
      return { item, status: 'done', attempts, error: null, report: result.report, made: result.made };
    case 'same':
      return {
        item,
        status: 'skipped',
        attempts: result.verified ? attempts : 0,
        error: null,
        report: null,
        ...(result.verified ? { verified: true } : {}),
        made: result.made,
      };
    case 'fault':
      return {
        item,
        status: 'failed',
        attempts,
        error: { ...itemError(result.error), ...(result.signal === null ? {} : { signal: result.signal }) },
        report: null,
        made: null,
      };
    case 'failed':
      return { item, status: 'failed', attempts, error: result.error, report: null, made: null };
  }
}

/** A record of the interrupted run, as it was. */
export function carried(item: PlannedItem, record: JournalRecord): Settled {
  const status = record.status === 'done' || record.status === 'skipped' ? record.status : 'failed';
  return {
    item,
    status,
    attempts: attemptsOf(record),
    error: isRecord(record.error) ? (record.error as unknown as ItemError) : null,
    report: reportOf(record),
    made: null,
    isRecorded: true,
  };
}

function attemptsOf({ attempts }: JournalRecord): number {
  return typeof attempts === 'number' ? attempts : 0;
}

function reportOf({ report }: JournalRecord): ExtractReport | null {
  return isRecord(report) ? (report as unknown as ExtractReport) : null;
}
