import { FeatxError, RuntimeError } from '../errors.js';
import type { Frame } from './frames.js';
import { messageOf, outputTypes, type OptimizationLevel, type OutputType } from './session.js';

/** Types of the outputs of models: payload `i` is loaded at level `i`. */
export interface TypesRequest {
  readonly kind: 'types';
  readonly levels: readonly OptimizationLevel[];
}

/** What ONNX Runtime says of the outputs of one model, or why it refuses the model. */
export type SessionTypes = { readonly outputs: readonly OutputType[] } | { readonly refused: string };

export type ChildRequest = TypesRequest;

/** An error between processes. */
export interface WireError {
  readonly message: string;
  readonly code: string | null;
  readonly hint: string | null;
}

/** What a child does for its parent, and what is done in place where no child is wanted. @throws RuntimeError where the runtime is missing */
export async function answer(ask: unknown, payloads: readonly Uint8Array[]): Promise<Frame> {
  const request = ask as ChildRequest;
  return { value: typesOf(request, payloads), payloads: [] };
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
