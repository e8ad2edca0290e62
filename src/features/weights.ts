import type { GraphView } from '../onnx/graph.js';

/** Ops that hand a weight on as it is, or out of another number format. */
const CARRIERS = new Set(['Identity', 'DequantizeLinear', 'Cast', 'QuantizeLinear']);
/** Carriers behind each other. */
const LONGEST_CARRY = 4;

/** Dims of a weight: an initializer, or one that carriers lead to; null where it is computed. */
export function weightDims(view: GraphView, name: string | undefined): readonly number[] | null {
  let at = name;
  for (let step = 0; at !== undefined && step <= LONGEST_CARRY; step++) {
    const dims = view.initializers.get(at)?.dims;
    if (dims !== undefined) return dims;
    const node = view.producerOf.get(at)?.node;
    at = node !== undefined && CARRIERS.has(node.opType) ? node.inputs[0] : undefined;
  }
  return null;
}

/** Whether a tensor is a weight: an initializer, or one that carriers lead to. */
export function isWeight(view: GraphView, name: string): boolean {
  return weightDims(view, name) !== null;
}
