import { Cursor, WireType, type ByteRange } from '../wire/fields.js';
import { decodeText } from '../wire/text.js';
import type { Node, OnnxModel, Tensor } from './records.js';

/**
 * Field numbers, and decoders of the small values that featx looks into.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */

/** Numbers of the fields that featx writes or replaces. */
export const ModelField = { graph: 7, opsetImport: 8, metadataProps: 14, trainingInfo: 20, functions: 25 } as const;
/** Field numbers of GraphProto. */
export const GraphField = {
  node: 1,
  initializer: 5,
  input: 11,
  output: 12,
  valueInfo: 13,
  quantizationAnnotation: 14,
  sparseInitializer: 15,
} as const;
/** Fields of TensorProto. */
export const TensorField = {
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

/** TensorProto.DataType, as far as featx writes or looks for single ones; `types.ts` has the words for all of them. */
export const DataType = {
  float: 1,
  int32: 6,
  int64: 7,
  string: 8,
  float16: 10,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
} as const;

/** TensorProto.DataLocation.EXTERNAL */
export const EXTERNAL = 1;

/** The most bytes that protobuf reads in one message, and so in one model or one graph. */
export const LARGEST_MESSAGE = 2 ** 31 - 1;

/**
 * Values up to this size stay in the graph: shapes, axes, scales and pads, which ONNX Runtime's shape inference needs
 * at hand.
 * @see https://github.com/microsoft/onnxruntime/issues/26261
 */
export const INLINE_BYTES = 1024;

/** AttributeProto.AttributeType */
export const AttributeType = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7 } as const;

/**
 * `metadata_props` of a node: the exporter's names for scopes and classes, only the wanted keys where some are given.
 * Entries too long to keep in memory are left out.
 * @throws ModelFormatError where an entry is not a message
 */
export function nodeMetadata(
  model: OnnxModel,
  node: Node,
  wanted: ReadonlySet<string> | null = null,
): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const range of node.metadata) {
    const resident = model.resident(range);
    if (resident === null) continue;
    const { key, value } = entryRanges(resident, range);
    const name = textOf(resident, range, key);
    if (wanted === null || wanted.has(name)) entries.set(name, textOf(resident, range, value));
  }
  return entries;
}

function cursorOver(bytes: Uint8Array, start: number): Cursor {
  const cursor = new Cursor();
  cursor.bytes = bytes;
  cursor.base = start;
  cursor.position = start;
  return cursor;
}

function textOf(bytes: Uint8Array, range: ByteRange, part: ByteRange | null): string {
  return part === null ? '' : decodeText(bytes, part.start - range.start, part.end - range.start);
}

/** Where key and value of a StringStringEntryProto lie. */
function entryRanges(
  bytes: Uint8Array,
  { start, end }: ByteRange,
): { readonly key: ByteRange | null; readonly value: ByteRange | null } {
  const cursor = cursorOver(bytes, start);
  let key: ByteRange | null = null;
  let value: ByteRange | null = null;
  let openGroups = 0;
  while (cursor.position < end) {
    const header = cursor.tag(end);
    const wireType = header & 7;
    if (wireType === WireType.startGroup) openGroups++;
    else if (wireType === WireType.endGroup) openGroups--;
    else if (wireType === WireType.varint) cursor.varint64(end);
    else {
      const length = wireType === WireType.bytes ? cursor.length(end) : wireType === WireType.fixed32 ? 4 : 8;
      const part = { start: cursor.position, end: cursor.position + length };
      cursor.position = part.end;
      if (openGroups > 0 || wireType !== WireType.bytes) continue;
      if (header >>> 3 === 1) key = part;
      else if (header >>> 3 === 2) value = part;
    }
  }
  return { key, value };
}

/** Bytes of the integer types, by TensorProto.DataType. */
const INTEGER_WIDTHS: { readonly [dataType: number]: number } = { 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8 };

function integerAt(view: DataView, at: number, dataType: number): number {
  switch (dataType) {
    case 2:
      return view.getUint8(at);
    case 3:
      return view.getInt8(at);
    case 4:
      return view.getUint16(at, true);
    case 5:
      return view.getInt16(at, true);
    case 6:
      return view.getInt32(at, true);
    default:
      return Number(view.getBigInt64(at, true));
  }
}

/**
 * The values of a small integer tensor (8 to 64 bits, inline), or null where it is neither small, inline, nor of
 * integers.
 * @throws ModelFormatError where its bytes are not a list of integers
 */
export function smallIntegers(model: OnnxModel, tensor: Tensor): readonly number[] | null {
  const { dataType, payloads, external } = tensor;
  const width = INTEGER_WIDTHS[dataType];
  if (external !== null || width === undefined) return null;
  const values: number[] = [];
  for (const payload of payloads) {
    const resident = model.resident(payload);
    if (resident === null) return null;
    if (payload.fieldNumber === TensorField.rawData) {
      const view = new DataView(resident.buffer, resident.byteOffset, resident.byteLength);
      for (let at = 0; at + width <= view.byteLength; at += width) values.push(integerAt(view, at, dataType));
      continue;
    }
    const cursor = cursorOver(resident, payload.start);
    while (cursor.position < payload.end) {
      if (!payload.contiguous) cursor.tag(payload.end);
      cursor.varint64(payload.end);
      values.push(Number(cursor.int64()));
    }
  }
  return values;
}

const FLOAT = 1;

/** The values of a small tensor of integers or float32 that the file holds inline, or null. */
export function smallNumbers(model: OnnxModel, tensor: Tensor): readonly number[] | null {
  if (tensor.dataType !== FLOAT) return smallIntegers(model, tensor);
  if (tensor.external !== null) return null;
  const values: number[] = [];
  for (const payload of tensor.payloads) {
    const bytes = model.resident(payload);
    if (bytes === null || (payload.fieldNumber !== TensorField.rawData && !payload.contiguous)) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= view.byteLength; at += 4) values.push(view.getFloat32(at, true));
  }
  return values;
}
