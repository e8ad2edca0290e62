import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeError, TimeoutError, UnsupportedModelError, UsageError } from '../errors.js';
import { certainTypes } from '../onnx/certain-types.js';
import { ancestorsOf, hasTensor, type GraphView } from '../onnx/graph.js';
import type { SidecarFiles } from '../onnx/external-data.js';
import type { TensorType } from '../onnx/types.js';
import type { FileSystem } from '../wire/fs.js';
import { carrierOf } from './carriers.js';
import { printable } from '../wire/text.js';
import { RuntimeChild } from './child.js';
import { LocalRuntime, type AskOptions, type RuntimeHost, type SessionPorts } from './host.js';
import {
  absence,
  genericHint,
  isProviderFailure,
  noProvider,
  plainReason,
  providerFault,
  type Provider,
} from './providers.js';
import { runnable, type Port, type Runnable } from './runnable.js';
import { messageOf, type SessionSpec } from './session.js';
import type { SessionOptions } from './session-options.js';
import { inferTypes } from './types.js';

/** What a session is to be opened on. */
export interface Wanted {
  readonly view: GraphView;
  readonly options: SessionOptions;
  /** The model, for messages. */
  readonly subject: string;
  readonly fs: FileSystem;
  readonly files: SidecarFiles;
  readonly warn: (message: string) => void;
}

/** A session that is open, and what it was made of. */
export interface Opened {
  readonly host: RuntimeHost;
  readonly runnable: Runnable;
  readonly ports: SessionPorts;
  readonly provider: Provider;
  readonly profilePrefix: string | null;
}

type Types = ReadonlyMap<string, TensorType>;
type ProviderFailure = Parameters<typeof noProvider>[0][number];

/**
 * The steps from a model to an open session: which dtypes leave it, which provider takes it.
 * @throws RuntimeError, UnsupportedModelError, UsageError, TimeoutError
 */
export async function openOnAny(wanted: Wanted, providers: readonly Provider[]): Promise<Opened> {
  const { view, fs, files, subject } = wanted;
  let outputs = outputsOf(wanted);
  let types: Types = certainTypes(view, ancestorsOf(view, outputs));
  const prepare = async (): Promise<Runnable> => {
    outputs = tensorsOnly(wanted, outputs, types);
    return runnable(view, outputs, types, files, fs);
  };
  let prepared = await prepare();
  const failures: ProviderFailure[] = [];
  for (const provider of providers) {
    const absent = await absence(provider, fs);
    if (absent !== null) {
      failures.push({ provider, ...absent });
      continue;
    }
    // A provider that failed may have left its process in a state that nothing else should start from.
    const host = startHost(wanted);
    try {
      let opened = await openOn(wanted, host, provider, prepared);
      if (opened === 'unknown types' || mistakes(prepared.outputs, opened.ports).length > 0) {
        types = await askTypes(wanted, outputs, types);
        prepared = await prepare();
        opened = await openOn(wanted, host, provider, prepared);
        if (opened === 'unknown types')
          throw new UnsupportedModelError(
            `${subject} has inputs or outputs of a type that ONNX Runtime's JavaScript API does not carry`,
          );
      }
      return { ...opened, host, runnable: prepared, provider };
    } catch (error) {
      const { lastWords } = host;
      await host.close();
      failures.push(await excused(wanted, provider, error, lastWords));
    }
  }
  throw noProvider(failures);
}

/** How long a question may take, and what it is about. */
export function askOptions({ options: { timeoutMs }, subject }: Wanted): AskOptions {
  return { timeoutMs, subject, watch: true };
}

function startHost({ options: { isolate, memoryBytes, signal } }: Wanted): RuntimeHost {
  return isolate ? RuntimeChild.start({ memoryBytes, signal, shares: true }) : new LocalRuntime();
}

function outputsOf({ view, options, subject }: Wanted): string[] {
  const outputs = [...new Set(options.outputs ?? view.model.graph.outputs.map(({ name }) => name))];
  const missing = outputs.filter((name) => !hasTensor(view, name));
  if (missing.length > 0)
    throw new UsageError(`${subject} has no tensor ${missing.map((name) => `'${printable(name)}'`).join(', ')}`, {
      code: 'FEATX_RESOLVE_TENSOR',
    });
  if (outputs.length === 0) throw new UsageError('no output is asked for');
  return outputs;
}

