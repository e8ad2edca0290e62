import { join } from 'node:path';
import { FeatxError, RuntimeError } from '../errors.js';
import type { Frame } from '../processes/frames.js';
import { loadCudaOf, loadingFault } from './cuda.js';
import { messageOf } from './message.js';
import { packTensors, unpackTensors, type TensorHead } from './runtime-tensor.js';
import {
  createSession,
  outputTypes,
  type LocalSession,
  type OptimizationLevel,
  type OutputType,
  type SessionSpec,
  type SessionValue,
} from './session.js';

/** Types of the outputs of models: payload `i` is loaded at level `i`. */
export interface TypesRequest {
  readonly kind: 'types';
  readonly levels: readonly OptimizationLevel[];
}

/** What ONNX Runtime says of the outputs of one model, or why it refuses the model. */
export type SessionTypes = { readonly outputs: readonly OutputType[] } | { readonly refused: string };

/** Opens a session on payload 0, in the place of the one before. */
export interface OpenRequest {
  readonly kind: 'open';
  readonly spec: SessionSpec;
}

/** Runs the open session; the payloads are the data of the feeds. */
export interface RunRequest {
  readonly kind: 'run';
  readonly feeds: readonly TensorHead[];
  readonly fetches: readonly string[];
}

/** Writes the profile of the open session. */
export interface EndProfilingRequest {
  readonly kind: 'end-profiling';
}

/**
 * Loads a library, from a folder with libraries of CUDA if it lies there, else from where the system's loader finds it;
 * the answer is what the loader says, or null if it loads.
 */
export interface LoadRequest {
  readonly kind: 'load';
  readonly path: string;
  readonly folder?: string;
}

/** What ONNX Runtime can be asked, in this process or in a child. */
export type RuntimeRequest = TypesRequest | OpenRequest | RunRequest | EndProfilingRequest | LoadRequest;

/** How a question is asked of a child. */
export interface AskOptions {
  /** Time after which the child is killed, in milliseconds. */
  readonly timeoutMs?: number;
  /** What it is asked about, for messages: `the types of m.onnx`. */
  readonly subject?: string;
  /** Whether the work may take so long that the child must watch over its parent meanwhile. */
  readonly watch?: boolean;
}

/** Where ONNX Runtime works: this process or a child. It holds one session at a time. */
export interface RuntimeHost {
  /** @throws RuntimeError where the runtime is missing; Error with ONNX Runtime's own message */
  ask(request: RuntimeRequest, payloads: readonly Uint8Array[], options?: AskOptions): Promise<Frame>;
  /** Gives back the memory of an answer's payload that nobody uses any more. */
  recycle(payload: ArrayBufferView): void;
  /** What ONNX Runtime wrote to standard error, safe to show, where that can be known. */
  readonly lastWords: string;
  close(): void | Promise<void>;
}

/** The ports of a session that was opened. */
export interface SessionPorts {
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
}

/** An error between processes. */
export interface WireError {
  readonly message: string;
  readonly code: string | null;
  readonly hint: string | null;
}

/** ONNX Runtime in this process. */
export class LocalRuntime implements RuntimeHost {
  readonly lastWords = '';
  private session: LocalSession | null = null;

  async ask(request: RuntimeRequest, payloads: readonly Uint8Array[]): Promise<Frame> {
    switch (request.kind) {
      case 'types':
        return { value: typesOf(request, payloads), payloads: [] };
      case 'open': {
        await this.close();
        this.session = await createSession(payloads[0], request.spec);
        const { inputs, outputs } = this.session;
        return { value: { inputs, outputs } satisfies SessionPorts, payloads: [] };
      }
      case 'run': {
        const results = await this.opened().run(unpackTensors(request.feeds, payloads), request.fetches);
        const { heads, payloads: data } = packTensors(results);
        return { value: heads, payloads: data };
      }
      case 'end-profiling':
        this.opened().endProfiling();
        return { value: null, payloads: [] };
      case 'load':
        return { value: loadFault(request), payloads: [] };
    }
  }

  recycle(): void {
    // The runtime's own memory goes with its tensors.
  }

  async close(): Promise<void> {
    await this.session?.close();
    this.session = null;
  }

  private opened(): LocalSession {
    if (this.session === null) throw new RuntimeError('no session is open', { code: 'FEATX_CHILD_CLOSED' });
    return this.session;
  }
}

function loadFault({ path, folder }: LoadRequest): string | null {
  if (folder === undefined) return loadingFault(path);
  loadCudaOf(folder);
  return loadingFault(join(folder, path)) === null ? null : loadingFault(path);
}

function typesOf({ levels }: TypesRequest, models: readonly Uint8Array[]): SessionTypes[] {
  return levels.map((level, index) => {
    try {
      return { outputs: outputTypes(models[index], level) };
    } catch (error) {
      if (error instanceof RuntimeError) throw error;
      return { refused: messageOf(error) };
    }
  });
}

/** An error as it crosses to the parent process. */
export function wireError(error: unknown): WireError {
  const isOurs = error instanceof FeatxError;
  return { message: messageOf(error), code: isOurs ? error.code : null, hint: isOurs ? (error.hint ?? null) : null };
}
