import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeError, TimeoutError, UnsupportedModelError, UsageError } from '../errors.js';
import { certainTypes } from '../onnx/certain-types.js';
import { ancestorsOf, viewGraph, type GraphView } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import type { TensorType } from '../onnx/types.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { DirectorySidecars, NO_SIDECARS } from '../wire/sidecar-files.js';
import { carrierOf } from './carriers.js';
import { printable } from './child.js';
import { ChildEngine, LocalEngine, type Engine } from './engine.js';
import { checkFeeds, checkResults } from './exchange.js';
import { profileFile, readPlacement, type Placement } from './placement.js';
import { absence, genericHint, isProviderFailure, noProvider, plainReason, providerFault, providerOrder, type Provider } from './providers.js';
import { runnable, type Port, type Runnable } from './runnable.js';
import type { RuntimeTensor } from './runtime-tensor.js';
import { messageOf, type OptimizationLevel, type SessionSpec } from './session.js';
import { inferTypes } from './types.js';
import type { SessionPorts } from './child-work.js';

export interface SessionOptions {
  /** Tensors to compute, of the main graph; the model's outputs by default. What none of them needs is left out. */
  readonly outputs?: readonly string[];
  /** Providers to try in order, or `auto`; the CPU by default. A provider that is not named is never used in the place of one that is. */
  readonly providers?: 'auto' | readonly string[];
  readonly deviceId?: number;
  /** Threads inside an operator; ONNX Runtime's own choice by default. */
  readonly threads?: number;
  readonly optimization?: OptimizationLevel;
  /** Whether weights are copied into the layout that kernels like best: quicker runs, slower start, twice the memory. The last bits of a MatMul depend on it. */
  readonly prepacking?: boolean;
  /** Whether the model runs in a child process that can be killed; in this process by default. */
  readonly isolate?: boolean;
  /** Time for opening and for each run, in milliseconds; isolated only. */
  readonly timeoutMs?: number;
  /** Resident memory, in bytes; isolated only. */
  readonly memoryBytes?: number;
  /** Ends the work at once when it is aborted; isolated only. */
  readonly signal?: AbortSignal;
  /** The file that the external data of a model that was given as bytes lies beside. */
  readonly beside?: string;
  /** Keeps ONNX Runtime's profile of the first run: the path it begins with. */
  readonly profilePrefix?: string;
  readonly fileSystem?: FileSystem;
}

/** An input or an output of a session. */
export interface SessionPort {
  readonly name: string;
  /** The dtype in which values travel: float32 for bfloat16 and float8, int8 for int4. */
  readonly dtype: string;
  /** The dtype in the graph. */
  readonly graphDtype: string;
  readonly shape: TensorType['shape'];
}

export interface RuntimeSession extends AsyncDisposable {
  /** Inputs that the outputs need. */
  readonly inputs: readonly SessionPort[];
  readonly outputs: readonly SessionPort[];
  /** The provider that was chosen; after the first run, where a non-CPU provider was, the one that the profile shows to have done most of the work. */
  readonly provider: string;
  /** Where the nodes of the first run were executed; null before it and on the CPU. */
  readonly placement: Placement | null;
  /** The profile of the first run, where one was asked for. */
  readonly profile: string | null;
  readonly warnings: readonly string[];
  /**
   * Runs the model. Feeds by input name, results by output name; `fetches` are some of the outputs.
   * @throws UsageError naming every feed that does not fit; RuntimeError; TimeoutError; IoError where a file of weights changed
   */
  run(feeds: ReadonlyMap<string, RuntimeTensor>, fetches?: readonly string[]): Promise<ReadonlyMap<string, RuntimeTensor>>;
  close(): Promise<void>;
}

/**
 * Opens a session of ONNX Runtime on a model, or on the part of it that computes some tensors. Weights in a file are read from the file by the runtime
 * and never copied into JavaScript memory.
 * @throws RuntimeError `FEATX_RUNTIME_MISSING` without onnxruntime-node, `FEATX_DEVICE` where no provider can be used, `FEATX_RUNTIME_MODEL` where the model is refused
 */
