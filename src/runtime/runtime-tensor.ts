import type { TensorValue, TypedArray } from '../onnx/tensor-value.js';
import { RuntimeError } from '../errors.js';

type ArrayType = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => TypedArray;

/** The arrays that hold the values of each dtype. */
export const ARRAYS: ReadonlyMap<string, ArrayType> = new Map<string, ArrayType>([
  ['float32', Float32Array],
  ['float64', Float64Array],
  ['float16', Uint16Array],
  ['int8', Int8Array],
  ['int16', Int16Array],
  ['int32', Int32Array],
  ['int64', BigInt64Array],
  ['uint8', Uint8Array],
  ['uint16', Uint16Array],
  ['uint32', Uint32Array],
  ['uint64', BigUint64Array],
  ['bool', Uint8Array],
]);

/**
 * The data in the very array type that the runtime wants, in memory that is not shared; a copy only where it is
 * neither.
 */
export function hostData(dtype: string, data: TypedArray | readonly string[]): TypedArray | readonly string[] {
  if (!ArrayBuffer.isView(data)) return data;
  const ArrayOf = ARRAYS.get(dtype);
  if (ArrayOf === undefined)
    throw new RuntimeError(`ONNX Runtime's JavaScript API does not carry ${dtype}`, { code: 'FEATX_RUNTIME_TYPE' });
  if (data instanceof ArrayOf && data.buffer instanceof ArrayBuffer) return data;
  const width = new ArrayOf(new ArrayBuffer(0)).BYTES_PER_ELEMENT;
  if (data.buffer instanceof ArrayBuffer && data.byteOffset % width === 0)
    return new ArrayOf(data.buffer, data.byteOffset, data.byteLength / width);
  const bytes = new Uint8Array(data.byteLength);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return new ArrayOf(bytes.buffer);
}

/** A tensor between processes: all but its bytes, which are a payload; strings travel here. */
export interface TensorHead {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly strings: readonly string[] | null;
}

/** Tensors as heads and payloads, to be sent to another process. */
export function packTensors(tensors: ReadonlyMap<string, TensorValue>): {
  readonly heads: TensorHead[];
  readonly payloads: Uint8Array[];
} {
  const heads: TensorHead[] = [];
  const payloads: Uint8Array[] = [];
  for (const [name, { dtype, shape, data }] of tensors) {
    const isBytes = ArrayBuffer.isView(data);
    heads.push({ name, dtype, shape, strings: isBytes ? null : data });
    if (isBytes) payloads.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return { heads, payloads };
}

/** The tensors that were packed. */
export function unpackTensors(heads: readonly TensorHead[], payloads: readonly Uint8Array[]): Map<string, TensorValue> {
  const tensors = new Map<string, TensorValue>();
  let next = 0;
  for (const { name, dtype, shape, strings } of heads)
    tensors.set(name, { dtype, shape, data: strings ?? hostData(dtype, payloads[next++]) });
  return tensors;
}
