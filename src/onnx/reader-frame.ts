import type { Field } from '../wire/fields.js';
import type { Memo } from './memo.js';
import type { Entered, FieldRule, MessageRule } from './message-rules.js';

/** A message being read: the whole file, or a field of another message. */
export type ReaderFrame = OuterFrame | InnerFrame;

interface OuterFrame extends FrameState {
  readonly parent: null;
}

/** A field of another message. */
export interface InnerFrame extends FrameState {
  readonly parent: ReaderFrame;
  readonly field: Field;
}

interface FrameState {
  readonly rule: MessageRule<object>;
  readonly record: object;
  readonly end: number;
  /** Messages around it. */
  readonly depth: number;
  readonly label: string;
  readonly index: number | null;
  /** What `framePath` and `enclosingOf` found: the tensors of a graph share it. */
  path: string | null;
  enclosing: readonly Field[] | null;
  /** Keeps its value for the next message of the same bytes; null if that is not wanted. */
  readonly memo: Memo<object> | null;
  /** Singular fields that have been read, a bit each: the rules' field numbers are below 32. */
  seen: number;
  /** What a long run of numbers belongs to, if this frame is one and not a message. */
  readonly run: { readonly rule: IntRule; readonly field: Field } | null;
}

/** The frame of a message that begins. */
export function innerFrame(
  parent: ReaderFrame,
  { rule, record, label, index }: Entered,
  field: Field,
  memo: Memo<object> | null,
  seen: number,
): InnerFrame {
  return {
    rule: rule as unknown as MessageRule<object>,
    record,
    end: field.end,
    depth: parent.depth + 1,
    field,
    parent,
    label,
    index,
    path: null,
    enclosing: null,
    memo,
    seen,
    run: null,
  };
}

/** A rule for integers. */
export type IntRule = FieldRule<object> & { kind: 'int' };

/** The field path of a message. */
export function framePath(frame: ReaderFrame): string {
  if (frame.parent === null) return '';
  if (frame.path !== null) return frame.path;
  const own = frame.index === null ? frame.label : `${frame.label}[${frame.index}]`;
  const around = framePath(frame.parent);
  return (frame.path = around === '' ? own : `${around}.${own}`);
}

/** The length-delimited fields around a message, outermost first. */
export function enclosingOf(frame: ReaderFrame): readonly Field[] {
  return frame.parent === null ? [] : (frame.enclosing ??= [...enclosingOf(frame.parent), frame.field]);
}
