import { joinAll, varint } from './wire-writer.js';

/**
 * A reference for what protobuf says a model is, by plain recursion: parses the fields that featx reads, by protobuf's
 * rules, and writes them again so plainly that `onnx-proto` cannot misread them. It shares nothing with `src/wire` and
 * `src/onnx`.
 * @see https://protobuf.dev/programming-guides/encoding
 */

/** The bytes are no valid message. */
export class Malformed extends Error {}
/** Nobody reads the bytes in question before they are used: a packed list of weights that is none. */
export class Unread extends Error {}

type Kind = 'varint' | 'int32' | 'fixed32' | 'fixed64' | 'bytes' | 'text';
interface FieldSchema {
  readonly kind: Kind | (() => MessageSchema);
  readonly list: boolean;
  /** Weights: featx notes where they are. */
  readonly weights: boolean;
  /**
   * The last value of a closed enumeration; others are unknown fields.
   * @see https://protobuf.dev/programming-guides/enum
   */
  readonly most?: number;
}
interface MessageSchema {
  readonly fields: { readonly [number: number]: FieldSchema };
  /** Members of which the last one counts. */
  readonly oneof: ReadonlySet<number>;
}

const one = (kind: FieldSchema['kind']): FieldSchema => ({ kind, list: false, weights: false });
const list = (kind: FieldSchema['kind']): FieldSchema => ({ kind, list: true, weights: false });
const closed = (most: number): FieldSchema => ({ kind: 'varint', list: false, weights: false, most });
const weights = (kind: Kind): FieldSchema => ({ kind, list: true, weights: true });
const schema = (fields: MessageSchema['fields'], oneof: readonly number[] = []): MessageSchema => ({
  fields,
  oneof: new Set(oneof),
});

const entry = schema({ 1: one('text'), 2: one('text') });
const opset = schema({ 1: one('text'), 2: one('varint') });
const tensor = schema({
  1: list('varint'),
  2: one('int32'),
  4: weights('fixed32'),
  5: weights('int32'),
  6: list('bytes'),
  7: weights('varint'),
  8: one('text'),
  9: one('bytes'),
  10: weights('fixed64'),
  11: weights('varint'),
  13: list(() => entry),
  14: closed(1),
});
const sparse = schema({ 1: one(() => tensor), 2: one(() => tensor), 3: list('varint') });
const dim = schema({ 1: one('varint'), 2: one('text') }, [1, 2]);
const shape = schema({ 1: list(() => dim) });
const tensorType = schema({ 1: one('int32'), 2: one(() => shape) });
const elementType: MessageSchema = schema({ 1: one(() => type) });
const mapType: MessageSchema = schema({ 1: one('int32'), 2: one(() => type) });
const type: MessageSchema = schema(
  {
    1: one(() => tensorType),
    4: one(() => elementType),
    5: one(() => mapType),
    7: one(() => schema({})),
    8: one(() => tensorType),
    9: one(() => elementType),
  },
  [1, 4, 5, 7, 8, 9],
);
const valueInfo = schema({ 1: one('text'), 2: one(() => type) });
const annotation = schema({ 1: one('text'), 2: list(() => entry) });
const attribute: MessageSchema = schema({
  1: one('text'),
  2: one('fixed32'),
  3: one('varint'),
  4: one('bytes'),
  5: one(() => tensor),
  6: one(() => graph),
  7: list('fixed32'),
  8: list('varint'),
  9: list('bytes'),
  10: list(() => tensor),
  11: list(() => graph),
  20: closed(14),
  21: one('text'),
  22: one(() => sparse),
  23: list(() => sparse),
});
const node = schema({
  1: list('text'),
  2: list('text'),
  3: one('text'),
  4: one('text'),
  5: list(() => attribute),
  7: one('text'),
  8: one('text'),
});
const graph: MessageSchema = schema({
  1: list(() => node),
  2: one('text'),
  5: list(() => tensor),
  11: list(() => valueInfo),
  12: list(() => valueInfo),
  13: list(() => valueInfo),
  14: list(() => annotation),
  15: list(() => sparse),
});
const definition = schema({
  1: one('text'),
  4: list('text'),
  5: list('text'),
  7: list(() => node),
  10: one('text'),
  11: list(() => attribute),
  12: list(() => valueInfo),
  13: one('text'),
});
const training = schema({ 1: one(() => graph), 2: one(() => graph) });
const model = schema({
  1: one('varint'),
  2: one('text'),
  3: one('text'),
  7: one(() => graph),
  8: list(() => opset),
  14: list(() => entry),
  20: list(() => training),
  25: list(() => definition),
});

