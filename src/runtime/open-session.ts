import type { TensorValue } from '../onnx/tensor-value.js';
import { option } from '../options/words.js';
import { RuntimeError, TimeoutError, UsageError } from '../errors.js';
import { hasTensor, viewGraph, type GraphView } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import type { TensorType } from '../onnx/types.js';
import { checkOptions } from '../options/check.js';
import { nodeFileSystem } from '../wire/fs.js';
import { filesBeside } from '../remote/beside.js';
import { printable } from '../wire/text.js';
import type { SessionPorts } from './host.js';
import { checkFeeds, checkResults } from './exchange.js';
import { askOptions, openOnAny, type Asked, type Opened, type Wanted } from './opening.js';
import { assertWhole, profileFile, profileFiles, readPlacement, type Placement } from './placement.js';
import { isProcessor, plainReason, providerOrder } from './providers.js';
import { packTensors, unpackTensors, type TensorHead } from './runtime-tensor.js';
import { messageOf } from './message.js';
import type { SessionOptions } from './session-options.js';
import { tensorsAsTheyAre, type Port } from './session-plan.js';

/** An input or an output of a session. */
export interface SessionPort {
  readonly name: string;
  /** The dtype in which values travel: float32 for bfloat16 and float8, int8 for int4. */
  readonly dtype: string;
  /** The dtype in the graph. */
  readonly graphDtype: string;
  readonly shape: TensorType['shape'];
}

/** A model, or a part of one, that is open in ONNX Runtime. */
export interface RuntimeSession extends AsyncDisposable {
  /** Inputs that the outputs need. */
  readonly inputs: readonly SessionPort[];
  readonly outputs: readonly SessionPort[];
  /**
   * The provider that was chosen; after the first run, where a non-CPU provider was, the one that the profile shows to
   * have done most of the work.
   */
  readonly provider: string;
  /** Where the nodes of the first run were executed; null before it and on the CPU. */
  readonly placement: Placement | null;
  /** The profile of the first run, where one was asked for. */
  readonly profile: string | null;
  readonly warnings: readonly string[];
  /**
   * Runs the model. Feeds by input name, results by output name; `fetches` are some of the outputs.
   * @throws UsageError naming every feed that does not fit; RuntimeError; TimeoutError; IoError where a file of weights
   * changed
   */
  run(feeds: ReadonlyMap<string, TensorValue>, fetches?: readonly string[]): Promise<ReadonlyMap<string, TensorValue>>;
  /** Gives back the memory of results for those of later runs; nobody may use them any more. */
  recycle(results: Iterable<TensorValue>): void;
  close(): Promise<void>;
}

/**
 * Opens a session of ONNX Runtime on a model, or on the part of it that computes some tensors. Weights in a file are
 * read from the file by the runtime and never copied into JavaScript memory.
 * @throws RuntimeError `FEATX_RUNTIME_MISSING` without onnxruntime-node, `FEATX_DEVICE` where no provider can be used,
 * `FEATX_RUNTIME_MODEL` where the model is refused
 */
export async function openSession(input: OnnxModel | GraphView, options: SessionOptions = {}): Promise<RuntimeSession> {
  checkOptions('session', options);
  checkIsolation(options);
  const view = 'producerOf' in input ? input : viewGraph(input);
  const outputs = [...new Set(options.outputs ?? view.outputs.keys())];
  const missing = outputs.filter((name) => !hasTensor(view, name));
  if (missing.length > 0)
    throw new UsageError(
      `${subjectOf(view)} has no tensor ${missing.map((name) => `'${printable(name)}'`).join(', ')}`,
      { code: 'FEATX_RESOLVE_TENSOR' },
    );
  if (outputs.length === 0) throw new UsageError('no output is asked for');
  return openComputation(view, { computation: tensorsAsTheyAre(outputs), types: new Map() }, options);
}

/**
 * `openSession` for what an edit makes of a model, whose source must stay open as long as the session.
 * @throws what `openSession` throws
 */
export async function openComputation(
  view: GraphView,
  asked: Asked,
  options: SessionOptions = {},
): Promise<RuntimeSession> {
  const providers = providerOrder(options.providers ?? ['cpu']);
  const { fileSystem = nodeFileSystem, strictExternal: strict } = options;
  const warnings = new Set<string>();
  const warn = (message: string): void => void warnings.add(message);
  const sidecars = filesBeside(view.model.source, { fileSystem, strict, warn });
  const wanted: Wanted = {
    ...asked,
    view,
    options,
    subject: subjectOf(view),
    files: { sidecars, fileSystem, warn },
  };
  try {
    return new Session(wanted, await openOnAny(wanted, providers), [...warnings]);
  } catch (error) {
    await sidecars.close();
    throw error;
  }
}

function subjectOf({ model }: GraphView): string {
  const { path } = model.source;
  return path === undefined ? 'the model' : printable(path);
}

function checkIsolation({ timeoutMs, memoryBytes, isolate }: SessionOptions): void {
  if (!isolate && (timeoutMs !== undefined || memoryBytes !== undefined))
    throw new UsageError('a time or memory limit needs a process of its own', { hint: 'set isolate: true' });
}

class Session implements RuntimeSession {
  readonly inputs: readonly SessionPort[];
  readonly outputs: readonly SessionPort[];
  provider: string;
  placement: Placement | null = null;
  profile: string | null = null;
  private state: 'open' | 'broken' | 'closed' = 'open';
  private isFirst = true;
  private readonly ports: ReadonlyMap<string, Port>;

