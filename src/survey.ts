import { resolveFeatures, type ResolveOptions } from './features/resolve.js';
import { neededTensors } from './features/needed.js';
import type { Resolution } from './features/feature.js';
import type { GraphView } from './onnx/graph.js';
import type { InferredTypes } from './onnx/types.js';
import { inferTypes, type InferOptions } from './runtime/types.js';

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
  return { types, resolution: resolveFeatures(view, types, options.resolve) };
}
