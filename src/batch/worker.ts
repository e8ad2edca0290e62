import { spawn, type ChildProcess } from 'node:child_process';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RuntimeError, TimeoutError, type FeatxError } from '../errors.js';
import { printable } from '../runtime/child.js';
import { encodeFrame, FrameReader } from '../runtime/frames.js';
import { watchMemory } from '../runtime/memory.js';
import { isRecord } from './validate.js';
import type { Task, TaskResult } from './tasks.js';

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
  readonly error: FeatxError;
  /** The signal that ended it. */
  readonly signal: string | null;
}

interface Pending {
  readonly id: number;
  readonly subject: string;
  readonly resolve: (result: TaskResult | Fault) => void;
  timer: NodeJS.Timeout;
}

const KEPT_STDERR = 4 * 1024;
const STOPPED = 'FEATX_STOPPED';

/** The worker's program: beside this module in the library and in the CLI's bundle, behind a loader where this is TypeScript. */
function workerEntry(moduleUrl: string): string {
  const here = fileURLToPath(moduleUrl);
  if (here.endsWith('.ts')) return fileURLToPath(new URL('../testing/batch-worker.mjs', moduleUrl));
  return fileURLToPath(
    new URL(basename(dirname(here)) === 'batch' ? './worker-entry.js' : './batch-worker.js', moduleUrl),
  );
}

/** A process that does one task after another and can be killed at any of them. */
export class BatchWorker {
  private readonly process: ChildProcess;
  private readonly reader = new FrameReader();
  private readonly stopWatching: () => void;
  private pending: Pending | null = null;
  private nextId = 1;
  private stderr = '';
  private fault: Fault | null = null;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;

  constructor(private readonly options: WorkerOptions) {
    const { NODE_OPTIONS: _ours, ...inherited } = process.env;
    const env = { ALLOW_RELEASED_ONNX_OPSET_ONLY: '0', ...inherited };
    this.process = spawn(process.execPath, [options.entry ?? workerEntry(import.meta.url), String(process.pid)], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      env,
      windowsHide: true,
    });
    const { memoryBytes } = options;
    this.stopWatching =
      memoryBytes === null
        ? () => undefined
        : watchMemory(this.process.pid, memoryBytes, (seen) =>
            this.stop(outOfMemory(this.subject, memoryBytes, seen), 'SIGKILL'),
          );
    this.gone = new Promise((resolve) => {
      this.process.on('close', (code, signal) => {
        this.onEnd(code, signal);
        resolve();
      });
      this.process.on('error', (error) => {
        this.stop(
          new RuntimeError(`a worker process does not start: ${error.message}`, {
            code: 'FEATX_CHILD_CRASH',
            cause: error,
          }),
          null,
        );
        resolve();
      });
    });
    const [requests, , errors, answers] = this.process.stdio;
    requests?.on('error', () => undefined);
    errors?.on('data', (chunk: Buffer) => (this.stderr = (this.stderr + chunk.toString('utf8')).slice(-KEPT_STDERR)));
    answers?.on('data', (chunk: Buffer) => this.onData(chunk));
    answers?.on('error', () => undefined);
  }

  /** Whether its process has ended or is about to. */
  get isOver(): boolean {
    return this.fault !== null;
  }

  /** Does one task; the next one only after its result. */
  perform(task: Task): Promise<TaskResult | Fault> {
    if (this.fault !== null) return Promise.resolve(this.fault);
    return new Promise((resolve) => {
      const id = this.nextId++;
      this.pending = { id, subject: task.item, resolve, timer: this.startTimer(task.item) };
      for (const chunk of encodeFrame({ value: { id, task }, payloads: [] })) this.process.stdin?.write(chunk);
    });
  }

  /** Ends the process at once. */
  close(): void {
    this.stop(new RuntimeError('the work was stopped', { code: STOPPED }), 'SIGKILL');
  }

  private get subject(): string {
    return this.pending?.subject ?? 'nothing';
  }

  private startTimer(subject: string): NodeJS.Timeout {
    const { timeoutMs } = this.options;
    return setTimeout(() => {
      this.stop(
        new TimeoutError(`the work on ${subject} made no progress for ${timeoutMs / 1000} s and was killed`, {
          hint: 'give it more time with --timeout SECONDS',
        }),
        'SIGKILL',
      );
    }, timeoutMs);
  }

  private settle(result: TaskResult | Fault): void {
    const { pending } = this;
    this.pending = null;
    clearTimeout(pending?.timer);
    pending?.resolve(result);
  }

  private stop(error: FeatxError, signal: string | null): void {
    this.fault ??= { is: 'fault', error, signal };
    this.stopWatching();
    this.process.kill('SIGKILL');
    this.settle(this.fault);
  }

  private onData(chunk: Uint8Array): void {
    if (this.fault !== null) return;
    try {
      for (const { value } of this.reader.push(chunk)) this.onAnswer(value);
    } catch (error) {
      this.stop(
        new RuntimeError(
          `the process that worked on ${this.subject} answered garbage: ${error instanceof Error ? error.message : String(error)}`,
          { code: 'FEATX_CHILD_CRASH', cause: error },
        ),
        'SIGKILL',
      );
    }
  }

  private onAnswer(value: unknown): void {
    const { pending } = this;
    if (pending === null || !isRecord(value) || value.id !== pending.id) throw new Error('an answer to no question');
    if ('pulse' in value) {
      clearTimeout(pending.timer);
      pending.timer = this.startTimer(pending.subject);
    } else if (isResult(value.result)) this.settle(value.result);
    else throw new Error('an answer that is no result');
  }

  private onEnd(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.fault !== null) return;
    const how = signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was killed by ${signal}`;
    const words = printable(this.stderr.trim());
    const hint =
      signal === 'SIGKILL'
        ? 'the system may have run out of memory'
        : 'the model may be malformed, or ONNX Runtime has a defect';
    this.stop(
      new RuntimeError(`the process that worked on ${this.subject} ${how}${words && `; it said: ${words}`}`, {
        code: 'FEATX_CHILD_CRASH',
        hint,
      }),
      signal,
    );
  }
}

/** Whether a fault is our own doing: the run is being stopped. */
export function isStopped({ error }: Fault): boolean {
  return error.code === STOPPED;
}

function isResult(value: unknown): value is TaskResult {
  if (isRecord(value) && value.is === 'sidecars')
    return Array.isArray(value.paths) && value.paths.every((path) => typeof path === 'string');
  return (
    isRecord(value) &&
    (value.is === 'made' ||
      value.is === 'same' ||
      value.is === 'inspected' ||
      (value.is === 'failed' && isRecord(value.error)))
  );
}

function outOfMemory(subject: string, limit: number, seen: number): TimeoutError {
  return new TimeoutError(
    `the work on ${subject} took ${seen} bytes of memory, more than the ${limit} allowed, and was killed`,
    { code: 'FEATX_MEMORY', hint: 'raise the limit with --memory BYTES' },
  );
}
