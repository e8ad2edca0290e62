import * as ort from 'onnxruntime-node';
import { NATIVE_DTYPES } from '../../runtime/carriers.js';
import { loadNative } from '../../runtime/session.js';
import type { DataType } from '../model-spec.js';
import { seededRandom } from '../random.js';

/** Numbers for inputs and weights of any dtype. */

// Before the first tensor, which settles what halves are where Node has a Float16Array.
loadNative();

/** dtypes that an input may have. */
export const INPUT_TYPES = NATIVE_DTYPES satisfies readonly DataType[];

const WORDS = ['a', 'ab', '', 'b c', 'ünï', '7'];

/** Small numbers that a dtype holds, the same for the same seed; words for strings. */
export function valuesFor(dtype: DataType, count: number, seed: number): readonly number[] | readonly string[] {
  const random = seededRandom(seed);
  for (let skipped = 0; skipped < 3; skipped++) random();
  return dtype === 'string'
    ? Array.from({ length: count }, () => WORDS[Math.floor(random() * WORDS.length)])
    : Array.from({ length: count }, () => numberFor(dtype, random()));
}

function numberFor(dtype: DataType, at: number): number {
  if (dtype === 'bool') return Number(at < 0.5);
  if (dtype.startsWith('uint')) return Math.floor(at * 5);
  if (dtype.startsWith('int')) return Math.floor(at * 7) - 2;
  return Math.round((at * 4 - 2) * 64) / 64;
}

type Values = ort.Tensor.DataTypeMap[ort.Tensor.Type];

/** Arrays of JavaScript by dtype. */
const ARRAYS: { readonly [dtype in (typeof INPUT_TYPES)[number]]: (values: readonly number[]) => Values } = {
  float32: (values) => Float32Array.from(values),
  float64: (values) => Float64Array.from(values),
  float16: (values) => Uint16Array.from(values, (number) => halfOf(number)),
  int8: (values) => Int8Array.from(values),
  int16: (values) => Int16Array.from(values),
  int32: (values) => Int32Array.from(values),
  int64: (values) => BigInt64Array.from(values, BigInt),
  uint8: (values) => Uint8Array.from(values),
  uint16: (values) => Uint16Array.from(values),
  uint32: (values) => Uint32Array.from(values),
  uint64: (values) => BigUint64Array.from(values, BigInt),
  bool: (values) => Uint8Array.from(values),
  string: (values) => values.map(String),
};

/** A tensor of a dtype that JavaScript can give. */
export function feedOf(dtype: DataType, dims: readonly number[], seed: number): ort.Tensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const type = INPUT_TYPES.find((each) => each === dtype);
  if (type === undefined) throw new Error(`no input of dtype ${dtype}`);
  return new ort.Tensor(type, ARRAYS[type](valuesFor(dtype, count, seed) as readonly number[]), dims);
}

/** The bits of a half float; exact for multiples of 1/64 up to 2. */
export function halfOf(number: number): number {
  if (number === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(number)));
  const fraction = Math.round((Math.abs(number) / 2 ** exponent - 1) * 1024);
  return (number < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction;
}
