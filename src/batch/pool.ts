import type { Task, TaskResult } from './tasks.js';
import { BatchWorker, isStopped, type Fault, type WorkerOptions } from './worker.js';

/** What became of a task: a result, or the fault of the last attempt. */
export interface Outcome {
  readonly result: TaskResult | Fault;
  readonly attempts: number;
}

const MOST_ATTEMPTS = 2;

/** Worker processes, each doing one task at a time; one that dies is replaced, and its task tried once more. */
export class WorkerPool {
  private readonly idle: BatchWorker[] = [];
  private readonly all = new Set<BatchWorker>();
  private stopped = false;

  constructor(private readonly options: WorkerOptions) {}

  /** Does a task. As many run at once as callers ask for. Null where the pool was stopped meanwhile. */
  async perform(task: Task): Promise<Outcome | null> {
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