export async function openSession(input: OnnxModel | GraphView, options: SessionOptions = {}): Promise<RuntimeSession> {
  checkOptions(options);
  const providers = providerOrder(options.providers ?? ['cpu']);
  const view = 'producerOf' in input ? input : viewGraph(input);
  const { path } = view.model.source;
  const fs = options.fileSystem ?? nodeFileSystem;
  const files = path !== undefined ? new DirectorySidecars(path, { fileSystem: fs }) : options.beside !== undefined ? new DirectorySidecars(options.beside, { fileSystem: fs }) : NO_SIDECARS;
  const subject = path === undefined ? 'the model' : printable(path);
  const engine = options.isolate ? new ChildEngine({ timeoutMs: options.timeoutMs, memoryBytes: options.memoryBytes, signal: options.signal, subject }) : new LocalEngine();
  try {
    const opened = await new Opening(view, options, engine, subject, fs, files, providers).open();
    return session(opened, engine, files, fs, options);
  } catch (error) {
    await engine.close();
    await files.close();
    throw error;
  }
}

function checkOptions({ deviceId, threads, timeoutMs, memoryBytes, isolate }: SessionOptions): void {
  for (const [name, number, least] of [['deviceId', deviceId, 0], ['threads', threads, 1], ['timeoutMs', timeoutMs, 1], ['memoryBytes', memoryBytes, 1]] as const) {
    if (number !== undefined && (!Number.isSafeInteger(number) || number < least)) throw new UsageError(`${name} is ${number}; it is a whole number from ${least} on`);
  }
  if (!isolate && (timeoutMs !== undefined || memoryBytes !== undefined)) throw new UsageError('a time or memory limit needs a process of its own', { hint: 'set isolate: true' });
}

interface Opened {
  readonly runnable: Runnable;
  readonly ports: SessionPorts;
  readonly provider: Provider;
  readonly profilePrefix: string | null;
  readonly subject: string;
  readonly warnings: readonly string[];
}

/** The steps from a model to an open session: which dtypes leave it, which provider takes it. */
class Opening {
  private readonly warnings: string[] = [];

  constructor(
    private readonly view: GraphView,
    private readonly options: SessionOptions,
    private readonly engine: Engine,
    private readonly subject: string,
    private readonly fs: FileSystem,
    private readonly files: Parameters<typeof runnable>[3],
    private readonly providers: readonly Provider[],
  ) {}

  async open(): Promise<Opened> {
    const { view } = this;
    let outputs = [...new Set(this.options.outputs ?? view.model.graph.outputs.map(({ name }) => name))];
    this.assertExist(outputs);
    let types: ReadonlyMap<string, TensorType> = certainTypes(view, ancestorsOf(view, outputs));
    outputs = this.tensorsOnly(outputs, types);
    let prepared = await runnable(view, outputs, types, this.files, this.fs);
    const failures: Parameters<typeof noProvider>[0][number][] = [];
    for (const provider of this.providers) {
      const absent = await absence(provider, this.fs);
      if (absent !== null) {
        failures.push({ provider, ...absent });
        continue;
      }
      try {
        let opened = await this.openOn(provider, prepared);
        if (opened === 'unknown types' || this.mistakes(prepared.outputs, opened.ports).length > 0) {
          types = await this.askTypes(outputs, types);
          outputs = this.tensorsOnly(outputs, types);
          prepared = await runnable(view, outputs, types, this.files, this.fs);
          opened = await this.openOn(provider, prepared);
          if (opened === 'unknown types') throw new UnsupportedModelError(`${this.subject} has inputs or outputs of a type that ONNX Runtime's JavaScript API does not carry`);
        }
        return { ...opened, runnable: prepared, provider, subject: this.subject, warnings: this.warnings };
      } catch (error) {
        failures.push(await this.excused(provider, error));
      }
    }
    throw noProvider(failures);
  }

