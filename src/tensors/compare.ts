import type { TensorData, TensorValue } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { toFloat32 } from './convert.js';
import { describe } from './tensor.js';

/** How the values of a tensor lie against those of the tensor that it was made from. */
interface Arrangement {
  /** Whether channels come before positions. */
  readonly channelsFirst: boolean;
  readonly batch: number;
  readonly channels: number;
  readonly positions: number;
}

/** The readings of a shape: a map or tokens, channels first or last. */
function arrangements(shape: readonly number[]): readonly Arrangement[] {
  if (shape.length !== 3 && shape.length !== 4) return [];
  const [batch, ...rest] = shape;
  const product = (dims: readonly number[]): number => dims.reduce((whole, dim) => whole * dim, 1);
  return [
    { channelsFirst: true, batch, channels: rest[0], positions: product(rest.slice(1)) },
    { channelsFirst: false, batch, channels: rest[rest.length - 1], positions: product(rest.slice(0, -1)) },
  ];
}

/**
 * The values of `source` in the layout of `target`: channels first or last, tokens or maps, leading tokens left out.
 * Independent of how the graph does it.
 * @returns null if the shapes fit no change of layout
 */
export function rearranged(source: TensorValue, target: TensorValue, targetFirst: boolean | null): TensorValue | null {
  if (source.shape.length === target.shape.length && source.shape.every((dim, axis) => dim === target.shape[axis]))
    return source;
  for (const to of arrangements(target.shape).filter(
    ({ channelsFirst }) => targetFirst === null || channelsFirst === targetFirst,
  )) {
    for (const from of arrangements(source.shape)) {
      if (from.batch !== to.batch || from.channels !== to.channels || from.positions < to.positions) continue;
      return { dtype: source.dtype, shape: target.shape, data: moved(source.data, from, to) };
    }
  }
  return null;
}

function moved(data: TensorData, from: Arrangement, to: Arrangement): TensorData {
  const skipped = from.positions - to.positions;
  const stride = ({
    channelsFirst,
    channels,
    positions,
  }: Arrangement): readonly [channel: number, position: number, batch: number] =>
    channelsFirst ? [positions, 1, channels * positions] : [1, channels, channels * positions];
  const [fromChannel, fromPosition, fromBatch] = stride(from);
  const [toChannel, toPosition, toBatch] = stride(to);
  const result = data.slice(0, to.batch * to.channels * to.positions) as {
    [index: number]: TensorData[number];
  } & TensorData;
  for (let batch = 0; batch < to.batch; batch++) {
    for (let channel = 0; channel < to.channels; channel++) {
      for (let position = 0; position < to.positions; position++) {
        result[batch * toBatch + channel * toChannel + position * toPosition] =
          data[batch * fromBatch + channel * fromChannel + (position + skipped) * fromPosition];
      }
    }
  }
  return result;
}

/** Whether two tensors are the same to the last bit. */
export function isBitEqual(a: TensorValue, b: TensorValue): boolean {
  if (a.dtype !== b.dtype || a.data.length !== b.data.length) return false;
  if (!ArrayBuffer.isView(a.data) || !ArrayBuffer.isView(b.data)) {
    const other = b.data;
    return Array.isArray(a.data) && a.data.every((text, index) => text === other[index]);
  }
  const one = new Uint8Array(a.data.buffer, a.data.byteOffset, a.data.byteLength);
  const two = new Uint8Array(b.data.buffer, b.data.byteOffset, b.data.byteLength);
  for (let index = 0; index < one.length; index++) if (one[index] !== two[index]) return false;
  return true;
}

/**
 * The largest difference between two tensors, relative to the standard deviation of the first; null if only one of
 * two values is finite, or for strings.
 */
export function largestDifference(reference: TensorValue, other: TensorValue): number | null {
  if (reference.dtype !== other.dtype || reference.data.length !== other.data.length)
    throw new UsageError(`${describe(reference)} cannot be compared with ${describe(other)}`);
  if (reference.dtype === 'string') return isBitEqual(reference, other) ? 0 : null;
  const a = toFloat32(reference);
  const b = toFloat32(other);
  let count = 0;
  let sum = 0;
  let squares = 0;
  let largest = 0;
  for (let index = 0; index < a.length; index++) {
    if (!Number.isFinite(a[index]) || !Number.isFinite(b[index])) {
      if (!Object.is(a[index], b[index])) return null;
      continue;
    }
    count++;
    sum += a[index];
    squares += a[index] * a[index];
    largest = Math.max(largest, Math.abs(a[index] - b[index]));
  }
  if (largest === 0) return 0;
  const mean = sum / count;
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
  return largest / (deviation > 0 ? deviation : Math.max(Math.abs(mean), Number.MIN_VALUE));
}

/**
 * Kernels take other ways for other sizes, and fusions of a graph that is cut elsewhere round differently; float16 has
 * 11 bits.
 */
const TOLERANCE = { float32: 1e-3, half: 5e-2 } as const;

/**
 * How far the same values may differ that were computed another way, in a batch of another size or with other fusions:
 * relative to the standard deviation.
 */
export function roundingTolerance({ dtype }: Pick<TensorValue, 'dtype'>): number {
  return /16$|^float8|^int4|^uint4/.test(dtype) ? TOLERANCE.half : TOLERANCE.float32;
}

/** Whether an entry beside others has the values that it has alone, as far as kernels have them for other sizes. */
export function isAsAlone(alone: TensorValue, beside: TensorValue): boolean {
  const far = largestDifference(alone, beside);
  return far !== null && far <= roundingTolerance(alone);
}
