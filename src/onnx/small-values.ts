import { Cursor, WireType, type ByteRange } from '../wire/fields.js';
import { decodeText } from '../wire/text.js';
import type { Node, OnnxModel, Tensor } from './records.js';
import { DataType, EntryField, TensorField } from './schema.js';

/** Decoders of the small values that featx looks into. */

/**
 * `metadata_props` of a node: the exporter's names for scopes and classes, only the wanted keys where some are given.
 * Entries too long to keep in memory are left out.
 * @throws ModelFormatError if an entry is not a message
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
      if (header >>> 3 === EntryField.key) key = part;
      else if (header >>> 3 === EntryField.value) value = part;
    }
  }
  return { key, value };
}

/** How the integer types are read from a view, and their bytes, by TensorProto.DataType. */
const INTEGER_READERS: ReadonlyMap<number, readonly [width: number, read: (view: DataView, at: number) => number]> =
  new Map([
    [DataType.uint8, [1, (view, at) => view.getUint8(at)]],
    [DataType.int8, [1, (view, at) => view.getInt8(at)]],
    [DataType.uint16, [2, (view, at) => view.getUint16(at, true)]],
    [DataType.int16, [2, (view, at) => view.getInt16(at, true)]],
    [DataType.int32, [4, (view, at) => view.getInt32(at, true)]],
    [DataType.int64, [8, (view, at) => Number(view.getBigInt64(at, true))]],
  ]);

/**
 * The values of a small integer tensor (8 to 64 bits, inline), or null if it is neither small, inline, nor of
 * integers.
 * @throws ModelFormatError if its bytes are not a list of integers
 */
export function smallIntegers(model: OnnxModel, tensor: Tensor): readonly number[] | null {
  const { dataType, payloads, external } = tensor;
  const integer = INTEGER_READERS.get(dataType);
  if (external !== null || integer === undefined) return null;
  const [width, read] = integer;
  const values: number[] = [];
  for (const payload of payloads) {
    const resident = model.resident(payload);
    if (resident === null) return null;
    if (payload.fieldNumber === TensorField.rawData) {
      const view = new DataView(resident.buffer, resident.byteOffset, resident.byteLength);
      for (let at = 0; at + width <= view.byteLength; at += width) values.push(read(view, at));
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

/** The values of a small tensor of integers or float32 that the file holds inline, or null. */
export function smallNumbers(model: OnnxModel, tensor: Tensor): readonly number[] | null {
  if (tensor.dataType !== DataType.float) return smallIntegers(model, tensor);
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
