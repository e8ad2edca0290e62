import { FeatxError, RuntimeError } from '../errors.js';
import type { Frame } from '../processes/frames.js';
import { packTensors, unpackTensors, type TensorHead } from './runtime-tensor.js';
import {
  createSession,
  messageOf,
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

export interface SimpleRequest {
  readonly kind: 'end-profiling' | 'close';
}

export type ChildRequest = TypesRequest | OpenRequest | RunRequest | SimpleRequest;

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

let session: LocalSession | null = null;

/**
 * What a child does for its parent.
 * @throws RuntimeError where the runtime is missing; Error with ONNX Runtime's own message
 */
export async function answer(ask: unknown, payloads: readonly Uint8Array[]): Promise<Frame> {
  const request = ask as ChildRequest;
  switch (request.kind) {
    case 'types':
      return { value: typesOf(request, payloads), payloads: [] };
    case 'open': {
      await session?.close();
      session = await createSession(payloads[0], request.spec);
      return { value: { inputs: session.inputs, outputs: session.outputs } satisfies SessionPorts, payloads: [] };
    }
    case 'run': {
      const results = await opened().run(unpackTensors(request.feeds, payloads), request.fetches);
      const { heads, payloads: data } = packTensors(results);
      return { value: heads, payloads: data };
    }
    case 'end-profiling':
      opened().endProfiling();
      return { value: null, payloads: [] };
    case 'close':
      await session?.close();
      session = null;
      return { value: null, payloads: [] };
  }
}

function opened(): LocalSession {
  if (session === null) throw new RuntimeError('no session is open', { code: 'FEATX_CHILD_CLOSED' });
  return session;
}

/** @throws RuntimeError where onnxruntime-node is missing */
export function typesOf({ levels }: TypesRequest, models: readonly Uint8Array[]): SessionTypes[] {
  return levels.map((level, index) => {
    try {
      return { outputs: outputTypes(models[index], level) };
    } catch (error) {
      if (error instanceof RuntimeError) throw error;
      return { refused: messageOf(error) };
    }
  });
}

export function wireError(error: unknown): WireError {
  const isOurs = error instanceof FeatxError;
  return { message: messageOf(error), code: isOurs ? error.code : null, hint: isOurs ? (error.hint ?? null) : null };
}
