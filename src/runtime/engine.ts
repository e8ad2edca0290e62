import type { TensorHead, RuntimeTensor } from './runtime-tensor.js';
import { packTensors, unpackTensors } from './runtime-tensor.js';
import { RuntimeChild, type ChildOptions } from './child.js';
import type { SessionPorts } from './child-work.js';
import { createSession, type LocalSession, type SessionSpec } from './session.js';

/** One session of ONNX Runtime, in this process or in a child. Errors carry the runtime's own message. */
export interface Engine {
  /** Opens a session in the place of the one before. */
  open(model: Uint8Array, spec: SessionSpec): Promise<SessionPorts>;
  run(
    feeds: ReadonlyMap<string, RuntimeTensor>,
    fetches: readonly string[],
  ): Promise<ReadonlyMap<string, RuntimeTensor>>;
  /** Gives back the memory of results, which nobody may use any more. */
  recycle(results: Iterable<RuntimeTensor>): void;
  endProfiling(): Promise<void>;
  close(): Promise<void>;
}

export class LocalEngine implements Engine {
  private session: LocalSession | null = null;

  async open(model: Uint8Array, spec: SessionSpec): Promise<SessionPorts> {
    await this.close();
    this.session = await createSession(model, spec);
    return this.session;
  }

  async run(
    feeds: ReadonlyMap<string, RuntimeTensor>,
    fetches: readonly string[],
  ): Promise<ReadonlyMap<string, RuntimeTensor>> {
    return this.opened().run(feeds, fetches);
  }

  recycle(): void {
    // The runtime's own memory goes with its tensors.
  }

  async endProfiling(): Promise<void> {
    this.opened().endProfiling();
  }

  async close(): Promise<void> {
    await this.session?.close();
    this.session = null;
  }

  private opened(): LocalSession {
    if (this.session === null) throw new Error('no session is open');
    return this.session;
  }
}

export interface ChildEngineOptions extends ChildOptions {
  /** For every step: opening, and each run. */
  readonly timeoutMs?: number;
  /** What is run, for messages. */
  readonly subject: string;
}

export class ChildEngine implements Engine {
  private child: RuntimeChild | null = null;

  constructor(private readonly options: ChildEngineOptions) {}

  async open(model: Uint8Array, spec: SessionSpec): Promise<SessionPorts> {
    // A provider that failed may have left the process in a state that nothing else should start from.
    this.child?.close();
    this.child = RuntimeChild.start({ ...this.options, shares: true });
    const { value } = await this.ask({ kind: 'open', spec }, [model]);
    return value as SessionPorts;
  }

  async run(
    feeds: ReadonlyMap<string, RuntimeTensor>,
    fetches: readonly string[],
  ): Promise<ReadonlyMap<string, RuntimeTensor>> {
    const { heads, payloads } = packTensors(feeds);
    const { value, payloads: results } = await this.ask({ kind: 'run', feeds: heads, fetches }, payloads);
    return unpackTensors(value as readonly TensorHead[], results);
  }

  recycle(results: Iterable<RuntimeTensor>): void {
    for (const { data } of results) if (ArrayBuffer.isView(data)) this.child?.recycle(data);
  }

  async endProfiling(): Promise<void> {
    await this.ask({ kind: 'end-profiling' }, []);
  }

  async close(): Promise<void> {
    this.child?.close();
    this.child = null;
  }

  /** What the child wrote to standard error. */
  get lastWords(): string {
    return this.child?.lastWords ?? '';
  }

  private ask(
    request: Parameters<RuntimeChild['ask']>[0],
    payloads: readonly Uint8Array[],
  ): ReturnType<RuntimeChild['ask']> {
    const { timeoutMs, subject } = this.options;
    if (this.child === null) throw new Error('no session is open');
    return this.child.ask(request, payloads, { timeoutMs, subject, watch: true });
  }
}
