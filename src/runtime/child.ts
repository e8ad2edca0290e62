import { ANY, option } from '../options/words.js';
import { RuntimeError, TimeoutError } from '../errors.js';
import { BufferPool } from '../processes/buffers.js';
import { encodeFrame, type Frame } from '../processes/frames.js';
import { LEAST_SHARED, SharedFile } from '../processes/shared-file.js';
import { programBeside, SupervisedProcess } from '../processes/supervised.js';
import type { AskOptions, RuntimeHost, RuntimeRequest, WireError } from './host.js';
import { isRuntimeInstalled, RUNTIME_ENVIRONMENT, runtimeMissing } from './session.js';

/** What a child with ONNX Runtime may take, and which program it is. */
export interface ChildOptions {
  /** Resident memory beyond which the child is killed, in bytes. */
  readonly memoryBytes?: number;
  /** The program to run instead of ours. */
  readonly entry?: string;
  /** Ends the child at once when it is aborted. */
  readonly signal?: AbortSignal;
  /** Whether it works with onnxruntime-web, and needs no onnxruntime-node. */
  readonly isWeb?: boolean;
  /** Whether large payloads are exchanged through files that the two share: worth it if there are many. */
  readonly shares?: boolean;
}

interface Pending {
  readonly id: number;
  readonly subject: string;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly timeoutMs: number | undefined;
}

/**
 * A process of its own for ONNX Runtime: native code that crashes, hangs or eats memory takes nobody along. It starts
 * loading the runtime at once, before it is asked, keeps nothing alive while it is idle, and ends with its parent.
 */
export class RuntimeChild implements RuntimeHost, Disposable {
  private readonly process: SupervisedProcess;
  private readonly pool = new BufferPool();
  /** Payloads of questions and of answers; null if they pass through the pipes. */
  private shared: { readonly questions: SharedFile; readonly answers: SharedFile } | null;
  /** Questions without an answer, oldest first; the child answers in this order. */
  private readonly pending: Pending[] = [];
  private nextId = 1;
  private lastRead = 0;
  private ended: Error | null = null;
  private readonly onAbort = (): void => this.process.stop(abortError(this.options.signal?.reason));

  /** @throws RuntimeError `FEATX_RUNTIME_MISSING` if onnxruntime-node is not installed */
  static start(options: ChildOptions = {}): RuntimeChild {
    if (options.isWeb !== true && !isRuntimeInstalled()) throw runtimeMissing();
    return new RuntimeChild(options);
  }

  private constructor(private readonly options: ChildOptions) {
    const { entry = programBeside(import.meta.url, 'runtime-child'), memoryBytes = null, signal, shares } = options;
    this.shared = shares ? sharedFiles() : null;
    this.process = new SupervisedProcess({
      name: 'the process for ONNX Runtime',
      entry,
      environment: RUNTIME_ENVIRONMENT,
      descriptors: this.shared === null ? [] : [this.shared.questions.descriptor, this.shared.answers.descriptor],
      memoryBytes,
      memoryHint: `raise the limit with ${option('memoryBytes', ANY)}; a run in smaller batches takes less (${option('batchSize')})`,
      memory: {
        take: (length) => this.pool.take(length),
        fetch: (position, target) => this.shared?.answers.read(position, target),
      },
      subject: () => this.pending[0]?.subject ?? null,
      onAnswer: (frame) => this.onAnswer(frame),
      onOver: ({ error }) => this.onOver(error),
    });
    this.process.keepAlive(false);
    signal?.addEventListener('abort', this.onAbort, { once: true });
    if (signal?.aborted) this.onAbort();
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  get lastWords(): string {
    return this.process.lastWords;
  }

  /**
   * Asks a question; several may wait, and the time of each counts from the answer before.
   * @throws TimeoutError `FEATX_TIMEOUT` or `FEATX_MEMORY`; RuntimeError `FEATX_CHILD_CRASH` if the child ends or
   * answers garbage, or what it threw
   */
  async ask(request: RuntimeRequest, payloads: readonly Uint8Array[], options: AskOptions = {}): Promise<Frame> {
    if (this.ended !== null) throw this.ended;
    const id = this.nextId++;
    this.process.keepAlive(true);
    const answered = new Promise<Frame>((resolve, reject) =>
      this.pending.push({ id, subject: options.subject ?? 'a model', resolve, reject, timeoutMs: options.timeoutMs }),
    );
    if (this.pending.length === 1) this.startTimer();
    const place = (payload: Uint8Array): number | null =>
      payload.length < LEAST_SHARED ? null : (this.shared?.questions.place(payload, id) ?? null);
    const value = { id, read: this.lastRead, watch: options.watch ?? false, ask: request };
    this.process.send(encodeFrame({ value, payloads }, place));
    return answered;
  }

  recycle(payload: ArrayBufferView): void {
    this.pool.give(payload);
  }

  /** Ends the child at once. */
  close(): void {
    this.process.stop(new RuntimeError('the child process was closed', { code: 'FEATX_CHILD_CLOSED' }));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private startTimer(): void {
    const [next] = this.pending;
    if (next?.timeoutMs === undefined) return this.process.liftTime();
    const { subject, timeoutMs } = next;
    this.process.limitTime(timeoutMs, () => timedOut(subject, timeoutMs));
  }

  private onAnswer({ value, payloads }: Frame): void {
    const { id, answer, error } = value as {
      readonly id?: number;
      readonly answer?: unknown;
      readonly error?: WireError;
    };
    const [question] = this.pending;
    if (question === undefined || id !== question.id) throw new Error('an answer to no question');
    this.pending.shift();
    this.lastRead = question.id;
    this.shared?.questions.release(question.id);
    this.startTimer();
    if (this.pending.length === 0) this.process.keepAlive(false);
    if (error === undefined) question.resolve({ value: answer, payloads });
    else question.reject(fromWire(error));
  }

  private onOver(error: Error): void {
    this.ended = error;
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.process.keepAlive(false);
    // The number of a closed descriptor may soon be another file's.
    const { shared } = this;
    this.shared = null;
    shared?.questions.close();
    shared?.answers.close();
    for (const { reject } of this.pending.splice(0)) reject(error);
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

function abortError(reason: unknown): Error {
  return typeof reason === 'object' && reason !== null
    ? (reason as Error)
    : new DOMException(String(reason), 'AbortError');
}

function timedOut(subject: string, timeoutMs: number): TimeoutError {
  return new TimeoutError(`ONNX Runtime did not finish ${subject} within ${timeoutMs / 1000} s and was stopped`, {
    hint: `give it more time with ${option('timeoutMs', ANY)}`,
  });
}

function fromWire({ message, code, hint }: WireError): RuntimeError {
  return new RuntimeError(message, { code: code ?? undefined, hint: hint ?? undefined });
}
