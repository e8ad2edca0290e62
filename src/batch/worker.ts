import { ANY, option } from '../options/words.js';
import { FeatxError, RuntimeError, TimeoutError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { type Frame, encodeFrame } from '../processes/frames.js';
import { SupervisedProcess, programBeside } from '../processes/supervised.js';
import { RUNTIME_ENVIRONMENT } from '../runtime/session.js';
import type { Task, TaskResult } from './tasks.js';

/** Time without progress that a worker is given, unless a caller says another. */
export const WORKER_TIMEOUT_MS = 120_000;

/** What a worker may take, and which program it is. */
export interface WorkerOptions {
  /** Time without progress after which the process is killed, in milliseconds. */
  readonly timeoutMs: number;
  /** Resident memory beyond which it is killed; null for no limit. */
  readonly memoryBytes: number | null;
  /** The program to run instead of ours. */
  readonly entry?: string;
}

/** What a worker was asked and did not answer, because its process ended. */
export interface Fault {
  readonly is: 'fault';
  readonly error: Error;
  /** The signal that ended it. */
  readonly signal: string | null;
}

interface Pending {
  readonly id: number;
  readonly task: Task;
  readonly resolve: (result: TaskResult | Fault) => void;
}

const STOPPED = 'FEATX_STOPPED';

/** A process that does one task after another and can be killed at any of them. */
class BatchWorker {
  private readonly process: SupervisedProcess;
  private pending: Pending | null = null;
  private nextId = 1;
  private fault: Fault | null = null;

  constructor(private readonly options: WorkerOptions) {
    this.process = new SupervisedProcess({
      name: 'the worker process',
      entry: options.entry ?? programBeside(import.meta.url, 'batch-worker'),
      environment: RUNTIME_ENVIRONMENT,
      memoryBytes: options.memoryBytes,
      memoryHint: `raise the limit with ${option('memoryBytes', ANY)}`,
      subject: () => this.pending?.task.item ?? null,
      onAnswer: (frame) => this.onAnswer(frame),
      onOver: (over) => {
        this.fault = { is: 'fault', ...over };
        this.settle(this.fault);
      },
    });
  }

  /** Resolves when the process is gone. */
  get gone(): Promise<void> {
    return this.process.gone;
  }

  /** Whether its process has ended or is about to. */
  get isOver(): boolean {
    return this.fault !== null;
  }

  /** Does one task; the next one only after its result. */
  perform<T extends Task>(task: T): Promise<TaskResult<T['kind']> | Fault> {
    if (this.fault !== null) return Promise.resolve(this.fault);
    return new Promise((resolve) => {
      const id = this.nextId++;
      // `onAnswer` holds every result against the kind of its task.
      this.pending = { id, task, resolve: resolve as Pending['resolve'] };
      this.startTimer(task.item);
      this.process.send(encodeFrame({ value: { id, task }, payloads: [] }));
    });
  }

  /** Ends the process at once. */
  close(): void {
    this.process.stop(new RuntimeError('the work was stopped', { code: STOPPED }));
  }

  private startTimer(subject: string): void {
    const { timeoutMs } = this.options;
    this.process.limitTime(
      timeoutMs,
      () =>
        new TimeoutError(`the work on ${subject} made no progress for ${timeoutMs / 1000} s and was killed`, {
          hint: `give it more time with ${option('timeoutMs', ANY)}`,
        }),
    );
  }

  private settle(result: TaskResult | Fault): void {
    const { pending } = this;
    this.pending = null;
    this.process.liftTime();
    pending?.resolve(result);
  }

  private onAnswer({ value }: Frame): void {
    const { pending } = this;
    if (pending === null || !isRecord(value) || value.id !== pending.id) throw new Error('an answer to no question');
    if ('pulse' in value) this.startTimer(pending.task.item);
    else if (answers(pending.task, value.result)) this.settle(value.result);
    else throw new Error('an answer that is not a result of its task');
  }
}

/** Whether a fault is our own doing: the run is being stopped. */
function isStopped({ error }: Fault): boolean {
  return error instanceof FeatxError && error.code === STOPPED;
}

/** What makes a record a result, by what it says it is and the kind of task that it answers. */
const RESULTS: {
  readonly [Kind in Task['kind']]: {
    readonly [Is in TaskResult<Kind>['is']]: (value: { readonly [key: string]: unknown }) => boolean;
  };
} = {
  extract: {
    made: ({ report }) => isRecord(report),
    same: ({ made }) => isRecord(made),
    failed: ({ error }) => isRecord(error),
  },
  inspect: { inspected: ({ report }) => isRecord(report), failed: ({ error }) => isRecord(error) },
  sidecars: {
    sidecars: ({ paths }) => Array.isArray(paths) && paths.every((path) => typeof path === 'string'),
    failed: ({ error }) => isRecord(error),
  },
};

function answers({ kind }: Task, value: unknown): value is TaskResult {
  if (!isRecord(value)) return false;
  return Object.entries(RESULTS[kind]).some(([is, fits]) => value.is === is && fits(value));
}

/** What became of a task: a result, or the fault of the last attempt. */
export interface Outcome<Kind extends Task['kind'] = Task['kind']> {
  readonly result: TaskResult<Kind> | Fault;
  readonly attempts: number;
}

const MOST_ATTEMPTS = 2;

/** Worker processes, each doing one task at a time; one that dies is replaced, and its task tried once more. */
export class WorkerPool {
  private readonly idle: BatchWorker[] = [];
  private readonly all = new Set<BatchWorker>();
  private stopped = false;

  constructor(private readonly options: WorkerOptions) {}

  /** Does a task, beside as many others as callers ask for; null if the pool was stopped meanwhile. */
  async perform<T extends Task>(task: T): Promise<Outcome<T['kind']> | null> {
    for (let attempts = 1; ; attempts++) {
      if (this.stopped) return null;
      const worker = this.take();
      const result = await worker.perform(task);
      if (worker.isOver) this.forget(worker);
      else this.idle.push(worker);
      if (result.is !== 'fault') return { result, attempts };
      if (this.stopped || isStopped(result)) return null;
      if (attempts === MOST_ATTEMPTS) return { result, attempts };
    }
  }

  /** Kills every worker; resolves when all are gone. */
  async stop(): Promise<void> {
    this.stopped = true;
    const workers = [...this.all];
    for (const worker of workers) worker.close();
    await Promise.all(workers.map(({ gone }) => gone));
  }

  private take(): BatchWorker {
    for (let worker = this.idle.pop(); worker !== undefined; worker = this.idle.pop()) {
      if (!worker.isOver) return worker;
      this.forget(worker);
    }
    const fresh = new BatchWorker(this.options);
    this.all.add(fresh);
    return fresh;
  }

  private forget(worker: BatchWorker): void {
    void worker.gone.then(() => this.all.delete(worker));
  }
}
