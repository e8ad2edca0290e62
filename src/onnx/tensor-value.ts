/** The typed arrays that hold numbers of a tensor. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Strings are kept apart: they have no fixed size. */
export type TensorData = TypedArray | readonly string[];

/**
 * A tensor in memory, C order. `dtype` is numpy's word plus ONNX's own (`bfloat16`, `float8e4m3fn`, `int4`, `string`,
 * …). float16 and bfloat16 are bits in a Uint16Array, bool and the 8-bit floats one byte each, 4- and 2-bit types
 * packed bytes, int64 a BigInt64Array.
 */
export interface TensorValue {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** The values of bfloat16 bits. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index++) words[index] = bits[index] << 16;
  return new Float32Array(words.buffer);
}
