import type { TensorValue } from '../onnx/tensor-value.js';
import { elementCount } from '../onnx/types.js';
import { toFloat32 } from './convert.js';

/**
 * What a run says about the values of a tensor. `min` to `std` are over the finite values, null if there are none;
 * `std` is the population's, null if it overflows.
 */
export interface Summary {
  readonly count: number;
  readonly nan: number;
  readonly infinite: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly std: number | null;
}

type Numeric =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Short, so that sums within a block stay exact. */
const BLOCK = 4096;
const NUMERIC = new Set([
  'float16',
  'bfloat16',
  'float32',
  'float64',
  'bool',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
]);

interface Block {
  readonly size: number;
  readonly mean: number;
  /** Sum of squared differences from the mean. */
  readonly squares: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Summary statistics of a tensor that comes in batches. Block means are merged (Chan et al.), so that a large mean does
 * not eat the spread.
 */
export class RunningSummary {
  private count = 0;
  private nan = 0;
  private infinite = 0;
  private finite = 0;
  private min = Infinity;
  private max = -Infinity;
  private mean = 0;
  private squares = 0;

  /** Adds the values of a batch; strings, complex and packed types are only counted. */
  add(tensor: TensorValue): void {
    this.count += elementCount(tensor.shape) ?? 0;
    if (!NUMERIC.has(tensor.dtype)) return;
    const values = numbersOf(tensor);
    for (let start = 0; start < values.length; start += BLOCK)
      this.addBlock(values, start, Math.min(values.length, start + BLOCK));
  }

  private addBlock(values: Numeric, start: number, end: number): void {
    // Relative to one of its own values, the squares of a block lose no more than its length in precision. Pairs keep
    // the sums independent.
    const shift = values[start];
    let sum = 0;
    let otherSum = 0;
    let squares = 0;
    let otherSquares = 0;
    let low = shift;
    let high = shift;
    let index = start;
    for (; index + 1 < end; index += 2) {
      const value = values[index];
      const other = values[index + 1];
      const difference = value - shift;
      const otherDifference = other - shift;
      sum += difference;
      otherSum += otherDifference;
      squares += difference * difference;
      otherSquares += otherDifference * otherDifference;
      // Branches that are hardly ever taken; comparing the two with each other is a guess every time, and three times
      // as slow.
      if (value < low) low = value;
      if (value > high) high = value;
      if (other < low) low = other;
      if (other > high) high = other;
    }
    if (index < end) {
      const difference = values[index] - shift;
      sum += difference;
      squares += difference * difference;
      low = Math.min(low, values[index]);
      high = Math.max(high, values[index]);
    }
    const total = sum + otherSum;
    const all = squares + otherSquares;
    // NaN, infinities, and finite values whose squares overflow take the slow way.
    if (!Number.isFinite(all)) this.addFinite(values, start, end);
    else
      this.merge({
        size: end - start,
        mean: shift + total / (end - start),
        squares: Math.max(0, all - (total * total) / (end - start)),
        low,
        high,
      });
  }

  private addFinite(values: Numeric, start: number, end: number): void {
    const kept: number[] = [];
    for (let index = start; index < end; index++) {
      const value = values[index];
      if (Number.isNaN(value)) this.nan++;
      else if (Number.isFinite(value)) kept.push(value);
      else this.infinite++;
    }
    if (kept.length === 0) return;
    const block = Float64Array.from(kept);
    let mean = 0;
    let low = Infinity;
    let high = -Infinity;
    for (const value of block) {
      mean += value / block.length;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    let squares = 0;
    for (const value of block) squares += (value - mean) ** 2;
    this.merge({ size: block.length, mean, squares, low, high });
  }

  private merge({ size, mean, squares, low, high }: Block): void {
    const total = this.finite + size;
    const delta = this.finite === 0 ? 0 : mean - this.mean;
    this.squares += squares + delta * delta * ((this.finite * size) / total);
    this.mean = this.finite === 0 ? mean : this.mean + delta * (size / total);
    this.finite = total;
    if (low < this.min) this.min = low;
    if (high > this.max) this.max = high;
  }

  result(): Summary {
    const { count, nan, infinite, finite, min, max, mean, squares } = this;
    if (finite === 0) return { count, nan, infinite, min: null, max: null, mean: null, std: null };
    return { count, nan, infinite, min, max, mean, std: Number.isFinite(squares) ? Math.sqrt(squares / finite) : null };
  }
}

/** The values as numbers: themselves where they are, float16 decoded, int64 rounded to float64. */
function numbersOf(tensor: TensorValue): Numeric {
  const { dtype, data } = tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  return ArrayBuffer.isView(data) && dtype !== 'float16' && dtype !== 'bfloat16' ? data : toFloat32(tensor);
}
