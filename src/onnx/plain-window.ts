import type { Field } from '../wire/fields.js';
import type { NameTable } from '../wire/name-table.js';
import type { ResidentWindow } from '../wire/window.js';
import type { Memo, ValueMemo } from './memo.js';
import type { PlainFields } from './message-rules.js';

/** What the reader's window holds of the message that begins; one for all of them. */
export class PlainWindow implements PlainFields {
  bytes: Uint8Array = new Uint8Array(0);
  base = 0;
  at = 0;
  end = 0;
  seen = 0;
  charged = 0;
  private depth = 0;

  constructor(
    readonly names: NameTable,
    private readonly values: ValueMemo,
    readonly longest: number,
  ) {}

  /** Turns to the message of a field, whose payload begins in the window. */
  begin(window: ResidentWindow, { payload, end }: Field, depth: number): void {
    this.bytes = window.bytes;
    this.base = window.start;
    this.at = payload - window.start;
    this.end = Math.min(end, window.end) - window.start;
    this.seen = 0;
    this.charged = 0;
    this.depth = depth;
  }

  /** Where the next field begins in the file. */
  get position(): number {
    return this.base + this.at;
  }

  recall(memo: Memo<never>, start: number, end: number): object | null {
    return this.values.find(memo, this.bytes, start, end, this.depth);
  }
}
