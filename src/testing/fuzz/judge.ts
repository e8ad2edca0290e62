import { MODEL, type FieldType, type MessageType } from './schema.js';
import { branch, contentOf, joined, leaf, varintBytes, type Piece } from './tree.js';

/**
 * What protobuf's own rules make of bytes, written a second time: whether they are a message, and the same message in
 * the plainest form, which any decoder reads alike: occurrences merged, unknown fields left out, packed lists as they
 * are.
 * @see https://protobuf.dev/programming-guides/encoding
 */
export interface Verdict {
  /** Why it is no message; null where it is one. */
  readonly rejected: Rule | null;
  /** What a lenient decoder may see in another way. */
  readonly rules: ReadonlySet<Rule>;
  /** The message in its plainest form; null where it is none. */
  readonly plain: Uint8Array | null;
  readonly hasGraph: boolean;
  /** A dimension or a version that is no safe integer; the most dims of one tensor; bytes of the longest name. */
  readonly hugeDimension: boolean;
  readonly hugeVersion: boolean;
  readonly mostAxes: number;
  readonly longestName: number;
}

/** What decoders do in different ways, and why. */
export const RULES = {
  truncated: 'a field reaches beyond the file: nobody accepts that',
  clipped: 'a text that reaches beyond the file: protobufjs shortens it',
  'past-parent': 'a field reaches beyond its message: protobuf rejects it, protobufjs reads on',
  varint: 'a varint of more than 64 bits: protobufjs drops bits',
  'cut-varint': 'a varint that ends after three or four bytes: protobufjs 6 takes the file for its end',
  tag: 'a tag of more than 5 bytes or 32 bits: protobufjs reads it',
  'length-bytes': 'a length of more than 5 bytes: protobufjs reads it',
  'length-bits': 'a length of more than 32 bits: protobufjs 6 drops bits',
  'field-zero': 'field number 0: protobufjs skips it',
  'wire-type': 'wire types 6 and 7: protobufjs reads them where it knows the field',
  group:
    'groups: protobufjs does not ask whether they end as they began, and reads a group of a known number as that field',
  depth: 'more than 100 messages inside each other: protobufjs 6 does not count',
  packed: 'a packed list that ends inside a value: protobufjs reads on',
  'other-wire-type':
    'a known field with another wire type is an unknown field; protobufjs reads it as what the schema says',
  merged: 'occurrences of a message merge; protobufjs takes the last',
  oneof: 'of several members of a oneof the last counts; protobufjs keeps all',
  'long-int32': 'an int32 of 6 to 9 bytes: protobufjs 6 takes it for 10',
  'closed-enum': 'an unknown value of an enum is an unknown field in proto2; protobufjs takes it',
  unread:
    'what featx does not read is not checked: metadata of nodes and tensors, types in attributes, values of tensors',
} as const;

export type Rule = keyof typeof RULES;

const DEEPEST = 100;
const LONGEST_LENGTH = 5;

class Rejection extends Error {
  constructor(readonly rule: Rule) {
    super(rule);
  }
}

interface Message {
  readonly type: MessageType;
  readonly entries: Entry[];
}

interface Entry {
  readonly number: number;
  readonly field: FieldType;
  readonly wireType: number;
  readonly payload: Uint8Array;
  readonly message: Message | null;
}

/** Whether bytes are a model, by protobuf's rules. */
export function judge(bytes: Uint8Array): Verdict {
  const judgement = new Judgement(bytes);
  const { rules } = judgement;
  try {
    const message = judgement.read();
    return {
      ...judgement.facts,
      rejected: null,
      rules,
      plain: contentOf(plainPieces(message)),
      hasGraph: message.entries.some(({ number }) => number === 7),
    };
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    return { ...judgement.facts, rejected: error.rule, rules, plain: null, hasGraph: false };
  }
}

