import type { Field, WireType } from '../wire/fields.js';
import type { ReadLimits } from './limits.js';
import type { Memo } from './memo.js';

/** What to do with a field of a message: `B` is the record under construction. */
export type FieldRule<B> =
  /** `list`: a repeated field, whose values may also stand in one length-delimited run. */
  | { readonly kind: 'int'; readonly list: boolean; set(record: B, value: number | bigint, field: Field): void }
  | { readonly kind: 'float'; readonly list: boolean; set(record: B, value: number): void }
  /** A name; `value`: a string that is left in the file where it is longer than a name may be. */
  | { readonly kind: 'text' | 'value'; readonly list: boolean; set(record: B, value: string): void }
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
  readonly limits: ReadLimits;
  readonly sourcePath: string | undefined;
}
