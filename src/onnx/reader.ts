import { ModelFormatError, PolicyError } from '../errors.js';
import { Cursor, MAX_FIELD_HEADER, WireType, type ByteRange, type Field } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';
import { NameTable } from '../wire/name-table.js';
import { ResidentWindow } from '../wire/window.js';
import { raiseHint, type ReadLimits } from './limits.js';
import { LONGEST_MEMO, ValueMemo, type Memo } from './memo.js';
import type { FieldRule, MessageRule, ReadContext } from './message-rules.js';
import { PlainWindow } from './plain-window.js';
import { MESSAGE_BYTES, NUMBER_BYTES, RANGE_BYTES, TEXT_BYTES } from './charges.js';
import { repeatsText, type Repeats } from './repeats.js';
import { setText, type TextRule } from './text-rule.js';
import { enclosingOf, framePath, innerFrame, type InnerFrame, type IntRule, type ReaderFrame } from './reader-frame.js';

/** Longer payloads are stepped over with a seek unless a field is declared to be kept. */
const LONGEST_RESIDENT_PAYLOAD = 4 * 1024;
const LONGEST_KEPT_PAYLOAD = 1024 * 1024;

/** Longer strings are copies each. */
const LONGEST_SHARED_TEXT = 256;
/** The longest string whose length is one byte. */
const LONGEST_SHORT_TEXT = 127;

/** Fills `record` by `rule` from the whole of `source`, in one pass of windowed reads, without recursion. */
export async function readMessage<B extends object>(
  source: ByteSource,
  rule: MessageRule<B>,
  record: B,
  limits: ReadLimits,
  warn: (message: string) => void,
): Promise<ResidentWindow> {
  const reader = new MessageReader(source, rule as unknown as MessageRule<object>, record, limits);
  for (let missing = reader.advance(); missing !== null; missing = reader.advance()) await reader.load(missing);
  if (reader.repeats !== null) warn(repeatsText(reader.repeats));
  return reader.window;
}

/** What a step of the reader still lacks: the file offset up to which it needs bytes; `DONE` where it lacks nothing. */
type Missing = number;
const DONE: Missing = 0;

/**
 * Reads synchronously inside the window; a step that lacks bytes leaves no trace and is taken again once they are
 * there.
 */
class MessageReader {
  readonly window: ResidentWindow;
  repeats: Repeats | null = null;
  private readonly cursor: Cursor;
  private readonly names = new NameTable();
  private readonly values = new ValueMemo();
  private readonly plain: PlainWindow;
  private readonly context: ReadContext;
  private frame: ReaderFrame;
  /** Unknown groups that are open, outermost first: the number and the tag's offset of each. */
  private readonly groups: { readonly number: number; readonly start: number; readonly payload: number }[] = [];

  constructor(
    private readonly source: ByteSource,
    rule: MessageRule<object>,
    record: object,
    private readonly limits: ReadLimits,
  ) {
    this.window = new ResidentWindow(source, limits.indexBytes);
    const { nameBytes } = limits;
    this.plain = new PlainWindow(this.names, this.values, Math.min(LONGEST_SHORT_TEXT, nameBytes));
    this.cursor = new Cursor((code, message, offset) => this.failure(code, message, offset));
    this.frame = {
      rule,
      record,
      end: source.size,
      depth: 0,
      parent: null,
      label: '',
      index: null,
      path: null,
      enclosing: null,
      memo: null,
      seen: 0,
      run: null,
    };
    this.context = {
      path: () => framePath(this.frame),
      enclosing: () => enclosingOf(this.frame),
      names: this.names,
      limits,
      sourcePath: source.path,
    };
  }

  async load({ start, end }: ByteRange): Promise<void> {
    await this.window.load(start, end);
    this.cursor.bytes = this.window.bytes;
    this.cursor.base = this.window.start;
  }

