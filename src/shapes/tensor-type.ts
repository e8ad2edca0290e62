import type { ValueType } from '../onnx/records.js';
import { dtypeWord, type TensorType } from '../onnx/types.js';
import { formulaText } from './formula-text.js';
import { isTensor, type Info, type TensorInfo } from './info.js';

/** What is known of a value as other rooms have it: dims as numbers, formulas for readers, or null. */
export function tensorTypeOf(info: Info): TensorType {
  if (!isTensor(info)) return { dtype: null, shape: null, type: info.kind, whole: valueTypeOf(info) };
  const type: TensorType = { dtype: dtypeWord(info.elemType), shape: dimsOf(info) };
  return info.kind === 'tensor' ? type : { ...type, type: info.kind };
}

/** The same as a declaration in a file. */
export function valueTypeOf(info: Info): ValueType {
  if (isTensor(info)) return { kind: info.kind, elemType: info.elemType, shape: dimsOf(info) };
  if (!('element' in info)) return info.type;
  return { kind: info.kind, element: info.element === null ? null : valueTypeOf(info.element) };
}

function dimsOf({ shape }: TensorInfo): TensorType['shape'] {
  return shape?.map((dim) => (typeof dim === 'number' ? dim : formulaText(dim))) ?? null;
}
