import { DataType } from '../../onnx/schema.js';
import type { Call, Rule } from '../call.js';
import { tensorInfo, type Info, type Shape } from '../info.js';

/** Normalisations and dropout: the input, and what was measured on the way. */

/** Before 14 four statistics followed, since then the running two. */
const batchNormalization: Rule = (call) => {
  const first = tensorInfo(call.elem(0), call.shape(0));
  const statistic = (index: number): Info => tensorInfo(call.elem(index) || call.elem(0), call.shape(index));
  return [first, statistic(3), statistic(4), statistic(3), statistic(4)];
};

/** The dims from `axis` on are 1. */
export function reducedFrom(call: Call, shape: Shape | null, axis: number): Shape | null {
  if (shape === null) return null;
  const from = call.axis(axis, shape.length);
  return shape.map((dim, at) => (at < from ? dim : 1));
}

const layerNormalization: Rule = (call) => {
  const shape = call.shape(0);
  const statistic = tensorInfo(call.int('stash_type', DataType.float), reducedFrom(call, shape, call.int('axis', -1)));
  return [tensorInfo(call.elem(0), shape), statistic, statistic];
};

/** The mask has the dtype of the input before version 10. */
const dropout: Rule = (call) => {
  const shape = call.shape(0);
  return [tensorInfo(call.elem(0), shape), tensorInfo(call.opset < 10 ? call.elem(0) : DataType.bool, shape)];
};

/** Rules of normalisations. */
export const NORMALISATIONS: { readonly [opType: string]: Rule } = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  Dropout: dropout,
};
