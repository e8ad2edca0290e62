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
import type { SessionPorts } from './child-work.js';
import { ChildEngine, type Engine } from './engine.js';
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

/** A session that is open, and what it was made of. */
export interface Opened {
  readonly runnable: Runnable;
  readonly ports: SessionPorts;
  readonly provider: Provider;
  readonly profilePrefix: string | null;
  readonly subject: string;
  readonly warnings: readonly string[];
}

/** The steps from a model to an open session: which dtypes leave it, which provider takes it. */
export class Opening {
  private readonly warnings: string[] = [];

  constructor(
    private readonly view: GraphView,
    private readonly options: SessionOptions,
    private readonly engine: Engine,
    private readonly subject: string,
    private readonly fs: FileSystem,
    private readonly files: SidecarFiles,
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
          if (opened === 'unknown types')
            throw new UnsupportedModelError(
              `${this.subject} has inputs or outputs of a type that ONNX Runtime's JavaScript API does not carry`,
            );
        }
        return { ...opened, runnable: prepared, provider, subject: this.subject, warnings: this.warnings };
      } catch (error) {
        failures.push(await this.excused(provider, error));
      }
    }
    throw noProvider(failures);
  }

  private assertExist(outputs: readonly string[]): void {
    const missing = outputs.filter((name) => !hasTensor(this.view, name));
    if (missing.length > 0)
      throw new UsageError(
        `${this.subject} has no tensor ${missing.map((name) => `'${printable(name)}'`).join(', ')}`,
        { code: 'FEATX_RESOLVE_TENSOR' },
      );
    if (outputs.length === 0) throw new UsageError('no output is asked for');
  }

  /** Outputs that are tensors; others are left out where they were not asked for by name. */
  private tensorsOnly(outputs: readonly string[], types: ReadonlyMap<string, TensorType>): string[] {
    const others = outputs.filter((name) => types.get(name)?.type !== undefined);
    if (others.length === 0) return [...outputs];
    const what = `${others.map((name) => `'${printable(name)}' (${types.get(name)?.type})`).join(', ')} ${others.length === 1 ? 'is no tensor' : 'are no tensors'}`;
    if (this.options.outputs !== undefined || others.length === outputs.length)
      throw new UnsupportedModelError(
        `${this.subject}: ${what}, and ONNX Runtime's JavaScript API hands over tensors only`,
      );
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

  private async askTypes(
    outputs: readonly string[],
    known: ReadonlyMap<string, TensorType>,
  ): Promise<ReadonlyMap<string, TensorType>> {
    const { types, warnings } = await inferTypes(this.view, outputs, {
      isolate: this.options.isolate ?? false,
      timeoutMs: this.options.timeoutMs,
    });
    this.warnings.push(...warnings);
    return new Map([...known, ...types]);
  }

  private async openOn(
    provider: Provider,
    { bytes, folder }: Runnable,
  ): Promise<Pick<Opened, 'ports' | 'profilePrefix'> | 'unknown types'> {
    const { deviceId, threads, optimization, prepacking, profilePrefix: wanted } = this.options;
    // Nobody else's file begins like this: one that was begun in vain can be removed.
    const own = `${process.pid}-${Math.random().toString(36).slice(2)}`;
    const profilePrefix =
      wanted === undefined && provider === 'cpu' ? null : `${wanted ?? join(tmpdir(), 'featx-profile')}-${own}`;
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
      return { ports: await this.engine.open(bytes, spec), profilePrefix };
    } catch (error) {
      if (/Unsupported data type: \d+/.test(messageOf(error))) return 'unknown types';
      throw error;
    }
  }

  /** Why a provider failed, where another may still do. @throws what is not about the provider */
  private async excused(provider: Provider, error: unknown): Promise<Parameters<typeof noProvider>[0][number]> {
    const message = messageOf(error);
    const isOurs =
      error instanceof UnsupportedModelError ||
      error instanceof UsageError ||
      error instanceof TimeoutError ||
      (error instanceof RuntimeError && error.code !== 'FEATX_RUNTIME' && error.code !== 'FEATX_CHILD_CRASH');
    if (isOurs) throw error;
    if (provider === 'cpu' || !isProviderFailure(message)) throw modelRefused(this.subject, error);
    const fault = await providerFault(provider, this.fs);
    const said = this.engine instanceof ChildEngine ? this.engine.lastWords : '';
    return {
      provider,
      reason: fault?.reason ?? `${plainReason(message)}${said === '' ? '' : ` (${plainReason(said)})`}`,
      hint: fault?.hint ?? genericHint(provider),
    };
  }
}

function modelRefused(subject: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError && error.code === 'FEATX_CHILD_CRASH') return error;
  return new RuntimeError(`ONNX Runtime refuses ${subject}: ${plainReason(messageOf(error))}`, {
    code: 'FEATX_RUNTIME_MODEL',
    cause: error,
  });
}
