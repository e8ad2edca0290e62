import { DataType, FLOAT_TYPES } from '../onnx/schema.js';
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

/** What is known of the tensors of a graph: by name, and by number. */
export interface Infos extends ReadonlyMap<string, Info> {
  infoAt(tensor: number): Info | null;
}

/** Tensors of more elements have no known values. */
export const MOST_VALUES = 1_024;

/** A tensor of a dtype and shape, with its elements if they are few and not all unknown. */
export function tensorInfo(elemType: number, shape: Shape | null, value?: readonly Scalar[] | null): TensorInfo {
  if (value == null || value.length > MOST_VALUES || value.every((scalar) => scalar === null))
    return { kind: 'tensor', elemType, shape };
  return { kind: 'tensor', elemType, shape, value };
}

/** A tensor of whose elements nothing is known. */
export function withoutValue({ kind, elemType, shape }: TensorInfo): TensorInfo {
  return { kind, elemType, shape };
}

/** Whether a value is a tensor, dense or sparse. */
export function isTensor(info: Info | null | undefined): info is TensorInfo {
  return info != null && (info.kind === 'tensor' || info.kind === 'sparse_tensor');
}

const INTEGERS = new Set<number>([
  DataType.uint8,
  DataType.int8,
  DataType.uint16,
  DataType.int16,
  DataType.int32,
  DataType.int64,
  DataType.uint32,
  DataType.uint64,
]);

/** Whether a TensorProto.DataType is a float of 16 bits or more. */
export function isFloat(elemType: number): boolean {
  return FLOAT_TYPES.has(elemType);
}

/** Whether a TensorProto.DataType is an integer of 8 bits or more. */
export function isInteger(elemType: number): boolean {
  return INTEGERS.has(elemType);
}

const BITS: { readonly [elemType: number]: readonly [low: number, high: number] } = {
  [DataType.uint8]: [0, 2 ** 8 - 1],
  [DataType.int8]: [-(2 ** 7), 2 ** 7 - 1],
  [DataType.uint16]: [0, 2 ** 16 - 1],
  [DataType.int16]: [-(2 ** 15), 2 ** 15 - 1],
  [DataType.uint32]: [0, 2 ** 32 - 1],
  [DataType.int32]: [-(2 ** 31), 2 ** 31 - 1],
  [DataType.uint64]: [0, Infinity],
  // Floats of 16 bits: the integers that they hold exactly.
  [DataType.float16]: [-(2 ** 11), 2 ** 11],
  [DataType.bfloat16]: [-(2 ** 8), 2 ** 8],
};

const ANY: readonly [low: number, high: number] = [-Infinity, Infinity];

/** The integers that a dtype holds exactly, as far as it has an end that matters for sizes. */
export function rangeOf(elemType: number): readonly [low: number, high: number] {
  return BITS[elemType] ?? ANY;
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

/** The same function; it makes nothing anew for the value of before: neighbours in a graph often share theirs. */
export function rememberingLast<V>(make: (info: Info) => V): (info: Info) => V {
  let last: { readonly info: Info; readonly value: V } | null = null;
  return (info) => {
    if (last?.info !== info) last = { info, value: make(info) };
    return last.value;
  };
}
