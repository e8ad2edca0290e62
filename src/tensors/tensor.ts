import type { TensorData, TensorValue, TypedArray } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { bitsOf, byteLength as bytesOf, dataTypeOf, elementCount } from '../onnx/types.js';

type ArrayConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;

const CONSTRUCTORS = new Map<string, ArrayConstructor>([
  ['float32', Float32Array],
  ['float64', Float64Array],
  ['int8', Int8Array],
  ['int16', Int16Array],
  ['int32', Int32Array],
  ['int64', BigInt64Array],
  ['uint16', Uint16Array],
  ['uint32', Uint32Array],
  ['uint64', BigUint64Array],
  ['float16', Uint16Array],
  ['bfloat16', Uint16Array],
]);

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Bits of one element; null for strings and unknown words. */
export function elementBits(dtype: string): number | null {
  return bitsOf(dataTypeOf(dtype));
}

/** Bytes of the values of a shape; null if they have no fixed size, or their number is not a safe integer. */
export function byteLength(dtype: string, shape: readonly number[]): number | null {
  return bytesOf(dataTypeOf(dtype), shape);
}

/**
 * A tensor over `bytes`, without a copy where they are aligned and in the host's byte order. Exactly as many bytes as
 * the shape needs.
 */
export function tensorFromBytes(
  dtype: string,
  shape: readonly number[],
  bytes: Uint8Array,
  littleEndian = true,
): TensorValue {
  const needed = byteLength(dtype, shape);
  if (needed !== bytes.length)
    throw new UsageError(
      `a ${dtype} tensor of shape [${shape.join(', ')}] takes ${needed ?? 'no fixed number of'} bytes, not ${bytes.length}`,
    );
  const width = (elementBits(dtype) ?? 8) / 8;
  const foreign = width > 1 && littleEndian !== HOST_IS_LITTLE_ENDIAN;
  const Constructor = CONSTRUCTORS.get(dtype);
  // `slice` of a Buffer would be a view.
  const own =
    foreign || bytes.byteOffset % width !== 0
      ? Uint8Array.from(bytes)
      : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  if (Constructor === undefined) return { dtype, shape, data: own };
  if (foreign) swapBytes(own, width);
  return { dtype, shape, data: new Constructor(own.buffer, own.byteOffset, own.length / width) };
}

/** The values as little-endian bytes: a view where the host is little-endian. @throws UsageError for strings */
export function valueBytes({ dtype, data }: TensorValue): Uint8Array {
  if (!ArrayBuffer.isView(data))
    throw new UsageError('a tensor of strings has no bytes of fixed size', { hint: 'write it as .pb' });
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const width = (elementBits(dtype) ?? 8) / 8;
  if (HOST_IS_LITTLE_ENDIAN || width <= 1) return bytes;
  const swapped = bytes.slice();
  swapBytes(swapped, width);
  return swapped;
}

/** Whether data are strings. */
export function isStrings(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

function swapBytes(bytes: Uint8Array, width: number): void {
  for (let at = 0; at + width <= bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

/** A tensor of zeros (empty strings for `string`). */
export function emptyTensor(dtype: string, shape: readonly number[]): TensorValue {
  if (dtype === 'string') return { dtype, shape, data: Array.from({ length: elementCount(shape) ?? 0 }, () => '') };
  const size = byteLength(dtype, shape);
  if (size === null) throw new UsageError(`a ${dtype} tensor of shape [${shape.join(', ')}] cannot be made`);
  return tensorFromBytes(dtype, shape, new Uint8Array(size), HOST_IS_LITTLE_ENDIAN);
}

/** Elements of one entry along axis 0. */
function rowElements(shape: readonly number[]): number {
  return elementCount(shape.slice(1)) ?? 0;
}

/**
 * Entries `[start, end)` along axis 0, a view.
 * @throws UsageError where the tensor is a scalar or packs several elements in a byte
 */
export function takeRows(tensor: TensorValue, start: number, end: number): TensorValue {
  const { dtype, shape, data } = tensor;
  if (shape.length === 0) throw new UsageError('a scalar has no axis 0');
  if (start === 0 && end === shape[0]) return tensor;
  if ((elementBits(dtype) ?? 8) < 8)
    throw new UsageError(`a tensor of ${dtype} is packed and cannot be split along axis 0`);
  const width = rowElements(shape);
  return {
    dtype,
    shape: [end - start, ...shape.slice(1)],
    data: Array.isArray(data) ? data.slice(start * width, end * width) : subarray(data, start * width, end * width),
  };
}

function subarray(data: TensorData, start: number, end: number): TensorData {
  return 'subarray' in data ? data.subarray(start, end) : data.slice(start, end);
}

/** Where memory for values comes from. */
export interface ValueMemory {
  /** `length` bytes with any content, at the beginning of a buffer. */
  take(length: number): Uint8Array<ArrayBuffer>;
  /** Takes memory back that nobody uses any more. */
  give(values: ArrayBufferView): void;
}

/** Joins tensors along axis 0. Their dtypes and other dims are equal. */
export function stackRows(tensors: readonly TensorValue[], memory?: ValueMemory): TensorValue {
  const [first] = tensors;
  if (first === undefined) throw new UsageError('there is nothing to stack');
  if (tensors.length === 1) return first;
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0);
  const shape = [rows, ...first.shape.slice(1)];
  if (first.dtype === 'string')
    return {
      dtype: first.dtype,
      shape,
      data: tensors.flatMap(({ data }) => (Array.isArray(data) ? (data as readonly string[]) : [])),
    };
  const size = byteLength(first.dtype, shape);
  const whole =
    memory === undefined || size === null
      ? emptyTensor(first.dtype, shape)
      : tensorFromBytes(first.dtype, shape, memory.take(size), HOST_IS_LITTLE_ENDIAN);
  const bytes = rawBytes(whole);
  let at = 0;
  for (const tensor of tensors) {
    const part = rawBytes(tensor);
    bytes.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Adds entries along axis 0, copies of the last one, up to `rows`. */
export function padRows(tensor: TensorValue, rows: number): TensorValue {
  const have = tensor.shape[0];
  if (have >= rows) return tensor;
  const last = takeRows(tensor, have - 1, have);
  return stackRows([tensor, ...Array.from({ length: rows - have }, () => last)]);
}

function rawBytes({ data }: TensorValue): Uint8Array {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(0);
}

/** Shape and dtype for messages: `float32 [2, 3, 224, 224]`. */
export function describe({
  dtype,
  shape,
}: {
  readonly dtype: string;
  readonly shape: readonly (number | string | null)[];
}): string {
  return `${dtype} [${shape.map((dim) => dim ?? '?').join(', ')}]`;
}
