import type { Field, WireType } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import type { ReadLimits } from './limits.js';
import type { Memo } from './memo.js';

/** What to do with a field of a message: `B` is the record under construction. */
export type FieldRule<B> =
  /** `list`: a repeated field, whose values may also stand in one length-delimited run. */
  | { readonly kind: 'int'; readonly list: boolean; set(record: B, value: number | bigint, field: Field): void }
  | { readonly kind: 'float'; readonly list: boolean; set(record: B, value: number): void }
  /** A name; `value`: a string that is left in the file where it is longer than a name may be. */
  | { readonly kind: 'text' | 'value'; readonly list: boolean; set(record: B, value: string): void }
  /** A name by its number in the reader's `NameTable`. */
  | { readonly kind: 'name'; readonly list: boolean; set(record: B, id: number): void }
  /**
   * Note where it is; `kept` stays in memory where it is not huge. `scalar`: the wire type of a single value, where the
   * field is a list of numbers.
   */
  | {
      readonly kind: 'range';
      readonly list: boolean;
      readonly kept: boolean;
      readonly scalar?: WireType;
      set(record: B, field: Field): void;
    }
  /**
   * Note where it is and walk into it. `memo`: where many such messages are the same bytes, they may share one value.
   */
  | {
      readonly kind: 'message';
      enter(record: B, field: Field, context: ReadContext): Entered;
      readonly memo?: Memo<B>;
    };

/** How the fields of one kind of message fill the record `B`. */
export interface MessageRule<B> {
  readonly fields: { readonly [number: number]: FieldRule<B> };
  /** Memory of a record with its field, where it is not that of most; measured, rounded. */
  readonly bytes?: number;
  /** Called for every field, known or not. */
  readonly each?: (record: B, field: Field) => void;
  /**
   * Takes the fields that come first as long as they are plain, and says where it stopped; the rest goes by `fields`.
   * For messages of which there are many: their fields are then not looked up one by one.
   */
  readonly plain?: (record: B, plain: PlainFields) => void;
}

/** The fields at the beginning of a message, in the bytes that the window holds. */
export interface PlainFields {
  readonly bytes: Uint8Array;
  /** Where `bytes` stand in the file. */
  readonly base: number;
  /** Where the next field begins; to be moved behind each one that was taken. */
  at: number;
  /** Where the message, or what is held of it, ends. */
  readonly end: number;
  /** The longest name that may be taken. */
  readonly longest: number;
  readonly names: NameTable;
  /** Singular fields that were taken, a bit each by number. */
  seen: number;
  /** Memory that what was taken takes, in bytes. */
  charged: number;
  /** The value of a message `bytes[start, end)` of the same bytes that was read before; null if there is none. */
  recall(memo: Memo<never>, start: number, end: number): object | null;
}

/** A record that is to be filled, and by which rule. */
export interface Entered {
  readonly rule: MessageRule<never>;
  readonly record: object;
  /** Element of the field path: the `node` of `node[12]`. */
  readonly label: string;
  /** Its place in a list: the 12. */
  readonly index: number | null;
}

/** Ties a record to the rule that fills it. */
export function entered<B extends object>(
  rule: MessageRule<B>,
  record: B,
  label: string,
  index: number | null = null,
): Entered {
  return { rule, record, label, index };
}

/** Where in the file the reader is, for rules that must say so or stop it. */
export interface ReadContext {
  /** Field path of the message being read. */
  path(): string;
  /** The length-delimited fields around the message being read, outermost first. */
  enclosing(): readonly Field[];
  /** The names of the file that have numbers. */
  readonly names: NameTable;
  readonly limits: ReadLimits;
  readonly sourcePath: string | undefined;
}