const WIRE: { readonly [kind in Kind]: number } = { varint: 0, int32: 0, fixed64: 1, bytes: 2, text: 2, fixed32: 5 };

export interface CanonicalOptions {
  /** A wrong reader for controls: lengths past the end of the message are cut to fit. */
  readonly clampLengths?: boolean;
}

/** A field as it stands in the file. */
export interface RawFieldAt {
  /** Offset of the tag, of the length or value, of the payload, and of the next field. */
  readonly start: number;
  readonly value: number;
  readonly payload: number;
  readonly end: number;
}

class Parser {
  at: number;

  constructor(
    private readonly file: Uint8Array,
    from: number,
    private readonly end: number,
    private readonly options: CanonicalOptions,
  ) {
    this.at = from;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** Bytes of a varint of at most 64 bits. */
  varint(most = 10): Uint8Array {
    const start = this.at;
    for (let count = 1; ; count++) {
      if (this.at >= this.end || count > most) throw new Malformed('varint');
      const byte = this.file[this.at++];
      if (count === 10 && byte > 1) throw new Malformed('varint over 64 bits');
      if (byte < 128) return this.file.subarray(start, this.at);
    }
  }

  number(most?: number): number {
    let value = 0;
    for (const byte of this.varint(most).toReversed()) value = value * 128 + (byte & 127);
    return value;
  }

  take(length: number): Uint8Array {
    const fits = this.options.clampLengths ? Math.min(length, this.end - this.at) : length;
    if (fits > this.end - this.at) throw new Malformed('length');
    this.at += fits;
    return this.file.subarray(this.at - fits, this.at);
  }

  /**
   * The next field outside of any group: number, wire type, and its payload with where it starts; groups come as wire
   * type 3 and nothing.
   */
  next(): { readonly number: number; readonly wire: number; readonly payload: Uint8Array; readonly at: RawFieldAt } {
    const start = this.at;
    const tag = this.number(5);
    if (tag >= 2 ** 32) throw new Malformed('tag');
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    const value = this.at;
    if (number === 0 || wire > 5 || wire === 4) throw new Malformed('tag');
    if (wire === 3) {
      this.group(number);
      return { number, wire, payload: new Uint8Array(0), at: { start, value, payload: value, end: this.at } };
    }
    const length = wire === 2 ? this.number(5) : 0;
    const payloadAt = this.at;
    const payload =
      wire === 0 ? this.varint() : wire === 1 ? this.take(8) : wire === 5 ? this.take(4) : this.take(length);
    return { number, wire, payload, at: { start, value, payload: payloadAt, end: this.at } };
  }

  private group(number: number): void {
    for (const open = [number]; open.length > 0; ) {
      const start = this.at;
      const tag = this.number(5);
      if (tag % 8 === 4) {
        if (open.pop() !== Math.floor(tag / 8)) throw new Malformed('group');
      } else if (tag % 8 === 3) {
        if (tag < 8 || tag >= 2 ** 32) throw new Malformed('tag');
        open.push(Math.floor(tag / 8));
      } else {
        this.at = start;
        this.next();
      }
    }
  }
}

/** Numbers of a packed run, one payload each. @throws Malformed */
function unpacked(payload: Uint8Array, kind: Kind, options: CanonicalOptions): Uint8Array[] {
  const parser = new Parser(payload, 0, payload.length, options);
  const values: Uint8Array[] = [];
  while (!parser.done) values.push(WIRE[kind] === 0 ? parser.varint() : parser.take(kind === 'fixed32' ? 4 : 8));
  return values;
}

type Value = Uint8Array | Message;
type Message = Map<number, Value[]>;

function parse(file: Uint8Array, { fields, oneof }: MessageSchema, into: Message, options: CanonicalOptions): Message {
  const parser = new Parser(file, 0, file.length, options);
  while (!parser.done) {
    const { number, wire, payload } = parser.next();
    const field = fields[number];
    if (field === undefined) continue;
    const { kind } = field;
    const isPacked = wire === 2 && field.list && typeof kind === 'string' && WIRE[kind] !== 2;
    if (!isPacked && wire !== (typeof kind === 'string' ? WIRE[kind] : 2)) continue;
    if (field.most !== undefined && numberOf(payload) > field.most) continue;
    if (oneof.has(number)) for (const other of oneof) if (other !== number) into.delete(other);
    const before = into.get(number) ?? [];
    if (typeof kind === 'string') {
      into.set(
        number,
        field.list ? [...before, ...(isPacked ? packedValues(payload, field, kind, options) : [payload])] : [payload],
      );
      continue;
    }
    const existing = field.list ? undefined : before[0];
    const message = parse(payload, kind(), existing instanceof Map ? existing : new Map(), options);
    into.set(number, field.list ? [...before, message] : [message]);
  }
  return into;
}

function packedValues(payload: Uint8Array, field: FieldSchema, kind: Kind, options: CanonicalOptions): Uint8Array[] {
  try {
    return unpacked(payload, kind, options);
  } catch (error) {
    throw field.weights ? new Unread('weights') : error;
  }
}

/** The number of a varint, without a sign. */
function numberOf(value: Uint8Array): bigint {
  let number = 0n;
  for (const byte of value.toReversed()) number = (number << 7n) | BigInt(byte & 127);
  return number;
}

/**
 * A value as no decoder can misread it: varints without needless bytes, those of 32 bits cut to them, names in UTF-8.
 */
function plain(value: Uint8Array, kind: FieldSchema['kind']): Uint8Array {
  if (kind === 'text') return wellFormed(value);
  if (kind !== 'varint' && kind !== 'int32') return value;
  if (value.length === 1) return value;
  const number = numberOf(value);
  return varint(kind === 'int32' ? BigInt.asIntN(32, number) : number);
}

/** UTF-8 with U+FFFD for what is none: `onnx-proto` misreads the rest of such a name. */
function wellFormed(name: Uint8Array): Uint8Array {
  return name.every((byte) => byte < 128) ? name : Buffer.from(Buffer.from(name).toString('utf8'));
}

const SMALL_VARINTS = Array.from({ length: 128 }, (_, value) => Uint8Array.of(value));

function varintBytes(value: number): Uint8Array {
  if (value < 128) return SMALL_VARINTS[value];
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.of(...bytes, value);
}

function write(message: Message, { fields }: MessageSchema): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, values] of [...message].sort(([a], [b]) => a - b)) {
    const { kind } = fields[number];
    for (const value of values) {
      const payload =
        value instanceof Map ? write(value, typeof kind === 'string' ? schema({}) : kind()) : plain(value, kind);
      const wire = typeof kind === 'string' ? WIRE[kind] : 2;
      parts.push(varintBytes(number * 8 + wire), ...(wire === 2 ? [varintBytes(payload.length)] : []), payload);
    }
  }
  return joinAll(parts);
}

/** A model file in plain words. @throws Malformed, Unread */
export function canonicalModel(file: Uint8Array, options: CanonicalOptions = {}): Uint8Array {
  const message = parse(file, model, new Map(), options);
  if (!message.has(7)) throw new Malformed('no graph');
  return write(message, model);
}

/** Every field of a valid model file, at any depth of what featx reads, in file order. */
export function fieldsOf(file: Uint8Array): RawFieldAt[] {
  const found: RawFieldAt[] = [];
  const walk = (from: number, end: number, { fields }: MessageSchema): void => {
    const parser = new Parser(file, from, end, {});
    while (!parser.done) {
      const { number, wire, at } = parser.next();
      found.push(at);
      const kind = fields[number]?.kind;
      if (wire === 2 && typeof kind === 'function') walk(at.payload, at.end, kind());
    }
  };
  walk(0, file.length, model);
  return found;
}
