import { Cursor, MAX_FIELD_HEADER, WireType, type ByteRange, type Field } from '../wire/fields.js';
import type { OnnxModel } from './records.js';
import { NodeField } from './schema.js';

/** Where the names of a node's inputs and outputs stand, in their order. */
export interface NameFields {
  readonly input: readonly Field[];
  readonly output: readonly Field[];
}

/** Finds the names in a NodeProto that was indexed; what was skipped inside it is stepped over. */
export function nameFields(model: OnnxModel, node: Field): NameFields {
  const input: Field[] = [];
  const output: Field[] = [];
  let openGroups = 0;
  for (let start = node.payload; start < node.end; ) {
    const { number, wireType, payload, end } = fieldAt(model, start, node.end);
    if (wireType === WireType.startGroup) openGroups++;
    else if (wireType === WireType.endGroup) openGroups--;
    else if (openGroups === 0 && wireType === WireType.bytes) {
      if (number === NodeField.input) input.push({ number, wireType, start, payload, end });
      if (number === NodeField.output) output.push({ number, wireType, start, payload, end });
    }
    start = end;
  }
  return { input, output };
}

/** The field that starts at a place of a message that was read before. */
function fieldAt(model: OnnxModel, start: number, limit: number): Field {
  const cursor = new Cursor();
  const { range, bytes } = headerAt(model, start, limit);
  cursor.bytes = bytes;
  cursor.base = start;
  cursor.position = start;
  const tag = cursor.tag(range.end);
  const wireType = (tag & 7) as WireType;
  const number = tag >>> 3;
  let payload = cursor.position;
  let end = payload;
  if (wireType === WireType.varint) {
    cursor.varint64(range.end);
    end = cursor.position;
  } else if (wireType === WireType.bytes) {
    const length = cursor.length(limit);
    payload = cursor.position;
    end = payload + length;
  } else if (wireType === WireType.fixed32) end += 4;
  else if (wireType === WireType.fixed64) end += 8;
  return { number, wireType, start, payload, end };
}

/** As much of a field's head as is in memory: a payload that was skipped may begin inside the longest head. */
function headerAt(
  model: OnnxModel,
  start: number,
  limit: number,
): { readonly range: ByteRange; readonly bytes: Uint8Array } {
  for (let end = Math.min(limit, start + MAX_FIELD_HEADER); ; end--) {
    const range = { start, end };
    const bytes = model.resident(range);
    if (bytes !== null) return { range, bytes };
  }
}
