import type { TensorValue } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { describe, elementBits, emptyTensor, stackRows, takeRows } from './tensor.js';

/**
 * How arrays that come batch by batch become one: one behind the other along an axis, a fixed number of parts for each
 * entry; along axis 0, any number; or one that is the same in every batch, once.
 */
export type Joining =
  | { readonly kind: 'along'; readonly axis: number }
  | { readonly kind: 'ragged' }
  | { readonly kind: 'once' };

/** What arrays are joined along where nothing else is known. */
export const ALONG_ROWS: Joining = { kind: 'along', axis: 0 };

/** The axis along which arrays are joined; null if they are not. */
export function axisOf(joining: Joining): number | null {
  return joining.kind === 'once' ? null : joining.kind === 'ragged' ? 0 : joining.axis;
}

/**
 * How an array of some axes lies in memory around one of them: runs of `inner` values, `length` of them, `outer` times.
 */
export interface Runs {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/** The runs of a shape around an axis. */
export function runsAround(shape: readonly number[], axis: number): Runs {
  const product = (dims: readonly number[]): number => dims.reduce((all, dim) => all * dim, 1);
  return { outer: product(shape.slice(0, axis)), length: shape[axis], inner: product(shape.slice(axis + 1)) };
}

/**
 * `[start, end)` along an axis.
 * @throws UsageError where the tensor has no such axis or packs several elements in a byte
 */
export function takeAlong(tensor: TensorValue, axis: number, start: number, end: number): TensorValue {
  const { dtype, shape } = tensor;
  if (axis >= shape.length) throw new UsageError(`${describe(tensor)} has no axis ${axis}`);
  if (start === 0 && end === shape[axis]) return tensor;
  if (axis === 0) return takeRows(tensor, start, end);
  assertUnpacked(tensor);
  const { outer, length, inner } = runsAround(shape, axis);
  const to = shape.map((dim, at) => (at === axis ? end - start : dim));
  const width = (end - start) * inner;
  const strings = stringsOf(tensor);
  if (strings !== null)
    return {
      dtype,
      shape: to,
      data: Array.from({ length: outer }, (_run, at) =>
        strings.slice((at * length + start) * inner, (at * length + start) * inner + width),
      ).flat(),
    };
  const result = emptyTensor(dtype, to);
  const [from, into] = [bytesOf(tensor), bytesOf(result)];
  const size = (elementBits(dtype) ?? 8) / 8;
  for (let at = 0; at < outer; at++) {
    const begin = (at * length + start) * inner * size;
    into.set(from.subarray(begin, begin + width * size), at * width * size);
  }
  return result;
}

/** Joins tensors along an axis; their dtypes and other dims are equal. */
export function joinAlong(tensors: readonly TensorValue[], axis: number): TensorValue {
  const [first] = tensors;
  if (axis === 0 || tensors.length === 1) return stackRows(tensors);
  tensors.forEach(assertUnpacked);
  const whole = tensors.reduce((sum, { shape }) => sum + shape[axis], 0);
  const { outer } = runsAround(first.shape, axis);
  const shape = first.shape.map((dim, at) => (at === axis ? whole : dim));
  const parts = tensors.map((tensor) => ({ tensor, width: tensor.data.length / outer }));
  if (first.dtype === 'string')
    return {
      dtype: first.dtype,
      shape,
      data: Array.from({ length: outer }, (_run, at) =>
        parts.flatMap(({ tensor, width }) => stringsOf(tensor)?.slice(at * width, (at + 1) * width) ?? []),
      ).flat(),
    };
  const result = emptyTensor(first.dtype, shape);
  const into = bytesOf(result);
  let to = 0;
  for (let at = 0; at < outer; at++) {
    for (const { tensor } of parts) {
      const bytes = bytesOf(tensor);
      const width = bytes.length / outer;
      into.set(bytes.subarray(at * width, (at + 1) * width), to);
      to += width;
    }
  }
  return result;
}

function assertUnpacked(tensor: TensorValue): void {
  if ((elementBits(tensor.dtype) ?? 8) < 8)
    throw new UsageError(`a tensor of ${tensor.dtype} is packed and cannot be split along an axis`);
}

function bytesOf({ data }: TensorValue): Uint8Array {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(0);
}

function stringsOf({ data }: TensorValue): readonly string[] | null {
  return Array.isArray(data) ? (data as readonly string[]) : null;
}