  private assertExist(outputs: readonly string[]): void {
    const { producerOf, inputs, initializers, sparseInitializers } = this.view;
    const missing = outputs.filter((name) => !producerOf.has(name) && !inputs.has(name) && !initializers.has(name) && !sparseInitializers.has(name));
    if (missing.length > 0) throw new UsageError(`${this.subject} has no tensor ${missing.map((name) => `'${printable(name)}'`).join(', ')}`, { code: 'FEATX_RESOLVE_TENSOR' });
    if (outputs.length === 0) throw new UsageError('no output is asked for');
  }

  /** Outputs that are tensors; others are left out where they were not asked for by name. */
  private tensorsOnly(outputs: readonly string[], types: ReadonlyMap<string, TensorType>): string[] {
    const others = outputs.filter((name) => types.get(name)?.type !== undefined);
    if (others.length === 0) return [...outputs];
    const what = `${others.map((name) => `'${printable(name)}' (${types.get(name)?.type})`).join(', ')} ${others.length === 1 ? 'is no tensor' : 'are no tensors'}`;
    if (this.options.outputs !== undefined || others.length === outputs.length) throw new UnsupportedModelError(`${this.subject}: ${what}, and ONNX Runtime's JavaScript API hands over tensors only`);
    this.warnings.push(`left out: ${what}`);
    return outputs.filter((name) => !others.includes(name));
  }

  /** Outputs that are not of the type they were prepared for. */
  private mistakes(ports: readonly Port[], { outputs }: SessionPorts): readonly Port[] {
    return ports.filter(({ carrier }, index) => {
      const dtype = outputs[index]?.dtype ?? null;
      return dtype === null || (carrier === null ? carrierOf(dtype) !== dtype : carrier !== dtype);
    });
  }

  private async askTypes(outputs: readonly string[], known: ReadonlyMap<string, TensorType>): Promise<ReadonlyMap<string, TensorType>> {
    const { types, warnings } = await inferTypes(this.view, outputs, { isolate: this.options.isolate ?? false, timeoutMs: this.options.timeoutMs });
    this.warnings.push(...warnings);
    return new Map([...known, ...types]);
  }

  private async openOn(provider: Provider, { bytes, folder }: Runnable): Promise<Pick<Opened, 'ports' | 'profilePrefix'> | 'unknown types'> {
    const { deviceId, threads, optimization, prepacking, profilePrefix: wanted } = this.options;
    const profilePrefix = wanted ?? (provider === 'cpu' ? null : join(tmpdir(), `featx-profile-${process.pid}-${Math.random().toString(36).slice(2)}`));
    const spec: SessionSpec = {
      provider, deviceId: provider === 'cpu' ? null : (deviceId ?? null), threads: threads ?? null, optimization: optimization ?? 'all', prepacking: prepacking ?? true, folder, profilePrefix,
    };
    try {
      return { ports: await this.engine.open(bytes, spec), profilePrefix };
    } catch (error) {
      if (/Unsupported data type: \d+/.test(messageOf(error))) return 'unknown types';
      throw error;
    }
  }

  /** Why a provider failed, where another may still do. @throws what is not about the provider */
  private async excused(provider: Provider, error: unknown): Promise<Parameters<typeof noProvider>[0][number]> {
    const message = messageOf(error);
    const isOurs = error instanceof UnsupportedModelError || error instanceof UsageError || error instanceof TimeoutError || (error instanceof RuntimeError && error.code !== 'FEATX_RUNTIME' && error.code !== 'FEATX_CHILD_CRASH');
    if (isOurs) throw error;
    if (provider === 'cpu' || !isProviderFailure(message)) throw modelRefused(this.subject, error);
    const fault = await providerFault(provider, this.fs);
    const said = this.engine instanceof ChildEngine ? this.engine.lastWords : '';
    return { provider, reason: fault?.reason ?? `${plainReason(message)}${said === '' ? '' : ` (${plainReason(said)})`}`, hint: fault?.hint ?? genericHint(provider) };
  }
}