  constructor(
    private readonly wanted: Wanted,
    private readonly opened: Opened,
    readonly warnings: readonly string[],
  ) {
    const { runnable, ports, provider } = opened;
    this.provider = provider;
    this.inputs = runnable.inputs.map((entry) =>
      sessionPort(
        entry,
        ports.inputs.find(({ name }) => name === entry.alias),
      ),
    );
    this.outputs = runnable.outputs.map((entry, index) => sessionPort(entry, ports.outputs[index]));
    this.ports = new Map(runnable.outputs.map((entry) => [entry.name, entry]));
  }

  async run(
    feeds: ReadonlyMap<string, TensorValue>,
    fetches?: readonly string[],
  ): Promise<ReadonlyMap<string, TensorValue>> {
    const { runnable, ports } = this.opened;
    const { subject, options } = this.wanted;
    options.signal?.throwIfAborted();
    if (this.state !== 'open') {
      const why =
        this.state === 'closed' ? 'the session is closed' : 'the session failed before and cannot be used again';
      throw new RuntimeError(why, { code: 'FEATX_RUNTIME_CLOSED' });
    }
    const wanted = (fetches ?? this.outputs.map(({ name }) => name)).map((name) => this.portOf(name));
    const ready = checkFeeds(runnable.inputs, ports.inputs, feeds, subject);
    // Mapped weights of a file that was overwritten would be used in silence; of one that was cut short, end the
    // process.
    for (const source of runnable.sources) await source.assertUnchanged?.();
    const results = await this.compute(
      ready,
      wanted.map(({ alias }) => alias),
    );
    if (this.isFirst) {
      this.isFirst = false;
      await this.finishProfile();
    }
    return checkResults(wanted, results, subject);
  }

  recycle(results: Iterable<TensorValue>): void {
    for (const { data } of results) if (ArrayBuffer.isView(data)) this.opened.host.recycle(data);
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    const { sidecars, fileSystem: fs } = this.wanted.files;
    const { host, profilePrefix } = this.opened;
    await host.close();
    await sidecars.close();
    if (this.isFirst && profilePrefix !== null)
      for (const begun of await profileFiles(profilePrefix, fs)) await fs.unlink(begun);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async compute(
    feeds: ReadonlyMap<string, TensorValue>,
    fetches: readonly string[],
  ): Promise<ReadonlyMap<string, TensorValue>> {
    const { heads, payloads } = packTensors(feeds);
    try {
      const request = { kind: 'run', feeds: heads, fetches } as const;
      const answer = await this.opened.host.ask(request, payloads, askOptions(this.wanted));
      return unpackTensors(answer.value as readonly TensorHead[], answer.payloads);
    } catch (error) {
      const { options, subject } = this.wanted;
      if (error instanceof TimeoutError || options.signal?.aborted || !isProcessor(this.provider))
        this.state = 'broken';
      options.signal?.throwIfAborted();
      throw runFailed(subject, this.provider, error);
    }
  }

  private portOf(name: string): Port {
    const port = this.ports.get(name);
    if (port !== undefined) return port;
    throw new UsageError(`'${printable(name)}' is not an output of this session`, {
      hint: `its outputs are ${this.outputs.map((output) => printable(output.name)).join(', ')}`,
    });
  }

  /** Profiling ends with the first run: what comes after runs at full speed. */
  private async finishProfile(): Promise<void> {
    const { host, profilePrefix, provider } = this.opened;
    const { files, options } = this.wanted;
    const fs = files.fileSystem;
    if (profilePrefix === null) return;
    await host.ask({ kind: 'end-profiling' }, [], askOptions(this.wanted));
    const path = await profileFile(profilePrefix, fs);
    try {
      await assertWhole(path, fs);
      if (provider !== 'cpu') {
        this.placement = await readPlacement(path, fs);
        this.provider = this.placement.providers[0]?.provider ?? provider;
      }
      if (options.profilePrefix !== undefined) this.profile = path;
    } finally {
      if (this.profile === null) await fs.unlink(path);
    }
  }
}

function sessionPort(
  { name, dtype, carrier, type }: Port,
  value: SessionPorts['outputs'][number] | undefined,
): SessionPort {
  const travels = value?.dtype ?? carrier ?? 'float32';
  return {
    name,
    dtype: travels,
    graphDtype: dtype ?? travels,
    shape: type?.shape ?? (value === undefined || value.shape.length === 0 ? null : value.shape),
  };
}

/** What a run that failed says: `FEATX_DEVICE_MEMORY` where a device had too little memory for it. */
export function runFailed(subject: string, provider: string, error: unknown): Error {
  if (error instanceof TimeoutError || (error instanceof RuntimeError && error.code !== 'FEATX_RUNTIME')) return error;
  const message = plainReason(messageOf(error));
  const isMemory = /allocat|out of memory|\bOOM\b/i.test(message);
  const code = isProcessor(provider) ? 'FEATX_RUNTIME' : isMemory ? 'FEATX_DEVICE_MEMORY' : 'FEATX_DEVICE';
  return new RuntimeError(`ONNX Runtime failed while it ran ${subject} on ${provider}: ${message}`, {
    code,
    cause: error,
    hint: isMemory ? `there was not enough memory: try a smaller ${option('batchSize')}` : undefined,
  });
}
