/**
 * How a record takes the value of a message of the same bytes that was read before; nobody may change that value any
 * more.
 */
export interface Memo<B> {
  /** Null while the record has none. */
  get(record: B): object | null;
  set(record: B, value: object): void;
}

interface MemoEntry {
  readonly memo: Memo<never>;
  readonly bytes: Uint8Array;
  readonly depth: number;
  readonly value: object;
}

const SLOTS = 1024;
/** The longest message that is remembered, in bytes. */
export const LONGEST_MEMO = 256;

/** The values of short messages by their bytes: the tensors of a network have few types. */
export class ValueMemo {
  private readonly slots = Array<MemoEntry | null>(SLOTS).fill(null);

  /** The value of the message `bytes[start, end)`, if one of the same bytes was read at this depth or deeper. */
  find(memo: Memo<never>, bytes: Uint8Array, start: number, end: number, depth: number): object | null {
    const entry = this.slots[memoSlot(bytes, start, end)];
    if (entry === null || entry.memo !== memo || depth > entry.depth || entry.bytes.length !== end - start) return null;
    for (let at = start; at < end; at++) if (bytes[at] !== entry.bytes[at - start]) return null;
    return entry.value;
  }

  keep(memo: Memo<never>, bytes: Uint8Array, start: number, end: number, depth: number, value: object): void {
    this.slots[memoSlot(bytes, start, end)] = { memo, bytes: bytes.slice(start, end), depth, value };
  }
}

function memoSlot(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]) | 0;
  return (hash ^ (hash >>> 12)) & (SLOTS - 1);
}