  /** Reads on to the end of the window; returns the bytes it needs next, or null at the end of the file. */
  advance(): ByteRange | null {
    const { cursor, window, groups } = this;
    for (;;) {
      const { frame } = this;
      const start = cursor.position;
      if (start >= frame.end) {
        const open = groups.at(-1);
        if (open !== undefined)
          throw this.failure('FEATX_WIRE_GROUP', `group ${open.number} is not closed`, open.start);
        if (frame.parent === null) return null;
        this.frame = frame.parent;
        if (frame.memo !== null) this.remember(frame, frame.memo);
        continue;
      }
      const headerEnd = Math.min(frame.end, start + MAX_FIELD_HEADER);
      const missing = window.has(start, headerEnd) ? this.step(frame, start) : headerEnd;
      if (missing === DONE) continue;
      cursor.position = start;
      return { start, end: missing };
    }
  }

  /** Reads one field, or the tag that opens or closes a group. */
  private step(frame: ReaderFrame, start: number): Missing {
    const { cursor, groups } = this;
    if (frame.run !== null) return this.takeRun(frame, frame.run);
    if (groups.length === 0 && this.takeShortTexts(frame)) return DONE;
    const tag = cursor.tag(frame.end);
    const number = tag >>> 3;
    const wireType = (tag & 7) as WireType;
    if (wireType === WireType.startGroup) {
      if (frame.depth + groups.length >= this.limits.depth) throw this.tooDeep(start);
      groups.push({ number, start, payload: cursor.position });
      return DONE;
    }
    if (wireType === WireType.endGroup) return this.closeGroup(frame, number, start);
    let payload = cursor.position;
    if (wireType === WireType.varint) cursor.varint64(frame.end);
    else if (wireType === WireType.bytes) {
      const length = cursor.length(frame.end);
      payload = cursor.position;
      cursor.position += length;
    } else {
      cursor.position += wireType === WireType.fixed32 ? 4 : 8;
      if (cursor.position > frame.end) throw this.failure('FEATX_WIRE_TRUNCATED', `field ${number} is cut off`, start);
    }
    const end = cursor.position;
    const field: Field = { number, wireType, start, payload, end };
    if (groups.length > 0) return this.skip(field);
    const rule = frame.rule.fields[number];
    const missing = rule === undefined ? this.skip(field) : this.take(frame, rule, field);
    if (missing === DONE) frame.rule.each?.(frame.record, field);
    return missing;
  }

  private closeGroup(frame: ReaderFrame, number: number, start: number): Missing {
    const open = this.groups.pop();
    if (open?.number !== number)
      throw this.failure('FEATX_WIRE_GROUP', `group ${number} is closed but not open`, start);
    if (this.groups.length === 0)
      frame.rule.each?.(frame.record, {
        number,
        wireType: WireType.startGroup,
        start: open.start,
        payload: open.payload,
        end: this.cursor.position,
      });
    return DONE;
  }

  private skip({ payload, end }: Field): Missing {
    this.window.charge(RANGE_BYTES);
    if (end > this.window.end) this.window.trim(payload);
    return DONE;
  }

  /** Hands the value of a field to its rule; a field of another wire type than the schema's counts as unknown. */
  private take(frame: ReaderFrame, rule: FieldRule<object>, field: Field): Missing {
    const { wireType } = field;
    if (rule.kind === 'message') return wireType === WireType.bytes ? this.enter(frame, rule, field) : this.skip(field);
    if (rule.kind === 'int') {
      if (wireType === WireType.varint) this.takeInt(frame, rule, field);
      return wireType === WireType.bytes && rule.list ? this.takePackedInts(frame, rule, field) : DONE;
    }
    if (rule.kind === 'float')
      return wireType === WireType.fixed32 || (wireType === WireType.bytes && rule.list)
        ? this.takeFloats(frame, rule, field)
        : DONE;
    if (rule.kind === 'range')
      return wireType === WireType.bytes || wireType === rule.scalar ? this.takeRange(frame, rule, field) : DONE;
    return wireType === WireType.bytes ? this.takeText(frame, rule, field) : DONE;
  }

