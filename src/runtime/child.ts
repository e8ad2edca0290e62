import { spawn, type ChildProcess } from 'node:child_process';
import { basename, dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { RuntimeError, TimeoutError } from '../errors.js';
import type { ChildRequest, WireError } from './child-work.js';
import { BufferPool } from './buffers.js';
import { encodeFrame, FrameReader, type Frame } from './frames.js';
import { watchMemory } from './memory.js';
import { isRuntimeInstalled, messageOf, runtimeMissing } from './session.js';
import { LEAST_SHARED, SharedFile } from './shared-file.js';

export interface ChildOptions {
  /** Resident memory beyond which the child is killed, in bytes. */
  readonly memoryBytes?: number;
  /** The program to run instead of ours. */
  readonly entry?: string;
  /** Ends the child at once when it is aborted. */
  readonly signal?: AbortSignal;
  /** Whether large payloads are exchanged through files that the two share: worth it where there are many. */
  readonly shares?: boolean;
}

export interface AskOptions {
  /** Time after which the child is killed, in milliseconds. */
  readonly timeoutMs?: number;
  /** What it is asked about, for messages: `the types of m.onnx`. */
  readonly subject?: string;
  /** Whether the work may take so long that the child must watch over its parent meanwhile. */
  readonly watch?: boolean;
}

interface Pending {
  readonly id: number;
  readonly subject: string;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly timeoutMs: number | undefined;
}

const KEPT_STDERR = 4 * 1024;

/** The child's program: beside this module in the library, at the top of the CLI's bundle, behind a loader where this is TypeScript. */
export function childEntry(moduleUrl: string): string {
  const here = fileURLToPath(moduleUrl);
  if (here.endsWith('.ts')) return fileURLToPath(new URL('../testing/runtime-child.mjs', moduleUrl));
  return fileURLToPath(
    new URL(basename(dirname(here)) === 'runtime' ? './child-entry.js' : './runtime-child.js', moduleUrl),
  );
}

/**
 * A process of its own for ONNX Runtime: native code that crashes, hangs or eats memory takes nobody along. It starts loading the runtime at once, before
 * it is asked, keeps nothing alive while it is idle, and ends with its parent.
 */
export class RuntimeChild implements Disposable {
  private readonly process: ChildProcess;
  private readonly pool = new BufferPool();
  private readonly reader: FrameReader;
  /** Payloads of questions and of answers; null where they pass through the pipes. */
  private shared: { readonly questions: SharedFile; readonly answers: SharedFile } | null;
  private readonly stopWatching: () => void;
  /** Questions without an answer, oldest first; the child answers in this order. */
  private readonly pending: Pending[] = [];
  private timer: NodeJS.Timeout | undefined;
  private nextId = 1;
  private lastRead = 0;
  private stderr = '';
  private ended: Error | null = null;
  private readonly onAbort = (): void =>
    this.stop(new RuntimeError('the child process was interrupted', { code: 'FEATX_CHILD_CLOSED' }));

  /** @throws RuntimeError `FEATX_RUNTIME_MISSING` where onnxruntime-node is not installed */
  static start(options: ChildOptions = {}): RuntimeChild {
    if (!isRuntimeInstalled()) throw runtimeMissing();
    return new RuntimeChild(options);
  }

  private constructor(private readonly options: ChildOptions) {
    const { NODE_OPTIONS: _ours, ...env } = process.env;
    this.shared = options.shares ? sharedFiles() : null;
    this.reader = new FrameReader({
      take: (length) => this.pool.take(length),
      fetch: (position, target) => this.shared?.answers.read(position, target),
    });
    const descriptors = this.shared === null ? [] : [this.shared.questions.descriptor, this.shared.answers.descriptor];
    const program = [
      options.entry ?? childEntry(import.meta.url),
      String(process.pid),
      ...(this.shared === null ? [] : ['shares']),
    ];
    this.process = spawn(process.execPath, program, {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe', ...descriptors],
      env,
      windowsHide: true,
    });
    const { memoryBytes, signal } = options;
    this.stopWatching =
      memoryBytes === undefined
        ? () => undefined
        : watchMemory(this.process.pid, memoryBytes, (seen) => this.stop(outOfMemory(memoryBytes, seen)));
    this.process.on('error', (error) =>
      this.stop(
        new RuntimeError(`a child process for ONNX Runtime does not start: ${error.message}`, {
          code: 'FEATX_CHILD_CRASH',
          cause: error,
        }),
      ),
    );
    this.process.on('close', (code, signal) => this.onEnd(code, signal));
    this.requests.on('error', () => undefined);
    this.errors.setEncoding('utf8');
    this.errors.on('data', (text: string) => (this.stderr = (this.stderr + text).slice(-KEPT_STDERR)));
    this.answers.on('data', (chunk: Buffer) => this.onData(chunk));
    this.keepAlive(false);
    signal?.addEventListener('abort', this.onAbort, { once: true });
    if (signal?.aborted) this.onAbort();
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** What the child wrote to standard error so far, safe to show. */
  get lastWords(): string {
    return printable(this.stderr.trim());
  }

  /**
   * Asks a question; several may wait, and the time of each counts from the answer before.
   * @throws TimeoutError `FEATX_TIMEOUT` or `FEATX_MEMORY`; RuntimeError `FEATX_CHILD_CRASH` where the child ends or answers garbage, or what it threw
   */
  async ask(request: ChildRequest, payloads: readonly Uint8Array[], options: AskOptions = {}): Promise<Frame> {
    if (this.ended !== null) throw this.ended;
    const id = this.nextId++;
    this.keepAlive(true);
    const answered = new Promise<Frame>((resolve, reject) =>
      this.pending.push({ id, subject: options.subject ?? 'a model', resolve, reject, timeoutMs: options.timeoutMs }),
    );
    if (this.pending.length === 1) this.startTimer();
    const place = (payload: Uint8Array): number | null =>
      payload.length < LEAST_SHARED ? null : (this.shared?.questions.place(payload, id) ?? null);
    for (const chunk of encodeFrame(
      { value: { id, read: this.lastRead, watch: options.watch ?? false, ask: request }, payloads },
      place,
    ))
      this.requests.write(chunk);
    return answered;
  }

  /** Gives back the memory of an answer's payload that nobody uses any more. */
  recycle(payload: ArrayBufferView): void {
    this.pool.give(payload);
  }

  /** Ends the child at once. */
  close(): void {
    this.stop(new RuntimeError('the child process was closed', { code: 'FEATX_CHILD_CLOSED' }));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private get requests(): Writable {
    return this.process.stdio[0] as Writable;
  }

  private get errors(): Readable {
    return this.process.stdio[2] as Readable;
  }

  private get answers(): Readable {
    return this.process.stdio[3] as Readable;
  }

  private keepAlive(alive: boolean): void {
    const method = alive ? 'ref' : 'unref';
    this.process[method]();
    for (const stream of [this.requests, this.errors, this.answers])
      (stream as unknown as { ref(): void; unref(): void })[method]();
  }

  private startTimer(): void {
    clearTimeout(this.timer);
    const [next] = this.pending;
    if (next?.timeoutMs === undefined) return;
    const { subject, timeoutMs } = next;
    this.timer = setTimeout(() => this.stop(timedOut(subject, timeoutMs)), timeoutMs);
  }

  private stop(error: Error): void {
    this.ended ??= error;
    this.stopWatching();
    this.options.signal?.removeEventListener('abort', this.onAbort);
    clearTimeout(this.timer);
    this.process.kill('SIGKILL');
    this.closeShared();
    this.keepAlive(false);
    for (const { reject } of this.pending.splice(0)) reject(error);
  }

  /** The number of a closed descriptor may soon be another file's. */
  private closeShared(): void {
    const { shared } = this;
    this.shared = null;
    shared?.questions.close();
    shared?.answers.close();
  }

  private onData(chunk: Uint8Array): void {
    if (this.ended !== null) return;
    try {
      for (const { value, payloads } of this.reader.push(chunk)) {
        const reply = value as { readonly id?: number; readonly answer?: unknown; readonly error?: WireError };
        const error = reply.error;
        const question = this.pending[0];
        if (question === undefined || reply.id !== question.id) throw new Error('an answer to no question');
        this.pending.shift();
        this.lastRead = question.id;
        this.shared?.questions.release(question.id);
        this.startTimer();
        if (this.pending.length === 0) this.keepAlive(false);
        if (error === undefined) question.resolve({ value: reply.answer, payloads });
        else question.reject(fromWire(error));
      }
    } catch (error) {
      this.stop(
        new RuntimeError(`the child process that runs ONNX Runtime answers garbage: ${messageOf(error)}`, {
          code: 'FEATX_CHILD_CRASH',
          cause: error,
        }),
      );
    }
  }

  private onEnd(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.ended !== null) return;
    const how = signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was killed by ${signal}`;
    const words = this.lastWords;
    const subject = this.pending[0]?.subject;
    const hint =
      signal === 'SIGKILL'
        ? 'the system may have run out of memory'
        : 'the model may be malformed, or ONNX Runtime has a defect';
    this.stop(
      new RuntimeError(
        `the process that ran ONNX Runtime ${how}${subject === undefined ? '' : ` while it worked on ${subject}`}${words && `; it said: ${words}`}`,
        { code: 'FEATX_CHILD_CRASH', hint },
      ),
    );
  }
}

function sharedFiles(): { readonly questions: SharedFile; readonly answers: SharedFile } | null {
  const questions = SharedFile.create();
  const answers = SharedFile.create();
  if (questions !== null && answers !== null) return { questions, answers };
  questions?.close();
  answers?.close();
  return null;
}

function timedOut(subject: string, timeoutMs: number): TimeoutError {
  return new TimeoutError(`ONNX Runtime did not finish ${subject} within ${timeoutMs / 1000} s and was stopped`, {
    hint: 'give it more time with --timeout SECONDS (timeoutMs)',
  });
}

function outOfMemory(limit: number, seen: number): TimeoutError {
  return new TimeoutError(
    `ONNX Runtime took ${seen} bytes of memory, more than the ${limit} allowed, and was stopped`,
    {
      code: 'FEATX_MEMORY',
      hint: 'raise the limit with --max-memory BYTES (memoryBytes); a run in smaller batches takes less (--batch-size)',
    },
  );
}

function fromWire({ message, code, hint }: WireError): RuntimeError {
  return new RuntimeError(message, { code: code ?? undefined, hint: hint ?? undefined });
}

/** Text of the runtime without characters that steer a terminal. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`,
  );
}
