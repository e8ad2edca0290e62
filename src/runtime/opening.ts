import { refusalHint } from './refusals.js';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeError, TimeoutError, UnsupportedModelError, UsageError } from '../errors.js';
import type { GraphView } from '../onnx/graph.js';
import type { TensorType } from '../onnx/types.js';
import { tensorTypeOf } from '../shapes/tensor-type.js';
import { inferWhole } from '../shapes/whole.js';
import { carrierOf } from './carriers.js';
import { printable } from '../wire/text.js';
import { RuntimeChild } from './child.js';
import { LocalRuntime, type AskOptions, type RuntimeHost, type SessionPorts } from './host.js';
import {
  absence,
  genericHint,
  isProcessor,
  isProviderFailure,
  noProvider,
  plainReason,
  providerFault,
  type Provider,
  type ProviderFailure,
} from './providers.js';
import { sessionModel, type SessionModel, type WeightFiles } from './session-model.js';
import { planSession, type Computation, type ComputedOutput, type Port, type SessionPlan } from './session-plan.js';
import { messageOf } from './message.js';
import type { SessionSpec } from './session.js';
import type { SessionOptions } from './session-options.js';
import { inferTypes } from './types.js';

type Types = ReadonlyMap<string, TensorType>;

/** What is to be computed, and what is known of the types of tensors. */
export interface Asked {
  readonly computation: Computation;
  readonly types: Types;
}

/** What a session is to be opened on. */
export interface Wanted extends Asked {
  readonly view: GraphView;
  readonly options: SessionOptions;
  /** The model, for messages. */
  readonly subject: string;
  readonly files: WeightFiles;
}

/** A model for the runtime, with the ports that it has. */
export type Runnable = SessionModel & Omit<SessionPlan, 'edit'>;

/** A session that is open, and what it was made of. */
export interface Opened {
  readonly host: RuntimeHost;
  readonly runnable: Runnable;
  readonly ports: SessionPorts;
  readonly provider: Provider;
  readonly profilePrefix: string | null;
}

/**
 * The steps from a model to an open session: which dtypes leave it, which provider takes it.
 * @throws RuntimeError, UnsupportedModelError, UsageError, TimeoutError
 */
export async function openOnAny(wanted: Wanted, providers: readonly Provider[]): Promise<Opened> {
  const { view, files, subject } = wanted;
  let { computation } = wanted;
  let types = await withInferred(wanted);
  const prepare = async (provider: Provider): Promise<Runnable> => {
    computation = tensorsOnly(wanted, computation, types);
    const { edit, ...ports } = planSession(view, computation, types);
    return { ...ports, ...(await sessionModel(view.model, edit, files, provider === 'wasm')) };
  };
  const failures: ProviderFailure[] = [];
  for (const provider of providers) {
    const absent = await absence(provider, files.fileSystem);
    if (absent !== null) {
      failures.push({ provider, ...absent });
      continue;
    }
    let prepared = await prepare(provider);
    // A provider that failed may have left its process in a state that nothing else should start from.
    const host = startHost(wanted, provider);
    try {
      let opened = await openOn(wanted, host, provider, prepared);
      if (opened === 'unknown types' || mistakes(prepared.outputs, opened.ports).length > 0) {
        types = await askTypes(wanted, computation, types);
        prepared = await prepare(provider);
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

function startHost({ options: { isolate, memoryBytes, signal } }: Wanted, provider: Provider): RuntimeHost {
  const isWeb = provider === 'wasm';
  return isolate ? RuntimeChild.start({ memoryBytes, signal, shares: true, isWeb }) : new LocalRuntime();
}

/** What is known of the types, and what is inferred where something is not. */
async function withInferred({ view, computation, types }: Wanted): Promise<Types> {
  if (computation.outputs.every(({ tensor }) => (types.get(tensor)?.dtype ?? null) !== null)) return types;
  const { proven } = await inferWhole(view);
  return new Map([...[...proven.infos].map(([name, info]) => [name, tensorTypeOf(info)] as const), ...types]);
}

/** Outputs that are tensors; others are left out where they were not asked for by name. */
function tensorsOnly({ options, subject, files }: Wanted, computation: Computation, types: Types): Computation {
  const { outputs } = computation;
  const isOther = ({ tensor }: ComputedOutput): boolean => types.get(tensor)?.type !== undefined;
  const others = outputs.filter(isOther);
  if (others.length === 0) return computation;
  const what = `${others.map(({ name, tensor }) => `'${printable(name)}' (${types.get(tensor)?.type})`).join(', ')} ${others.length === 1 ? 'is not a tensor' : 'are not tensors'}`;
  if (options.outputs !== undefined || others.length === outputs.length)
    throw new UnsupportedModelError(`${subject}: ${what}, and ONNX Runtime's JavaScript API hands over tensors only`);
  files.warn(`left out: ${what}`);
  return { ...computation, outputs: outputs.filter((output) => !isOther(output)) };
}

/** Outputs that are not of the type they were prepared for. */
function mistakes(ports: readonly Port[], { outputs }: SessionPorts): readonly Port[] {
  return ports.filter(({ carrier }, index) => {
    const dtype = outputs[index]?.dtype ?? null;
    return dtype === null || (carrier === null ? carrierOf(dtype) !== dtype : carrier !== dtype);
  });
}

async function askTypes({ view, options, files }: Wanted, { outputs }: Computation, known: Types): Promise<Types> {
  const { isolate = false, timeoutMs, signal } = options;
  const tensors = outputs.map(({ tensor }) => tensor);
  const { types, warnings } = await inferTypes(view, tensors, { isolate, timeoutMs, signal });
  warnings.forEach(files.warn);
  return new Map([...known, ...types]);
}

async function openOn(
  wanted: Wanted,
  host: RuntimeHost,
  provider: Provider,
  { bytes, folder }: Runnable,
): Promise<Pick<Opened, 'ports' | 'profilePrefix'> | 'unknown types'> {
  const { deviceId, threads, optimization, prepacking, tf32, isolate, profilePrefix: prefix } = wanted.options;
  // Nobody else's file begins like this: one that was begun in vain can be removed.
  const own = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  const profilePrefix =
    provider === 'wasm' || (prefix === undefined && provider === 'cpu')
      ? null
      : `${prefix ?? join(tmpdir(), 'featx-profile')}-${own}`;
  const spec: SessionSpec = {
    provider,
    deviceId: isProcessor(provider) ? null : (deviceId ?? null),
    threads: threads ?? null,
    optimization: optimization ?? 'all',
    prepacking: prepacking ?? true,
    tf32: tf32 ?? null,
    // Beside a process of its own another one reads, decodes and writes.
    spinning: isolate !== true,
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
  { subject, files, options }: Wanted,
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
  if (isProcessor(provider) || !isProviderFailure(message)) throw modelRefused(subject, error);
  const fault = await providerFault(provider, message, files.fileSystem);
  return {
    provider,
    missing: fault?.missing ?? null,
    reason: fault?.reason ?? `${plainReason(message)}${said === '' ? '' : ` (${plainReason(said)})`}`,
    hint: fault?.hint ?? genericHint(provider),
  };
}

function modelRefused(subject: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError && error.code === 'FEATX_CHILD_CRASH') return error;
  const reason = messageOf(error);
  return new RuntimeError(`ONNX Runtime refuses ${subject}: ${plainReason(reason)}`, {
    code: 'FEATX_RUNTIME_MODEL',
    hint: refusalHint(reason),
    cause: error,
  });
}
