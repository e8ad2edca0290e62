import { DataType } from '../../onnx/schema.js';
import type { Rule } from '../call.js';
import { tensorInfo } from '../info.js';

/** Conversions to integers with a scale, and back. */

const quantizeLinear: Rule = (call) => {
  const given = call.int('output_dtype', 0);
  return [tensorInfo(call.has(2) ? call.elem(2) : given === 0 ? DataType.uint8 : given, call.shape(0))];
};

const dequantizeLinear: Rule = (call) => {
  const given = call.int('output_dtype', 0);
  return [tensorInfo(given === 0 ? call.elem(1) : given, call.shape(0))];
};

const dynamicQuantizeLinear: Rule = (call) => [
  tensorInfo(DataType.uint8, call.shape(0)),
  tensorInfo(DataType.float, []),
  tensorInfo(DataType.uint8, []),
];

/** Rules of quantization. */
export const QUANTIZATION: { readonly [opType: string]: Rule } = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
};