  private enter(frame: ReaderFrame, rule: FieldRule<object> & { kind: 'message' }, field: Field): Missing {
    if (frame.depth >= this.limits.depth) throw this.tooDeep(field.start);
    const memo =
      rule.memo !== undefined && this.isMemorable(field) && rule.memo.get(frame.record) === null ? rule.memo : null;
    if (memo !== null && this.recall(frame, memo, field)) return DONE;
    const entered = rule.enter(frame.record, field, this.context);
    const { rule: inner, record } = entered;
    this.window.charge(inner.bytes ?? MESSAGE_BYTES);
    const { plain } = this;
    plain.begin(this.window, field, frame.depth + 1);
    if (inner.plain !== undefined) {
      inner.plain(record as never, plain);
      this.window.charge(plain.charged);
      // The cursor stands behind the field.
      if (plain.position === field.end) return DONE;
    }
    this.frame = innerFrame(frame, entered, field, memo, plain.seen);
    this.cursor.position = plain.position;
    return DONE;
  }

  private isMemorable({ payload, end }: Field): boolean {
    return end - payload <= LONGEST_MEMO && this.window.has(payload, end);
  }

  private recall(frame: ReaderFrame, memo: Memo<object>, { payload, end }: Field): boolean {
    const { window } = this;
    const value = this.values.find(memo, window.bytes, payload - window.start, end - window.start, frame.depth);
    if (value !== null) memo.set(frame.record, value);
    return value !== null;
  }

  private remember({ parent, field }: InnerFrame, memo: Memo<object>): void {
    const { window } = this;
    const value = memo.get(parent.record);
    if (value === null) return;
    this.values.keep(memo, window.bytes, field.payload - window.start, field.end - window.start, parent.depth, value);
  }

  /** Notes a singular field that has been read, and that it was read before. */
  private note(frame: ReaderFrame, number: number, start: number): void {
    const bit = 1 << number;
    if ((frame.seen & bit) === 0) frame.seen |= bit;
    else if (this.repeats === null)
      this.repeats = { count: 1, first: `field ${number} of ${framePath(frame) || 'the model'} (byte ${start})` };
    else this.repeats.count++;
  }

  private takeInt(frame: ReaderFrame, rule: IntRule, field: Field): void {
    if (!rule.list) this.note(frame, field.number, field.start);
    this.window.charge(NUMBER_BYTES);
    rule.set(frame.record, this.cursor.int64(), field);
  }

  private takePackedInts(frame: ReaderFrame, rule: IntRule, field: Field): Missing {
    const { cursor } = this;
    const { payload, end } = field;
    if (end - payload > LONGEST_KEPT_PAYLOAD) {
      this.frame = {
        ...frame,
        end,
        field,
        parent: frame,
        path: framePath(frame),
        enclosing: enclosingOf(frame),
        memo: null,
        seen: 0,
        run: { rule, field },
      };
      cursor.position = payload;
      return DONE;
    }
    if (!this.window.has(payload, end)) return end;
    this.window.charge((end - payload) * NUMBER_BYTES);
    cursor.position = payload;
    while (cursor.position < end) {
      cursor.varint64(end);
      rule.set(frame.record, cursor.int64(), field);
    }
    return DONE;
  }

  /** The numbers of a long run that the window holds. */
  private takeRun(
    { record, end }: ReaderFrame,
    { rule, field }: { readonly rule: IntRule; readonly field: Field },
  ): Missing {
    const { cursor, window } = this;
    do {
      cursor.varint64(end);
      window.charge(NUMBER_BYTES);
      rule.set(record, cursor.int64(), field);
    } while (cursor.position < end && window.has(cursor.position, Math.min(end, cursor.position + MAX_FIELD_HEADER)));
    return DONE;
  }

  private takeFloats(frame: ReaderFrame, rule: FieldRule<object> & { kind: 'float' }, field: Field): Missing {
    const { window } = this;
    const { start, payload, end } = field;
    if ((end - payload) % 4 !== 0)
      throw this.failure(
        'FEATX_WIRE_TRUNCATED',
        `a list of floats takes ${end - payload} bytes, not a multiple of 4`,
        start,
      );
    if (end - payload > LONGEST_KEPT_PAYLOAD) return this.skip(field);
    if (!window.has(payload, end)) return end;
    if (!rule.list) this.note(frame, field.number, field.start);
    window.charge((end - payload) * 2);
    const view = new DataView(window.bytes.buffer, window.bytes.byteOffset, window.bytes.byteLength);
    for (let at = payload; at < end; at += 4) rule.set(frame.record, view.getFloat32(at - window.start, true));
    return DONE;
  }

