import type { RowRange } from './lazy-array.js';
import type { TensorValue } from '../onnx/tensor-value.js';
import { elementCount } from '../onnx/types.js';
import { UsageError } from '../errors.js';
import { encodeText } from '../wire/text.js';
import { float32ToBfloat16, float32ToHalf } from './float16.js';
import { emptyTensor } from './tensor.js';

/**
 * 32 random bits at a time: sfc32, which is the same on every platform.
 * @see https://pracrand.sourceforge.net (Chris Doty-Humphrey)
 */
function generator(seed: number, name: string): () => number {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  a ^= Math.trunc(seed / 2 ** 32);
  for (const byte of encodeText(name)) {
    b ^= byte;
    next();
  }
  for (let round = 0; round < 16; round++) next();
  return next;
}

/** Half the spread of the sum of four 16-bit numbers, and what scales it to a standard deviation of 1. */
const CENTER = 2 * 0xffff;
const SCALE = 1 / Math.sqrt((4 * (2 ** 32 - 1)) / 12);

/** A value of mean 0 and standard deviation 1, within 3.47: the sum of four uniform numbers. */
function bell(next: () => number): number {
  const first = next();
  const second = next();
  return ((first >>> 16) + (first & 0xffff) + (second >>> 16) + (second & 0xffff) - CENTER) * SCALE;
}

/**
 * A tensor that depends on `seed`, `name` and its shape alone, the same on every platform. Floats have mean 0 and
 * standard deviation 1; bytes take every value; wider integers and bools are 0 or 1, which any index, mask or token
 * type can be.
 * @throws UsageError for strings and types without plain values
 */
export function randomTensor(dtype: string, shape: readonly number[], seed: number, name: string): TensorValue {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UsageError(`the seed ${seed} is not an integer from 0 to 2^53-1`);
  const count = elementCount(shape);
  if (count === null) throw new UsageError(`input ${name} of shape [${shape.join(', ')}] has no size`);
  const next = generator(seed, name);
  if (dtype === 'float64') return { dtype, shape, data: Float64Array.from({ length: count }, () => bell(next)) };
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') {
    const values = new Float32Array(count);
    for (let index = 0; index < count; index++) values[index] = bell(next);
    return {
      dtype,
      shape,
      data: dtype === 'float32' ? values : dtype === 'float16' ? float32ToHalf(values) : float32ToBfloat16(values),
    };
  }
  if (!/^(bool|u?int(8|16|32|64))$/.test(dtype))
    throw new UsageError(`input ${name} is ${dtype}, which has no random values`, { hint: 'give it as a file' });
  const tensor = emptyTensor(dtype, shape);
  const { data } = tensor;
  const isByte = dtype === 'uint8' || dtype === 'int8';
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    for (let index = 0; index < count; index++) data[index] = BigInt(next() >>> 31);
  else if (ArrayBuffer.isView(data))
    for (let index = 0; index < count; index++) data[index] = next() >>> (isByte ? 24 : 31);
  return tensor;
}

/**
 * Entries `[start, end)` of random values, after an empty one that has their shape; each by itself, so that the values
 * do not depend on the batch size.
 */
export function randomEntries(
  { dtype, rest, seed, name }: { dtype: string; rest: readonly number[]; seed: number; name: string },
  { start, end }: RowRange,
): TensorValue[] {
  const entries = [randomTensor(dtype, [0, ...rest], seed, name)];
  for (let index = start; index < end; index++)
    entries.push(randomTensor(dtype, [1, ...rest], seed, `${name}#${index}`));
  return entries;
}
