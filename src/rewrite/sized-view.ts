import { viewGraph, type GraphView } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import { mapOf, type ByName } from '../options/by-name.js';
import { resizedView, type Resized } from './sizes.js';
import type { PlannedSizes } from './tap.js';

/** What a caller asks of sizes. */
export interface SizeOptions {
  readonly dims?: ByName<number>;
  readonly renameDims?: ByName<string>;
}

/** A model as a lookup, with the sizes that a caller asks for. */
export interface SizedView {
  readonly view: GraphView;
  /** Null if none are asked for. */
  readonly resized: (Resized & PlannedSizes) | null;
}

/** The view of a model with the sizes that a caller asks for. @throws UsageError, ModelFormatError */
export async function sizedView(model: OnnxModel, { dims, renameDims }: SizeOptions): Promise<SizedView> {
  const asked = { dims: mapOf(dims ?? {}), renameDims: mapOf(renameDims ?? {}) };
  const view = viewGraph(model);
  return asked.dims.size + asked.renameDims.size === 0 ? { view, resized: null } : resizedView(view, asked);
}
