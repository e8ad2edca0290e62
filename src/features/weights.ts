import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { CHANNELS_LAST } from './float-draft.js';

/** Dims of a weight of the float view; null where it is computed. */
export function weightDims(view: GraphView, name: string | undefined): readonly number[] | null {
  return name === undefined ? null : (view.initializers.get(name)?.dims ?? null);
}

/** Whether a tensor is a weight: an initializer, or one that carriers lead to. */
export function isWeight(view: GraphView, name: string): boolean {
  return weightDims(view, name) !== null;
}

const LAYERS = new Set(['Conv', 'DeformConv', 'ConvTranspose', 'MatMul', 'Gemm', 'LSTM', 'GRU', 'RNN']);

/** Whether a node is a layer with weights, as those of other domains may be: what is in front of the first prepares. */
export function isLayer({ opType, domain }: Node): boolean {
  return LAYERS.has(opType) || (domain !== '' && domain !== CHANNELS_LAST);
}
