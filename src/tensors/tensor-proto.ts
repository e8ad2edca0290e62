import type { TensorValue } from '../onnx/tensor-value.js';
import { ModelFormatError, PolicyError, type FeatxError } from '../errors.js';
import type { TensorPayload } from '../onnx/records.js';
import { encodeTensorHead } from '../onnx/encode.js';
import { LARGEST_MESSAGE, TensorField } from '../onnx/schema.js';
import { indexTensor, type TensorFile } from '../onnx/tensor-file.js';
import { elementCount, dataTypeOf, dtypeWord } from '../onnx/types.js';
import { Cursor, WireType } from '../wire/fields.js';
import { concat } from '../wire/pieces.js';
import { BufferSource } from '../wire/source.js';
import { decodeText } from '../wire/text.js';
import { malformed, overLimit, unsupported, type Region } from './faults.js';
import type { ArraySpec, FileLayout } from './layout.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { byteLength, elementBits, tensorFromBytes } from './tensor.js';

/**
 * Head room over the values for the name, the documentation and the varints of typed fields (10 bytes for an int8 of
 * -1).
 */
const LONGEST_ENCODING = 10;

const FIELD_OF_DTYPE = new Map<string, number>([
  ['float32', TensorField.floatData],
  ['complex64', TensorField.floatData],
  ['int64', TensorField.int64Data],
  ['string', TensorField.stringData],
  ['float64', TensorField.doubleData],
  ['complex128', TensorField.doubleData],
  ['uint32', TensorField.uint64Data],
  ['uint64', TensorField.uint64Data],
]);

/** A tensor and its name. */
export interface NamedTensor {
  /** TensorProto.name, `''` where the file has none. */
  readonly name: string;
  readonly tensor: TensorValue;
}

/**
 * Reads a file that is one TensorProto.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError (external data, limits)
 */
export async function readTensorProto(
  { source, name, start, end }: Region,
  limits: TensorLimits = DEFAULT_TENSOR_LIMITS,
): Promise<NamedTensor> {
  const size = end - start;
  if (size > limits.arrayBytes * LONGEST_ENCODING)
    throw overLimit(name, `${size} bytes are over the limit for an array of ${limits.arrayBytes}`, 'arrayBytes');
  return decodeTensorProto(await source.read(start, end), name, limits);
}

/** Decodes a TensorProto. @throws ModelFormatError, UnsupportedModelError, PolicyError */
export async function decodeTensorProto(
  bytes: Uint8Array,
  path: string,
  limits: TensorLimits = DEFAULT_TENSOR_LIMITS,
): Promise<NamedTensor> {
  const { tensor, isExternal, isSegment } = await indexed(bytes, path);
  const { name, dims, dataType } = tensor;
  if (isSegment) throw unsupported(path, 'it is one segment of a tensor', 'join its segments first');
  if (isExternal)
    throw new PolicyError(`${path}: its values are in another file (external data)`, {
      code: 'FEATX_EXTERNAL_LOCATION',
      path,
      hint: 'save the tensor with its values inside',
    });
  const dtype = dtypeWord(dataType);
  if (dtype === null)
    throw malformed(
      path,
      dataType === 0 ? 'it is not a TensorProto: it has no data_type' : `TensorProto.data_type ${dataType} is unknown`,
    );
  if (dtype.startsWith('complex'))
    throw unsupported(path, `it holds ${dtype} values`, 'save the real and the imaginary part as tensors of their own');
  const count = elementCount(dims);
  if (count === null)
    throw malformed(path, `its dims [${dims.join(', ')}] are not sizes, or too many elements to count`);
  const size = byteLength(dtype, dims);
  if ((size ?? count) > limits.arrayBytes)
    throw overLimit(path, `an array of ${size ?? count} bytes is over the limit of ${limits.arrayBytes}`, 'arrayBytes');
  const { rawData } = TensorField;
  const payloads = tensor.payloads.filter(({ fieldNumber, start, end }) => fieldNumber === rawData || end > start);
  const filled = [...new Set(payloads.map(({ fieldNumber }) => fieldNumber))];
  if (filled.length > 1) throw malformed(path, 'it has values in more than one field');
  if (filled[0] === rawData) {
    const raw = bytes.subarray(payloads[0].start, payloads[0].end);
    if (size === null || raw.length !== size)
      throw malformed(
        path,
        `raw_data has ${raw.length} bytes, ${dtype} [${dims.join(', ')}] takes ${size ?? 'string_data'}`,
      );
    return { name, tensor: tensorFromBytes(dtype, dims, raw) };
  }
  const field = FIELD_OF_DTYPE.get(dtype) ?? TensorField.int32Data;
  if (filled.length === 1 && filled[0] !== field)
    throw malformed(path, `its values are in field ${filled[0]}, ${dtype} belongs in field ${field}`);
  return {
    name,
    tensor: typedTensor({
      dtype,
      shape: dims,
      payloads: payloads.flatMap((payload) => valuesOf(bytes, payload)),
      path,
    }),
  };
}