function plainPieces({ entries }: Message): readonly Piece[] {
  return entries.map(({ number, wireType, payload, message }) =>
    message === null ? leaf(number, wireType, payload) : branch(number, null, plainPieces(message)),
  );
}

/** Whether a number of JavaScript cannot hold an int64 exactly. */
function isHuge(value: bigint): boolean {
  const signed = BigInt.asIntN(64, value);
  return signed > 2n ** 53n - 1n || signed < -(2n ** 53n - 1n);
}

class Judgement {
  readonly rules = new Set<Rule>();
  readonly facts = { hugeDimension: false, hugeVersion: false, mostAxes: 0, longestName: 0 };
  private readonly axes = new Map<Message, number>();
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  read(): Message {
    const message: Message = { type: MODEL, entries: [] };
    this.fill(message, this.bytes.length, 0);
    return message;
  }

  private varint(end: number, longest = 10): bigint {
    let value = 0n;
    for (let index = 0; index < 10; index++) {
      if (this.at >= end) {
        if (index === 3 || index === 4) this.rules.add('cut-varint');
        throw new Rejection(end === this.bytes.length ? 'truncated' : 'past-parent');
      }
      const byte = this.bytes[this.at++];
      if (index === 9 && byte > 1) throw new Rejection('varint');
      value |= BigInt(byte & 127) << BigInt(7 * index);
      if (byte >= 128) continue;
      if (index >= longest) throw new Rejection(longest === LONGEST_LENGTH ? 'length-bytes' : 'varint');
      return value;
    }
    throw new Rejection('varint');
  }

  private tag(end: number): { readonly number: number; readonly wireType: number } {
    const start = this.at;
    const tag = this.varint(end);
    if (this.at - start > 5 || tag >= 2n ** 32n) throw new Rejection('tag');
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    if (number === 0) throw new Rejection('field-zero');
    if (wireType > 5) throw new Rejection('wire-type');
    return { number, wireType };
  }

  /** Steps over the payload of a field that is no group; returns where it starts. */
  private payload(wireType: number, end: number, isText = false): number {
    let start = this.at;
    if (wireType === 0) this.varint(end);
    else if (wireType === 2) {
      const length = this.varint(end, LONGEST_LENGTH);
      start = this.at;
      if (length > 0xffff_ffffn) this.rules.add('length-bits');
      if (length > BigInt(end - start)) {
        if (this.bytes.length >= 3 && this.bytes.subarray(-3).every((byte) => byte >= 128))
          this.rules.add('cut-varint');
        throw new Rejection(
          length <= BigInt(this.bytes.length - start) ? 'past-parent' : isText ? 'clipped' : 'truncated',
        );
      }
      this.at += Number(length);
    } else {
      this.at += wireType === 5 ? 4 : 8;
      if (this.at > end) throw new Rejection(this.at > this.bytes.length ? 'truncated' : 'past-parent');
    }
    return start;
  }

  private fill(message: Message, end: number, depth: number): void {
    while (this.at < end) {
      const { number, wireType } = this.tag(end);
      if (wireType === 3) {
        this.group(number, end, depth);
        continue;
      }
      if (wireType === 4) throw new Rejection('group');
      const field = message.type.fields.get(number);
      const isRead = field !== undefined && this.isOf(field, wireType);
      const start = this.payload(wireType, end, field?.kind === 'bytes');
      const after = this.at;
      if (field === undefined || !isRead) continue;
      if (field.kind === 'message') this.enter(message, { number, field, start, end: after }, depth);
      else this.scalar(message, { number, field, wireType, payload: this.bytes.subarray(start, after), message: null });
      this.at = after;
    }
  }

  /** An unknown group and all that is in it. */
  private group(first: number, end: number, depth: number): void {
    this.rules.add('group');
    const open = [first];
    if (depth >= DEEPEST) throw new Rejection('depth');
    while (open.length > 0) {
      if (this.at >= end) throw new Rejection('group');
      const { number, wireType } = this.tag(end);
      if (wireType === 3) {
        if (depth + open.length >= DEEPEST) throw new Rejection('depth');
        open.push(number);
      } else if (wireType === 4) {
        if (open.pop() !== number) throw new Rejection('group');
      } else this.payload(wireType, end);
    }
  }

