import { readStoredInfo } from './features/resolvers/metadata.js';
import { resolveFeatures, type ResolveOptions } from './features/resolve.js';
import { neededTensors } from './features/needed.js';
import type { Resolution } from './features/feature.js';
import type { GraphView } from './onnx/graph.js';
import type { InferredTypes } from './onnx/types.js';
import type { OnnxModel } from './onnx/records.js';
import type { RuntimeChild } from './runtime/child.js';
import { inferTypes } from './runtime/types.js';
import type { InferOptions } from './runtime/type-questions.js';

export interface SurveyOptions extends InferOptions {
  readonly resolve?: ResolveOptions;
  /** Tensors whose types are wanted beside those that the resolvers look at. */
  readonly tensors?: Iterable<string>;
}

/** What is known of a model before anything is selected. */
export interface Survey {
  readonly types: InferredTypes;
  readonly resolution: Resolution;
}

/** Types and shapes of the model's main data path, and its features. */
export async function surveyModel(view: GraphView, options: SurveyOptions = {}): Promise<Survey> {
  const types = await inferTypes(view, [...neededTensors(view), ...(options.tensors ?? [])], options);
  const stored = await readStoredInfo(view.model);
  return { types, resolution: resolveFeatures(view, types, { stored, ...options.resolve }) };
}

/** ONNX Runtime takes as long to load as the graph takes to walk; a file that declares few of its types will need it. */
export async function startChild(
  { graph }: OnnxModel,
  { child, isolate, memoryBytes, signal }: InferOptions,
): Promise<RuntimeChild | null> {
  const declaresTypes = graph.valueInfo.length * 2 >= graph.nodes.length;
  if (child !== undefined || isolate === false || declaresTypes) return null;
  const [{ RuntimeChild }, { isRuntimeInstalled }] = await Promise.all([
    import('./runtime/child.js'),
    import('./runtime/session.js'),
  ]);
  return isRuntimeInstalled() ? RuntimeChild.start({ memoryBytes, signal }) : null;
}
