import type { GraphView } from '../onnx/graph.js';

/** Dims of a weight of the float view; null where it is computed. */
export function weightDims(view: GraphView, name: string | undefined): readonly number[] | null {
  return name === undefined ? null : (view.initializers.get(name)?.dims ?? null);
}

/** Whether a tensor is a weight: an initializer, or one that carriers lead to. */
export function isWeight(view: GraphView, name: string): boolean {
  return weightDims(view, name) !== null;
}
