import { toFloat32 } from './convert.js';
import { elementCount, type TensorValue } from './tensor.js';

/** What a run says about the values of a tensor. `min` to `std` are over the finite values, null where there are none; `std` is the population's, null where it overflows. */
export interface Summary {
  readonly count: number;
  readonly nan: number;
  readonly infinite: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly std: number | null;
}

type Numeric = Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/** Small enough to stay in the first-level cache between the two passes over it. */
const BLOCK = 4096;
const NUMERIC = new Set(['float16', 'bfloat16', 'float32', 'float64', 'bool', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64']);

/** Summary statistics of a tensor that comes in batches. Block means are merged (Chan et al.), so that a large mean does not eat the spread. */
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
    const { dtype, data } = tensor;
    if (!NUMERIC.has(dtype)) return;
    const values: Numeric = dtype === 'float64' && data instanceof Float64Array ? data : isPlainInteger(dtype, data) ? data : dtype.endsWith('64') && ArrayBuffer.isView(data) ? Float64Array.from(data as BigInt64Array, Number) : toFloat32(tensor);
    for (let start = 0; start < values.length; start += BLOCK) this.addBlock(values, start, Math.min(values.length, start + BLOCK));
  }

  private addBlock(values: Numeric, start: number, end: number): void {
    let sum = 0;
    let low = Infinity;
    let high = -Infinity;
    for (let index = start; index < end; index++) {
      const value = values[index];
      sum += value;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    // A sum of finite float64 values can overflow only where they are near its limit; the slow way decides.
    if (Number.isFinite(sum)) this.merge(values, start, end, { mean: sum / (end - start), low, high });
    else this.addFinite(values, start, end);
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
    this.merge(block, 0, block.length, { mean, low, high });
  }

  private merge(values: Numeric, start: number, end: number, { mean, low, high }: { readonly mean: number; readonly low: number; readonly high: number }): void {
    let squares = 0;
    for (let index = start; index < end; index++) squares += (values[index] - mean) ** 2;
    const size = end - start;
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

function isPlainInteger(dtype: string, data: unknown): data is Exclude<Numeric, Float32Array | Float64Array> {
  return !dtype.includes('float') && !dtype.endsWith('64') && ArrayBuffer.isView(data);
}

/** Summary statistics of one tensor. */
export function summarize(tensor: TensorValue): Summary {
  const summary = new RunningSummary();
  summary.add(tensor);
  return summary.result();
}
