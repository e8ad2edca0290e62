import { ModelFormatError, PolicyError } from '../errors.js';
import { Cursor, MAX_FIELD_HEADER, WireType, type ByteRange, type Field } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';
import { NameDecoder } from '../wire/text.js';
import { ResidentWindow } from '../wire/window.js';

/** Named limits of the reader; every one guards against a hostile file and has a flag. */
export interface ReadLimits {
  /** Messages inside messages: protobuf's own limit in C++, Java and Python. */
  readonly depth: number;
  /** Bytes of graph kept in memory. */
  readonly indexBytes: number;
  /** Bytes of one name. */
  readonly nameBytes: number;
}

export const DEFAULT_LIMITS: ReadLimits = { depth: 100, indexBytes: 512 * 1024 * 1024, nameBytes: 64 * 1024 };

/** Longer payloads are stepped over with a seek unless a field is declared to be kept. */
const LONGEST_RESIDENT_PAYLOAD = 4 * 1024;
const LONGEST_KEPT_PAYLOAD = 1024 * 1024;

/** What to do with a field of a message: `B` is the record under construction. */
export type FieldRule<B> =
  | { readonly kind: 'int'; set(record: B, value: number | bigint, field: Field): void }
  | { readonly kind: 'float'; set(record: B, value: number): void }
  /** A name; `value`: a string that is left in the file where it is longer than a name may be. */
  | { readonly kind: 'text' | 'value'; set(record: B, value: string, field: Field): void }
  /** Note where it is; `kept` stays in memory where it is not huge. `scalar`: the wire type of a single value, where the field is a list of numbers. */
  | { readonly kind: 'range'; readonly kept: boolean; readonly scalar?: WireType; set(record: B, field: Field): void }
  /** Note where it is and walk into it. */
  | { readonly kind: 'message'; enter(record: B, field: Field, context: ReadContext): Entered };

export interface MessageRule<B> {
  readonly fields: { readonly [number: number]: FieldRule<B> };
  /** Called for every field, known or not. */
  readonly each?: (record: B, field: Field) => void;
}

interface Entered {
  readonly rule: MessageRule<never>;
  readonly record: object;
  /** Element of the field path: the `node` of `node[12]`. */
  readonly label: string;
  /** Its place in a list: the 12. */
  readonly index: number | null;
}

/** Ties a record to the rule that fills it. */
export function entered<B extends object>(rule: MessageRule<B>, record: B, label: string, index: number | null = null): Entered {
  return { rule: rule as MessageRule<never>, record, label, index };
}

export interface ReadContext {
  /** Field path of the message being read. */
  path(): string;
  /** The length-delimited fields around the message being read, outermost first. */
  enclosing(): readonly Field[];
  readonly warn: (message: string) => void;
}

interface Frame {
  readonly rule: MessageRule<object>;
  readonly record: object;
  readonly end: number;
  readonly field: Field | null;
  readonly parent: Frame | null;
  readonly label: string;
  readonly index: number | null;
  /** What `pathOf` and `enclosingOf` found: the tensors of a graph share it. */
  path: string | null;
  enclosing: readonly Field[] | null;
}

function pathOf(frame: Frame): string {
  if (frame.path !== null) return frame.path;
  const own = frame.index === null ? frame.label : `${frame.label}[${frame.index}]`;
  const around = frame.parent === null ? '' : pathOf(frame.parent);
  return (frame.path = around === '' ? own : `${around}.${own}`);
}

function enclosingOf(frame: Frame): readonly Field[] {
  if (frame.enclosing !== null) return frame.enclosing;
  const around = frame.parent === null ? [] : enclosingOf(frame.parent);
  return (frame.enclosing = frame.field === null ? around : [...around, frame.field]);
}

