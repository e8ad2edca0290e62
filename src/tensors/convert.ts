import { type TensorValue, type TypedArray, bfloat16ToFloat32 } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { float32ToBfloat16, float32ToHalf, float64ToHalf, halfToFloat32 } from './float16.js';
import { describe, emptyTensor } from './tensor.js';

/** How a conversion treats the values: unchanged, or rounded to a narrower float. */
export type Conversion = 'same' | 'exact' | 'rounded';

const INTEGER_RANGES = new Map<string, readonly [number, number]>([
  ['bool', [0, 1]],
  ['uint8', [0, 8]],
  ['uint16', [0, 16]],
  ['uint32', [0, 32]],
  ['uint64', [0, 64]],
  ['int8', [1, 7]],
  ['int16', [1, 15]],
  ['int32', [1, 31]],
  ['int64', [1, 63]],
]);

/** Bits of magnitude that a float holds exactly. */
const SIGNIFICANDS = new Map<string, number>([
  ['float16', 11],
  ['bfloat16', 8],
  ['float32', 24],
  ['float64', 53],
]);

/**
 * Whether values of one dtype may become another: floats among floats, integers where every value fits; null if not.
 */
export function conversionOf(from: string, to: string): Conversion | null {
  if (from === to) return 'same';
  const source = SIGNIFICANDS.get(from);
  const target = SIGNIFICANDS.get(to);
  if (source !== undefined && target !== undefined)
    return target > source && !(from === 'bfloat16' && to === 'float16') ? 'exact' : 'rounded';
  const integer = INTEGER_RANGES.get(from);
  const wider = INTEGER_RANGES.get(to);
  if (integer === undefined) return null;
  if (wider !== undefined && to !== 'bool') return wider[0] >= integer[0] && wider[1] >= integer[1] ? 'exact' : null;
  return null;
}

/** The tensor in another dtype. @throws UsageError if `conversionOf` knows no way */
export function convert(tensor: TensorValue, to: string): TensorValue {
  const { dtype, shape, data } = tensor;
  if (dtype === to) return tensor;
  if (conversionOf(dtype, to) === null || !ArrayBuffer.isView(data))
    throw new UsageError(`${describe(tensor)} cannot become ${to}`);
  return { dtype: to, shape, data: SIGNIFICANDS.has(to) ? toFloat(tensor, data, to) : widenInteger(data, to, shape) };
}

function toFloat(tensor: TensorValue, data: TypedArray, to: string): TypedArray {
  if (to === 'float64') return Float64Array.from(toFloat32(tensor));
  if (to === 'float16' && data instanceof Float64Array) return float64ToHalf(data);
  const single = toFloat32(tensor);
  if (to === 'float16') return float32ToHalf(single);
  return to === 'bfloat16' ? float32ToBfloat16(single) : single;
}

function widenInteger(data: TypedArray, to: string, shape: readonly number[]): TypedArray {
  const { data: target } = emptyTensor(to, shape);
  if (!ArrayBuffer.isView(target)) return data;
  if (target instanceof BigInt64Array || target instanceof BigUint64Array)
    for (let index = 0; index < data.length; index++) target[index] = BigInt(data[index]);
  else for (let index = 0; index < data.length; index++) target[index] = Number(data[index]);
  return target;
}

function isNumeric(data: unknown): data is Exclude<TypedArray, BigInt64Array | BigUint64Array> {
  return ArrayBuffer.isView(data) && !(data instanceof BigInt64Array || data instanceof BigUint64Array);
}

/**
 * The values as float32 (float64 and wide integers rounded).
 * @throws UsageError for strings, complex and packed types
 */
export function toFloat32(tensor: TensorValue): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array && dtype === 'float16') return halfToFloat32(data);
  if (data instanceof Uint16Array && dtype === 'bfloat16') return bfloat16ToFloat32(data);
  if (!ArrayBuffer.isView(data) || !(dtype === 'float64' || INTEGER_RANGES.has(dtype)))
    throw new UsageError(`${dtype} has no plain numeric values`);
  if (isNumeric(data)) return Float32Array.from(data);
  return Float32Array.from(data, Number);
}
