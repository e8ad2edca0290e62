import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { CHANNELS_LAST } from './float-draft.js';
import { intOf } from './node-attributes.js';

/** Dims of a weight of the float view; null where it is computed. */
export function weightDims(view: GraphView, name: string | undefined): readonly number[] | null {
  return name === undefined ? null : (view.initializers.get(name)?.dims ?? null);
}

/** Whether a tensor is a weight: an initializer, or one that carriers lead to. */
export function isWeight(view: GraphView, name: string): boolean {
  return weightDims(view, name) !== null;
}

/** Widths of a matrix with weights that is multiplied with the data: in, out; null for another node. */
export function matrixWidths(view: GraphView, node: Node): readonly [number, number] | null {
  const [, weight] = node.inputs;
  const dims = node.opType === 'MatMul' || node.opType === 'Gemm' ? weightDims(view, weight) : null;
  if (dims?.length !== 2) return null;
  return node.opType === 'Gemm' && intOf(node, 'transB', 0) === 1 ? [dims[1], dims[0]] : [dims[0], dims[1]];
}

const LAYERS = new Set(['Conv', 'DeformConv', 'ConvTranspose', 'MatMul', 'Gemm', 'LSTM', 'GRU', 'RNN']);

/** Whether a node is a layer with weights, as those of other domains may be: what is in front of the first prepares. */
export function isLayer({ opType, domain }: Pick<Node, 'opType' | 'domain'>): boolean {
  return LAYERS.has(opType) || (domain !== '' && domain !== CHANNELS_LAST);
}