/** Fills `record` by `rule` from the whole of `source`, in one pass of windowed reads, without recursion. */
export async function readMessage<B extends object>(source: ByteSource, rule: MessageRule<B>, record: B, limits: ReadLimits, warn: (message: string) => void): Promise<ResidentWindow> {
  const window = new ResidentWindow(source, limits.indexBytes);
  const frames: Frame[] = [
    { rule: rule as unknown as MessageRule<object>, record, end: source.size, field: null, parent: null, label: '', index: null, path: '', enclosing: [] },
  ];
  let frame = frames[0];
  const path = (): string => pathOf(frame);
  const fail = (code: string, message: string, offset: number): ModelFormatError =>
    new ModelFormatError(`${source.path ?? 'the model'} is not a valid ONNX file: ${message}${path() && ` in ${path()}`} (byte ${offset})`, { code, offset, field: path() || undefined, path: source.path });
  const tooDeep = (offset: number): PolicyError =>
    new PolicyError(`messages are nested more than ${limits.depth} deep in ${path().slice(0, 200)} (byte ${offset})`, {
      code: 'FEATX_WIRE_DEPTH', offset, path: source.path, hint: 'protobuf readers stop at 100 too; raise the limit with --max-depth N (limits.depth)',
    });
  const context: ReadContext = { path, warn, enclosing: () => enclosingOf(frame) };
  const names = new NameDecoder();
  const cursor = new Cursor(fail);
  const ensure = async (start: number, end: number): Promise<void> => {
    await window.load(start, end);
    cursor.bytes = window.bytes;
    cursor.base = window.start;
  };
  const skipGroup = async (number: number, start: number): Promise<void> => {
    const open = [number];
    while (open.length > 0) {
      if (frames.length + open.length > limits.depth) throw tooDeep(start);
      if (cursor.position >= frame.end) throw fail('FEATX_WIRE_GROUP', `group ${open.at(-1)} is not closed`, start);
      const headerEnd = Math.min(frame.end, cursor.position + MAX_FIELD_HEADER);
      if (!window.has(cursor.position, headerEnd)) await ensure(cursor.position, headerEnd);
      const at = cursor.position;
      const tag = cursor.tag(frame.end);
      const wireType = tag & 7;
      if (wireType === WireType.startGroup) open.push(tag >>> 3);
      else if (wireType === WireType.endGroup) {
        if (open.pop() !== tag >>> 3) throw fail('FEATX_WIRE_GROUP', `group ${tag >>> 3} is closed but not open`, at);
      } else if (wireType === WireType.varint) cursor.varint64(headerEnd);
      else cursor.position += sizeOfScalar(wireType) ?? cursor.length(frame.end);
      if (cursor.position > frame.end) throw fail('FEATX_WIRE_TRUNCATED', `field ${tag >>> 3} is cut off`, at);
    }
  };

  while (frames.length > 0) {
    frame = frames[frames.length - 1];
    const start = cursor.position;
    if (start >= frame.end) {
      frames.pop();
      continue;
    }
    const headerEnd = Math.min(frame.end, start + MAX_FIELD_HEADER);
    if (!window.has(start, headerEnd)) await ensure(start, headerEnd);
    const tag = cursor.tag(frame.end);
    const number = tag >>> 3;
    const wireType = (tag & 7) as WireType;
    let payload = cursor.position;
    let end: number;
    if (wireType === WireType.varint) {
      cursor.varint64(frame.end);
      end = cursor.position;
    } else if (wireType === WireType.bytes) {
      const length = cursor.length(frame.end);
      payload = cursor.position;
      end = payload + length;
    } else if (wireType === WireType.endGroup) {
      throw fail('FEATX_WIRE_GROUP', `group ${number} is closed but not open`, start);
    } else if (wireType === WireType.startGroup) {
      await skipGroup(number, start);
      end = cursor.position;
    } else {
      end = payload + (sizeOfScalar(wireType) ?? 0);
      if (end > frame.end) throw fail('FEATX_WIRE_TRUNCATED', `field ${number} is cut off`, start);
    }
    const field: Field = { number, wireType, start, payload, end };
    frame.rule.each?.(frame.record, field);
    const rule = frame.rule.fields[number];
    if (rule === undefined) {
      if (end > window.end) window.trim(payload);
      cursor.position = end;
      continue;
    }
    if (rule.kind === 'message') {
      cursor.position = end;
      if (wireType !== WireType.bytes) continue;
      if (frames.length > limits.depth) throw tooDeep(start);
      const child = rule.enter(frame.record, field, context);
      frames.push({ rule: child.rule as unknown as MessageRule<object>, record: child.record, end, field, parent: frame, label: child.label, index: child.index, path: null, enclosing: null });
      cursor.position = payload;
      continue;
    }
    if (rule.kind === 'int') {
      if (wireType === WireType.varint) rule.set(frame.record, cursor.int64(), field);
      else if (wireType === WireType.bytes && end - payload <= LONGEST_KEPT_PAYLOAD) {
        if (!window.has(payload, end)) await ensure(payload, end);
        while (cursor.position < end) {
          cursor.varint64(end);
          rule.set(frame.record, cursor.int64(), field);
        }
      }
    } else if (rule.kind === 'float') {
      if ((wireType === WireType.fixed32 || wireType === WireType.bytes) && end - payload <= LONGEST_KEPT_PAYLOAD) {
        if ((end - payload) % 4 !== 0) throw fail('FEATX_WIRE_TRUNCATED', `a list of floats takes ${end - payload} bytes, not a multiple of 4`, start);
        if (!window.has(payload, end)) await ensure(payload, end);
        const view = new DataView(window.bytes.buffer, window.bytes.byteOffset, window.bytes.byteLength);
        for (let at = payload; at < end; at += 4) rule.set(frame.record, view.getFloat32(at - window.start, true));
      }
    } else if (wireType === WireType.bytes && rule.kind !== 'range') {
      if (end - payload > limits.nameBytes && rule.kind === 'value') {
        if (end > window.end) window.trim(payload);
        cursor.position = end;
        continue;
      }
      if (end - payload > limits.nameBytes) {
        throw new PolicyError(`a name in ${path() || 'the model'} takes ${end - payload} bytes, more than ${limits.nameBytes} (byte ${start})`, {
          code: 'FEATX_LIMIT_NAME', offset: start, path: source.path, hint: 'raise the limit with --max-name BYTES (limits.nameBytes) if you trust this file',
        });
      }
      if (!window.has(payload, end)) await ensure(payload, end);
      rule.set(frame.record, names.decode(window.bytes, payload - window.start, end - window.start), field);
    } else if (rule.kind === 'range' && (wireType === WireType.bytes || wireType === rule.scalar)) {
      const longest = rule.kept ? LONGEST_KEPT_PAYLOAD : LONGEST_RESIDENT_PAYLOAD;
      if (!window.has(payload, end)) {
        if (end - payload <= longest) await ensure(start, end);
        else window.trim(payload);
      }
      rule.set(frame.record, field);
    }
    cursor.position = end;
  }
  return window;
}

function sizeOfScalar(wireType: number): number | null {
  return wireType === WireType.fixed32 ? 4 : wireType === WireType.fixed64 ? 8 : null;
}

/** Bytes of a message: the payloads of its occurrences, in order. */
export function payloadRanges(parts: readonly Field[]): ByteRange[] {
  return parts.map((part) => ({ start: part.payload, end: part.end }));
}
