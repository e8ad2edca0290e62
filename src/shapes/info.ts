import type { ValueType } from '../onnx/records.js';
import type { Size } from './formula.js';

/** What is known of a value while shapes are inferred. */

/** Dims in their order. */
export type Shape = readonly Size[];

/** One element of a tensor: a number (0 and 1 for booleans), a formula, or unknown. */
export type Scalar = Size | null;

/** What is known of a tensor. */
export interface TensorInfo {
  readonly kind: 'tensor' | 'sparse_tensor';
  /** TensorProto.DataType, 0 if unknown. */
  readonly elemType: number;
  /** Null is an unknown rank. */
  readonly shape: Shape | null;
  /** Its elements in row-major order, if they are few and at least one is known. */
  readonly value?: readonly Scalar[];
}

/** What is known of a sequence or an optional. */
export interface ContainerInfo {
  readonly kind: 'sequence' | 'optional';
  readonly element: Info | null;
  /** Of a sequence, if it is known. */
  readonly elements?: readonly Info[];
}

/** A value that no rule looks into. */
export interface OtherInfo {
  readonly kind: 'map' | 'opaque';
  readonly type: ValueType;
}

/** What is known of a value. */
export type Info = TensorInfo | ContainerInfo | OtherInfo;

/** TensorProto.DataType. @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export const Type = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
} as const;

/** Tensors of more elements have no known values. */
export const MOST_VALUES = 1_024;

/** A tensor of a dtype and shape, with its elements if they are few and not all unknown. */
export function tensorInfo(elemType: number, shape: Shape | null, value?: readonly Scalar[] | null): TensorInfo {
  if (value == null || value.length > MOST_VALUES || value.every((scalar) => scalar === null))
    return { kind: 'tensor', elemType, shape };
  return { kind: 'tensor', elemType, shape, value };
}

/** Whether a value is a tensor, dense or sparse. */
export function isTensor(info: Info | null | undefined): info is TensorInfo {
  return info != null && (info.kind === 'tensor' || info.kind === 'sparse_tensor');
}

const FLOATS = new Set<number>([Type.float, Type.float16, Type.double, Type.bfloat16]);
const INTEGERS = new Set<number>([
  Type.uint8,
  Type.int8,
  Type.uint16,
  Type.int16,
  Type.int32,
  Type.int64,
  Type.uint32,
  Type.uint64,
]);

/** Whether a TensorProto.DataType is a float of 16 bits or more. */
export function isFloat(elemType: number): boolean {
  return FLOATS.has(elemType);
}

/** Whether a TensorProto.DataType is an integer of 8 bits or more. */
export function isInteger(elemType: number): boolean {
  return INTEGERS.has(elemType);
}

/** The number of elements if all dims are numbers. */
export function countOf(shape: Shape | null): number | null {
  if (shape === null) return null;
  let count = 1;
  for (const dim of shape) {
    if (typeof dim !== 'number') return null;
    count *= dim;
  }
  return count;
}

/** Dims that are all numbers. */
export function numbersOf(shape: Shape | readonly Scalar[] | null | undefined): readonly number[] | null {
  return shape != null && shape.every((dim): dim is number => typeof dim === 'number')
    ? (shape as readonly number[])
    : null;
}

/** A list of one value. */
export function filled<T>(length: number, value: T): readonly T[] {
  return Array.from({ length }, () => value);
}