/** Outputs that are tensors; others are left out where they were not asked for by name. */
function tensorsOnly({ options, subject, warn }: Wanted, outputs: readonly string[], types: Types): string[] {
  const others = outputs.filter((name) => types.get(name)?.type !== undefined);
  if (others.length === 0) return [...outputs];
  const what = `${others.map((name) => `'${printable(name)}' (${types.get(name)?.type})`).join(', ')} ${others.length === 1 ? 'is no tensor' : 'are no tensors'}`;
  if (options.outputs !== undefined || others.length === outputs.length)
    throw new UnsupportedModelError(`${subject}: ${what}, and ONNX Runtime's JavaScript API hands over tensors only`);
  warn(`left out: ${what}`);
  return outputs.filter((name) => !others.includes(name));
}

/** Outputs that are not of the type they were prepared for. */
function mistakes(ports: readonly Port[], { outputs }: SessionPorts): readonly Port[] {
  return ports.filter(({ carrier }, index) => {
    const dtype = outputs[index]?.dtype ?? null;
    return dtype === null || (carrier === null ? carrierOf(dtype) !== dtype : carrier !== dtype);
  });
}

async function askTypes({ view, options, warn }: Wanted, outputs: readonly string[], known: Types): Promise<Types> {
  const { isolate = false, timeoutMs, signal } = options;
  const { types, warnings } = await inferTypes(view, outputs, { isolate, timeoutMs, signal });
  warnings.forEach(warn);
  return new Map([...known, ...types]);
}

async function openOn(
  wanted: Wanted,
  host: RuntimeHost,
  provider: Provider,
  { bytes, folder }: Runnable,
): Promise<Pick<Opened, 'ports' | 'profilePrefix'> | 'unknown types'> {
  const { deviceId, threads, optimization, prepacking, profilePrefix: prefix } = wanted.options;
  // Nobody else's file begins like this: one that was begun in vain can be removed.
  const own = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  const profilePrefix =
    prefix === undefined && provider === 'cpu' ? null : `${prefix ?? join(tmpdir(), 'featx-profile')}-${own}`;
  const spec: SessionSpec = {
    provider,
    deviceId: provider === 'cpu' ? null : (deviceId ?? null),
    threads: threads ?? null,
    optimization: optimization ?? 'all',
    prepacking: prepacking ?? true,
    folder,
    profilePrefix,
  };
  try {
    const { value } = await host.ask({ kind: 'open', spec }, [bytes], askOptions(wanted));
    return { ports: value as SessionPorts, profilePrefix };
  } catch (error) {
    if (/Unsupported data type: \d+/.test(messageOf(error))) return 'unknown types';
    throw error;
  }
}

/** Why a provider failed, where another may still do. @throws what is not about the provider */
async function excused(
  { subject, fs, options }: Wanted,
  provider: Provider,
  error: unknown,
  said: string,
): Promise<ProviderFailure> {
  options.signal?.throwIfAborted();
  const message = messageOf(error);
  const isOurs =
    error instanceof UnsupportedModelError ||
    error instanceof UsageError ||
    error instanceof TimeoutError ||
    (error instanceof RuntimeError && error.code !== 'FEATX_RUNTIME' && error.code !== 'FEATX_CHILD_CRASH');
  if (isOurs) throw error;
  if (provider === 'cpu' || !isProviderFailure(message)) throw modelRefused(subject, error);
  const fault = await providerFault(provider, fs);
  return {
    provider,
    reason: fault?.reason ?? `${plainReason(message)}${said === '' ? '' : ` (${plainReason(said)})`}`,
    hint: fault?.hint ?? genericHint(provider),
  };
}

function modelRefused(subject: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError && error.code === 'FEATX_CHILD_CRASH') return error;
  return new RuntimeError(`ONNX Runtime refuses ${subject}: ${plainReason(messageOf(error))}`, {
    code: 'FEATX_RUNTIME_MODEL',
    cause: error,
  });
}