function modelRefused(subject: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError && error.code === 'FEATX_CHILD_CRASH') return error;
  return new RuntimeError(`ONNX Runtime refuses ${subject}: ${plainReason(messageOf(error))}`, { code: 'FEATX_RUNTIME_MODEL', cause: error });
}

function session(opened: Opened, engine: Engine, files: { close(): Promise<void> }, fs: FileSystem, options: SessionOptions): RuntimeSession {
  const { runnable: prepared, ports, subject } = opened;
  let provider: string = opened.provider;
  let placement: Placement | null = null;
  let profile: string | null = null;
  let state: 'open' | 'broken' | 'closed' = 'open';
  let isFirst = true;
  const outputs = prepared.outputs.map((entry, index) => sessionPort(entry, ports.outputs[index]));
  const byName = new Map(prepared.outputs.map((entry) => [entry.name, entry]));
  const finishProfile = async (): Promise<void> => {
    if (opened.profilePrefix === null) return;
    await engine.endProfiling();
    const path = await profileFile(opened.profilePrefix, fs);
    if (opened.provider !== 'cpu') {
      placement = await readPlacement(path, fs);
      provider = placement.providers[0]?.provider ?? provider;
    }
    if (options.profilePrefix === undefined) await fs.unlink(path);
    else profile = path;
  };
  const close = async (): Promise<void> => {
    if (state === 'closed') return;
    state = 'closed';
    await engine.close();
    await files.close();
  };
  return {
    inputs: prepared.inputs.map((entry) => sessionPort(entry, ports.inputs.find(({ name }) => name === entry.alias))),
    outputs,
    get provider() {
      return provider;
    },
    get placement() {
      return placement;
    },
    get profile() {
      return profile;
    },
    warnings: opened.warnings,
    run: async (feeds, fetches) => {
      if (state !== 'open') throw new RuntimeError(state === 'closed' ? 'the session is closed' : 'the session failed before and cannot be used again', { code: 'FEATX_RUNTIME_CLOSED' });
      const wanted = (fetches ?? outputs.map(({ name }) => name)).map((name) => {
        const entry = byName.get(name);
        if (entry === undefined) throw new UsageError(`'${printable(name)}' is no output of this session`, { hint: `its outputs are ${outputs.map((output) => printable(output.name)).join(', ')}` });
        return entry;
      });
      const ready = checkFeeds(prepared.inputs, ports.inputs, feeds, subject);
      for (const source of prepared.sources) await source.assertUnchanged?.();
      let results: ReadonlyMap<string, RuntimeTensor>;
      try {
        results = await engine.run(ready, wanted.map(({ alias }) => alias));
      } catch (error) {
        if (error instanceof TimeoutError || provider !== 'cpu') state = 'broken';
        throw runFailed(subject, provider, error);
      }
      if (isFirst) await finishProfile();
      isFirst = false;
      return checkResults(wanted, results, subject);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function sessionPort({ name, dtype, carrier, type }: Port, value: SessionPorts['outputs'][number] | undefined): SessionPort {
  const travels = value?.dtype ?? carrier ?? 'float32';
  return { name, dtype: travels, graphDtype: dtype ?? travels, shape: type?.shape ?? (value === undefined || value.shape.length === 0 ? null : value.shape) };
}

function runFailed(subject: string, provider: string, error: unknown): Error {
  if (error instanceof TimeoutError || (error instanceof RuntimeError && error.code !== 'FEATX_RUNTIME')) return error;
  const message = plainReason(messageOf(error));
  const isMemory = /allocat|out of memory|OOM/i.test(message);
  const code = provider === 'cpu' ? 'FEATX_RUNTIME' : 'FEATX_DEVICE';
  return new RuntimeError(`ONNX Runtime failed while it ran ${subject} on ${provider}: ${message}`, { code, cause: error, hint: isMemory ? 'there was not enough memory: try a smaller --batch-size' : undefined });
}

