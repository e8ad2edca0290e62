import type { GraphView } from '../onnx/graph.js';

/** Where a quantized graph reads a value only through QuantizeLinear and DequantizeLinear: the value behind them, which is what the network computes with. */
export function behindQuantization(view: GraphView, tensor: string): string {
  const readers = view.consumersOf.get(tensor) ?? [];
  if (view.outputs.has(tensor) || readers.length !== 1 || readers[0].opType !== 'QuantizeLinear') return tensor;
  const [quantized] = readers[0].outputs;
  const dequantized = view.consumersOf
    .get(quantized)
    ?.find(({ opType, inputs }) => opType === 'DequantizeLinear' && inputs[0] === quantized);
  return dequantized?.outputs[0] ?? tensor;
}