  /** Whether a field has the wire type of its schema and is one that featx reads. */
  private isOf(field: FieldType, wireType: number): boolean {
    if (field.unread) {
      this.rules.add('unread');
      return false;
    }
    const wanted = field.kind === 'varint' ? 0 : field.kind === 'fixed32' ? 5 : field.kind === 'fixed64' ? 1 : 2;
    if (wireType === wanted || (wireType === 2 && field.packable)) return true;
    this.rules.add('other-wire-type');
    return false;
  }

  private enter(
    message: Message,
    {
      number,
      field,
      start,
      end,
    }: { readonly number: number; readonly field: FieldType; readonly start: number; readonly end: number },
    depth: number,
  ): void {
    const { message: type } = field;
    if (type === null) return;
    if (depth >= DEEPEST) throw new Rejection('depth');
    this.leaveOneof(message, number, field);
    let entry = field.repeated ? undefined : message.entries.find((other) => other.number === number);
    if (entry === undefined)
      message.entries.push(
        (entry = { number, field, wireType: 2, payload: new Uint8Array(0), message: { type, entries: [] } }),
      );
    else this.rules.add('merged');
    this.at = start;
    if (entry.message !== null) this.fill(entry.message, end, depth + 1);
  }

  private leaveOneof(message: Message, number: number, { oneof }: FieldType): void {
    if (oneof === null) return;
    const others = message.entries.filter((entry) => entry.field.oneof !== oneof || entry.number === number);
    if (others.length === message.entries.length) return;
    this.rules.add('oneof');
    message.entries.splice(0, message.entries.length, ...others);
  }

  private scalar(message: Message, entry: Entry): void {
    const { field, wireType, payload, number } = entry;
    if (field.kind === 'varint') {
      const values = this.values(payload, wireType);
      if (
        field.largest !== null &&
        (Number(BigInt.asIntN(32, values[0])) < 0 || Number(BigInt.asIntN(32, values[0])) > field.largest)
      ) {
        this.rules.add('closed-enum');
        return;
      }
      if (field.name === 'dims') this.countAxes(message, values);
      if ((field.name === 'irVersion' || field.name === 'version') && values.some(isHuge))
        this.facts.hugeVersion = true;
    }
    if (field.kind === 'fixed32' && payload.length % 4 !== 0) throw new Rejection('packed');
    if (field.word === 'string') this.facts.longestName = Math.max(this.facts.longestName, payload.length);
    this.leaveOneof(message, number, field);
    message.entries.push({ ...entry, payload: field.kind === 'varint' ? this.shortest(entry) : payload });
  }

  private countAxes(message: Message, dims: readonly bigint[]): void {
    const count = (this.axes.get(message) ?? 0) + dims.length;
    this.axes.set(message, count);
    this.facts.mostAxes = Math.max(this.facts.mostAxes, count);
    if (dims.some(isHuge)) this.facts.hugeDimension = true;
  }

  /** Integers without needless bytes and bits. */
  private shortest({ field, payload, wireType }: Entry): Uint8Array {
    const isNarrow = field.word === 'int32';
    if (isNarrow && payload.length > 5 && payload.length < 10) this.rules.add('long-int32');
    return joined(
      this.values(payload, wireType).map((value) => varintBytes(isNarrow ? BigInt.asIntN(32, value) : value)),
    );
  }

  private values(payload: Uint8Array, wireType: number): readonly bigint[] {
    const values: bigint[] = [];
    const inner = new Judgement(payload);
    try {
      while (inner.at < payload.length) values.push(inner.varint(payload.length));
    } catch (error) {
      throw error instanceof Rejection && wireType === 2 ? new Rejection('packed') : error;
    }
    return values;
  }
}
