import { DistanceSum } from '../measures/compare.js';
import { DataType } from '../onnx/schema.js';
import { bfloat16ToFloat32 } from '../onnx/tensor-value.js';
import type { ByteSource } from '../wire/source.js';
import { halfToFloat32 } from './float16.js';

/** Where the bytes of a weight lie. */
export interface WeightPlace {
  readonly source: ByteSource;
  readonly start: number;
  readonly end: number;
}

/** How far two weights of one dtype and one shape are from each other. */
export interface WeightDistance {
  /** The largest difference of two values, in standard deviations of the first weight; null if it has none. */
  readonly deviations: number | null;
  /** Length of the difference over the length of the first weight; null if that is zero. */
  readonly relativeError: number | null;
  /** Values that differ, of all. */
  readonly differing: number;
  readonly values: number;
}

const WINDOW = 1024 * 1024;

/** What makes numbers of the bytes of a dtype. */
const READERS: { readonly [dataType: number]: (bytes: Uint8Array<ArrayBuffer>) => Float32Array | Float64Array } = {
  [DataType.float]: ({ buffer }) => new Float32Array(buffer),
  [DataType.double]: ({ buffer }) => new Float64Array(buffer),
  [DataType.float16]: ({ buffer }) => halfToFloat32(new Uint16Array(buffer)),
  [DataType.bfloat16]: ({ buffer }) => bfloat16ToFloat32(new Uint16Array(buffer)),
};

/** The distance of two weights of floats, a window at a time; null for other dtypes, and if their sizes differ. */
export async function weightDistance(
  one: WeightPlace,
  other: WeightPlace,
  dataType: number,
): Promise<WeightDistance | null> {
  const reader = READERS[dataType];
  const bytes = one.end - one.start;
  if (reader === undefined || bytes === 0 || other.end - other.start !== bytes) return null;
  const apart = new DistanceSum();
  let [values, differing, sum, squares] = [0, 0, 0, 0];
  for (let at = 0; at < bytes; at += WINDOW) {
    const end = Math.min(at + WINDOW, bytes);
    const [a, b] = await Promise.all(
      [one, other].map(async ({ source, start }) =>
        reader(Uint8Array.from(await source.read(start + at, start + end))),
      ),
    );
    apart.add(a, b);
    a.forEach((value, index) => {
      if (value !== b[index] && !Object.is(value, b[index])) differing++;
      sum += value;
      squares += value * value;
    });
    values += a.length;
  }
  const deviation = Math.sqrt(Math.max(squares / values - (sum / values) ** 2, 0));
  const { largestDifference, relativeError } = apart.result();
  const deviations = largestDifference / deviation;
  return { deviations: Number.isFinite(deviations) ? deviations : null, relativeError, differing, values };
}