async function indexed(bytes: Uint8Array, path: string): Promise<TensorFile> {
  try {
    return await indexTensor(new BufferSource(bytes));
  } catch (error) {
    if (!(error instanceof ModelFormatError)) throw error;
    throw malformed(path, `it is not a TensorProto: ${error.message}`, error.offset);
  }
}

/** The bytes of typed values, without the tags of those that have one each. */
function valuesOf(bytes: Uint8Array, { start, end, contiguous }: TensorPayload): readonly Uint8Array[] {
  if (contiguous) return [bytes.subarray(start, end)];
  const values: Uint8Array[] = [];
  const cursor = new Cursor();
  cursor.bytes = bytes;
  cursor.position = start;
  while (cursor.position < end) {
    const wireType = cursor.tag(end) & 7;
    const length = wireType === WireType.bytes ? cursor.length(end) : wireType === WireType.fixed32 ? 4 : 8;
    const from = cursor.position;
    if (wireType === WireType.varint) cursor.varint64(end);
    else cursor.position += length;
    values.push(bytes.subarray(from, cursor.position));
  }
  return values;
}

interface TypedValues {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly payloads: readonly Uint8Array[];
  readonly path: string;
}

function typedTensor(typed: TypedValues): TensorValue {
  const { dtype, shape, payloads, path } = typed;
  const count = elementCount(shape) ?? 0;
  if (dtype === 'string') {
    if (payloads.length !== count)
      throw malformed(path, `string_data has ${payloads.length} values, [${shape.join(', ')}] takes ${count}`);
    return { dtype, shape, data: payloads.map((payload) => decodeText(payload)) };
  }
  if (dtype === 'float32' || dtype === 'float64') {
    const bytes = concat(payloads);
    if (bytes.length !== byteLength(dtype, shape))
      throw malformed(
        path,
        `it has ${bytes.length} bytes of ${dtype}, [${shape.join(', ')}] takes ${byteLength(dtype, shape)}`,
      );
    return tensorFromBytes(dtype, shape, bytes);
  }
  return varintTensor(typed);
}

/** Integers, and the bits of small floats, one varint each; types below 8 bits, one varint for each packed byte. */
function varintTensor({ dtype, shape, payloads, path }: TypedValues): TensorValue {
  const bits = elementBits(dtype) ?? 8;
  const expected = bits < 8 ? (byteLength(dtype, shape) ?? 0) : (elementCount(shape) ?? 0);
  const have = payloads.reduce((sum, payload) => sum + countVarints(payload), 0);
  if (have !== expected)
    throw malformed(path, `it has ${have} values, ${dtype} [${shape.join(', ')}] takes ${expected}`);
  const width = Math.max(1, bits / 8);
  const bytes = new Uint8Array(expected * width);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const payload of payloads) {
    const cursor = new Cursor((_code, message): FeatxError => malformed(path, `its values cannot be read: ${message}`));
    cursor.bytes = payload;
    for (; cursor.position < payload.length; at += width) {
      cursor.varint64(payload.length);
      if (width === 1) view.setUint8(at, cursor.low & 0xff);
      else if (width === 2) view.setUint16(at, cursor.low & 0xffff, true);
      else view.setUint32(at, cursor.low, true);
      if (width === 8) view.setUint32(at + 4, cursor.high, true);
    }
  }
  return tensorFromBytes(dtype, shape, bytes);
}

function countVarints(payload: Uint8Array): number {
  let count = 0;
  for (const byte of payload) if (byte < 0x80) count++;
  return count;
}

/** A file that is one TensorProto with `raw_data`. @throws UnsupportedModelError above protobuf's 2 GiB */
export function tensorProtoLayout(array: ArraySpec): FileLayout {
  const bytes = byteLength(array.dtype, array.shape);
  if (bytes === null)
    throw unsupported(array.key, `a tensor of ${array.dtype} has no raw values`, 'write numeric features');
  const head = encodeTensorHead(array.key, array.shape, dataTypeOf(array.dtype), bytes);
  if (head.length + bytes > LARGEST_MESSAGE)
    throw unsupported(array.key, `${bytes} bytes do not fit a TensorProto (2 GiB)`, 'write .safetensors or .npz');
  return {
    size: head.length + bytes,
    offsets: [head.length],
    checksumSeeds: null,
    frame: () => [{ position: 0, bytes: head }],
  };
}
