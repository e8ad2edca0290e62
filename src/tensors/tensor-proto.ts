import { PolicyError, type FeatxError } from '../errors.js';
import { dataTypeOf, dtypeWord } from '../onnx/types.js';
import { Cursor, encodeHeader, encodeVarint, WireType } from '../wire/fields.js';
import { concat } from '../wire/pieces.js';
import { decodeText, encodeText } from '../wire/text.js';
import { malformed, overLimit, unsupported, type Region } from './faults.js';
import type { ArraySpec, FileLayout } from './layout.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { byteLength, elementBits, elementCount, tensorBytes, tensorFromBytes, type TensorValue } from './tensor.js';

/** Field numbers of TensorProto. @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
const TensorField = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;
const PACKABLE = new Set<number>([
  TensorField.floatData,
  TensorField.int32Data,
  TensorField.int64Data,
  TensorField.doubleData,
  TensorField.uint64Data,
]);

/** protobuf's own limit of a message. */
const LARGEST_MESSAGE = 2 ** 31 - 1;
const EXTERNAL = 1;
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

interface Draft {
  name: string;
  dims: number[];
  dataType: number;
  raw: Uint8Array | null;
  /** Typed values: field number, and the payloads of its occurrences. */
  readonly values: Map<number, Uint8Array[]>;
  external: boolean;
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
export function decodeTensorProto(
  bytes: Uint8Array,
  path: string,
  limits: TensorLimits = DEFAULT_TENSOR_LIMITS,
): NamedTensor {
  const { name, dims, dataType, raw, values, external } = readFields(bytes, path);
  if (external)
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
  const filled = [...values.keys()];
  if (filled.length + (raw === null ? 0 : 1) > 1) throw malformed(path, 'it has values in more than one field');
  if (raw !== null) {
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
  return { name, tensor: typedTensor({ dtype, shape: dims, payloads: values.get(field) ?? [], path }) };
}

function readFields(bytes: Uint8Array, path: string): Draft {
  const draft: Draft = { name: '', dims: [], dataType: 0, raw: null, values: new Map(), external: false };
  const cursor = new Cursor(
    (_code, message, offset): FeatxError => malformed(path, `it is not a TensorProto: ${message}`, offset),
  );
  cursor.bytes = bytes;
  while (cursor.position < bytes.length) {
    const at = cursor.position;
    const tag = cursor.tag(bytes.length);
    const [number, wireType] = [tag >>> 3, tag & 7];
    const from = cursor.position;
    if (wireType === WireType.bytes) {
      const length = cursor.length(bytes.length);
      const payload = bytes.subarray(cursor.position, cursor.position + length);
      cursor.position += length;
      lengthDelimited(draft, number, payload, path);
    } else if (wireType === WireType.varint) {
      cursor.varint64(bytes.length);
      if (number === TensorField.dims) draft.dims.push(Number(cursor.int64()));
      else if (number === TensorField.dataType) draft.dataType = cursor.int32();
      else if (number === TensorField.dataLocation) draft.external = cursor.int32() === EXTERNAL;
      else if (
        number === TensorField.int32Data ||
        number === TensorField.int64Data ||
        number === TensorField.uint64Data
      )
        append(draft, number, bytes.subarray(from, cursor.position));
    } else if (wireType === WireType.fixed32 || wireType === WireType.fixed64) {
      const width = wireType === WireType.fixed32 ? 4 : 8;
      if (from + width > bytes.length) throw malformed(path, 'it is not a TensorProto: a value is cut off', at);
      cursor.position = from + width;
      const holder = width === 4 ? TensorField.floatData : TensorField.doubleData;
      if (number === holder) append(draft, number, bytes.subarray(from, cursor.position));
    } else throw malformed(path, 'it is not a TensorProto: it has a group', at);
  }
  return draft;
}

function append(draft: Draft, number: number, payload: Uint8Array): void {
  const payloads = draft.values.get(number);
  if (payloads === undefined) draft.values.set(number, [payload]);
  else payloads.push(payload);
}

function lengthDelimited(draft: Draft, number: number, payload: Uint8Array, path: string): void {
  if (number === TensorField.dims) {
    const cursor = new Cursor((_code, message): FeatxError => malformed(path, `it is not a TensorProto: ${message}`));
    cursor.bytes = payload;
    while (cursor.position < payload.length) {
      cursor.varint64(payload.length);
      draft.dims.push(Number(cursor.int64()));
    }
  } else if (number === TensorField.name) draft.name = decodeText(payload);
  else if (number === TensorField.rawData) draft.raw = payload;
  else if (number === TensorField.segment)
    throw unsupported(path, 'it is one segment of a tensor', 'join its segments first');
  else if (number === TensorField.externalData) draft.external = true;
  else if (number === TensorField.stringData || (payload.length > 0 && PACKABLE.has(number)))
    append(draft, number, payload);
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

/** Everything of a TensorProto but its raw values, which come last. */
function tensorHead({ key, dtype, shape }: ArraySpec, rawBytes: number | null): Uint8Array {
  const dims = shape.flatMap((dim) => [encodeVarint(TensorField.dims * 8), encodeVarint(dim)]);
  const name = encodeText(key);
  const type = [encodeVarint(TensorField.dataType * 8), encodeVarint(dataTypeOf(dtype))];
  const raw = rawBytes === null ? [] : [encodeHeader(TensorField.rawData, rawBytes)];
  return concat([
    ...dims,
    ...type,
    ...(name.length === 0 ? [] : [encodeHeader(TensorField.name, name.length), name]),
    ...raw,
  ]);
}

/** A file that is one TensorProto with `raw_data`. @throws UnsupportedModelError above protobuf's 2 GiB */
export function tensorProtoLayout(array: ArraySpec): FileLayout {
  const bytes = byteLength(array.dtype, array.shape);
  if (bytes === null)
    throw unsupported(array.key, `a tensor of ${array.dtype} has no raw values`, 'write numeric features');
  const head = tensorHead(array, bytes);
  if (head.length + bytes > LARGEST_MESSAGE)
    throw unsupported(array.key, `${bytes} bytes do not fit a TensorProto (2 GiB)`, 'write .safetensors or .npz');
  return {
    size: head.length + bytes,
    offsets: [head.length],
    checksumSeeds: null,
    frame: () => [{ position: 0, bytes: head }],
  };
}

/** A TensorProto, with `raw_data`, or `string_data` for strings. */
export function encodeTensorProto({ dtype, shape, data }: TensorValue, name: string): Uint8Array {
  if (ArrayBuffer.isView(data)) {
    const raw = tensorBytes({ dtype, shape, data });
    return concat([tensorHead({ key: name, dtype, shape }, raw.length), raw]);
  }
  const strings = data
    .map((text) => encodeText(text))
    .flatMap((bytes) => [encodeHeader(TensorField.stringData, bytes.length), bytes]);
  const nameBytes = encodeText(name);
  return concat([
    tensorHead({ key: '', dtype, shape }, null),
    ...strings,
    ...(nameBytes.length === 0 ? [] : [encodeHeader(TensorField.name, nameBytes.length), nameBytes]),
  ]);
}