  /**
   * Takes the strings that come next as long as they are short and in the window, as most fields of nodes are. Whether
   * there were any.
   */
  private takeShortTexts(frame: ReaderFrame): boolean {
    const { cursor, window, names } = this;
    const { fields, each } = frame.rule;
    if (each !== undefined) return false;
    const { bytes, start: base } = window;
    const limit = Math.min(frame.end, window.end) - base;
    const longest = Math.min(LONGEST_SHORT_TEXT, this.limits.nameBytes);
    let at = cursor.position - base;
    let taken = 0;
    while (at + 2 <= limit) {
      const tag = bytes[at];
      const length = bytes[at + 1];
      const rule = (tag & 0x87) === WireType.bytes ? fields[tag >>> 3] : undefined;
      const end = at + 2 + length;
      if ((rule?.kind !== 'text' && rule?.kind !== 'name') || length > longest || end > limit) break;
      if (!rule.list) this.note(frame, tag >>> 3, base + at);
      taken++;
      setText(frame.record, rule, names, names.idOf(bytes, at + 2, end));
      at = end;
    }
    if (taken === 0) return false;
    window.charge(taken * TEXT_BYTES);
    cursor.position = base + at;
    return true;
  }

  private takeText(frame: ReaderFrame, rule: TextRule, field: Field): Missing {
    const { window, limits } = this;
    const { start, payload, end } = field;
    if (end - payload > limits.nameBytes) {
      if (rule.kind === 'value') return this.skip(field);
      throw new PolicyError(
        `a name in ${this.context.path() || 'the model'} takes ${end - payload} bytes, more than ${limits.nameBytes} (byte ${start})`,
        {
          code: 'FEATX_LIMIT_NAME',
          offset: start,
          path: this.source.path,
          hint: raiseHint('nameBytes'),
        },
      );
    }
    if (!window.has(payload, end)) return end;
    if (!rule.list) this.note(frame, field.number, field.start);
    window.charge(end - payload > LONGEST_SHARED_TEXT ? TEXT_BYTES + end - payload : TEXT_BYTES);
    const { names } = this;
    setText(frame.record, rule, names, names.idOf(window.bytes, payload - window.start, end - window.start));
    return DONE;
  }

  private takeRange(frame: ReaderFrame, rule: FieldRule<object> & { kind: 'range' }, field: Field): Missing {
    const { payload, end } = field;
    if (end - payload > (rule.kept ? LONGEST_KEPT_PAYLOAD : LONGEST_RESIDENT_PAYLOAD)) this.skip(field);
    else if (!this.window.has(payload, end)) return end;
    if (!rule.list) this.note(frame, field.number, field.start);
    this.window.charge(RANGE_BYTES);
    rule.set(frame.record, field);
    return DONE;
  }

  private failure(code: string, message: string, offset: number): ModelFormatError {
    const field = this.context.path();
    const { path } = this.source;
    return new ModelFormatError(
      `${path ?? 'the model'} is not a valid ONNX file: ${message}${field && ` in ${field}`} (byte ${offset})`,
      {
        code,
        offset,
        field: field || undefined,
        path,
        hint: code === 'FEATX_WIRE_TRUNCATED' ? 'the file may not be whole: fetch or copy it again' : undefined,
      },
    );
  }

  private tooDeep(offset: number): PolicyError {
    const { depth } = this.limits;
    return new PolicyError(
      `messages are nested more than ${depth} deep in ${this.context.path().slice(0, 200) || this.source.path || 'the model'} (byte ${offset})`,
      {
        code: 'FEATX_WIRE_DEPTH',
        offset,
        path: this.source.path,
        hint: `protobuf readers stop at 100 too; ${raiseHint('depth')}`,
      },
    );
  }
}
