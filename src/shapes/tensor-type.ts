import { dtypeWord, type TensorType } from '../onnx/types.js';
import { formulaText } from './formula-text.js';
import { isTensor, type Info } from './info.js';

/** What is known of a value as other rooms have it: dims as numbers, formulas for readers, or null. */
export function tensorTypeOf(info: Info): TensorType {
  if (!isTensor(info)) return { dtype: null, shape: null, type: info.kind };
  const shape = info.shape?.map((dim) => (typeof dim === 'number' ? dim : formulaText(dim))) ?? null;
  const type: TensorType = { dtype: dtypeWord(info.elemType), shape };
  return info.kind === 'tensor' ? type : { ...type, type: info.kind };
}
