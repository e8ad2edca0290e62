import { ANY, option } from '../options/words.js';
import { PolicyError } from '../errors.js';
import type { ByteRange } from './fields.js';
import { concat } from './pieces.js';
import type { ByteSource } from './source.js';

const FIRST_WINDOW = 64 * 1024;
const AFTER_SEEK = 4 * 1024;
const LARGEST_WINDOW = 1024 * 1024;

/**
 * A moving window over a source that remembers the bytes it has passed, except those that were skipped: what stays
 * resident is the graph, not the weights.
 */
export class ResidentWindow {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  private nextSize = FIRST_WINDOW;
  private residentBytes = 0;
  /** Memory of what was made of the bytes. */
  private chargedBytes = 0;
  /** Where the reader stopped, to step over what the window does not hold. */
  private left: number | null = null;
  private readonly chunks: { start: number; bytes: Uint8Array }[] = [];

  constructor(
    readonly source: ByteSource,
    private readonly maxResidentBytes: number,
  ) {}

  has(start: number, end: number): boolean {
    return start >= this.start && end <= this.end;
  }

  /** Moves the window so that it holds `[start, end)`, and more where reading goes on in sequence. */
  async load(start: number, end: number): Promise<void> {
    const sequential = start <= this.end;
    const length = Math.max(sequential ? this.nextSize : AFTER_SEEK, end - start);
    this.nextSize = Math.min(LARGEST_WINDOW, sequential ? this.nextSize * 2 : FIRST_WINDOW);
    const until = Math.min(this.source.size, start + length);
    const { source, left } = this;
    this.left = null;
    this.drop(start);
    this.assertFits(until - start, start);
    this.bytes = await (source.readAhead?.({ start, end, until, left }) ?? source.read(start, until));
    this.start = start;
    this.end = start + this.bytes.length;
    this.chunks.push({ start, bytes: this.bytes });
    this.residentBytes += this.bytes.length;
  }

  /** Counts memory that the reader takes for what it read against the same limit. @throws PolicyError beyond it */
  charge(bytes: number): void {
    this.chargedBytes += bytes;
    if (this.residentBytes + this.chargedBytes > this.maxResidentBytes) this.assertFits(0, this.start);
  }

  private assertFits(more: number, offset: number): void {
    const needed = this.residentBytes + this.chargedBytes + more;
    if (needed <= this.maxResidentBytes) return;
    throw new PolicyError(
      `the graph takes more memory than ${this.maxResidentBytes} bytes without its weights: ${needed} by byte ${offset} of ${this.source.size}`,
      {
        code: 'FEATX_LIMIT_INDEX',
        path: this.source.path,
        offset,
        hint: `raise the limit with ${option('limits.indexBytes', ANY)} if you trust this file`,
      },
    );
  }

  /** Forgets what the current window holds from `position` on: the reader has skipped ahead of it. */
  trim(position: number): void {
    this.left = position;
    this.drop(position);
  }

  private drop(position: number): void {
    const last = this.chunks.at(-1);
    if (last === undefined || position >= last.start + last.bytes.length) return;
    const kept = Math.max(0, position - last.start);
    this.residentBytes -= last.bytes.length - kept;
    // A view would keep the whole window alive.
    last.bytes = kept < last.bytes.length / 2 ? last.bytes.slice(0, kept) : last.bytes.subarray(0, kept);
  }

  /** Resident bytes of a range, or null if part of it was skipped. */
  resident({ start, end }: ByteRange): Uint8Array | null {
    const { chunks } = this;
    let low = 0;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (chunks[middle].start <= start) low = middle;
      else high = middle - 1;
    }
    const parts: Uint8Array[] = [];
    let at = start;
    for (let index = low; index < chunks.length && at < end && chunks[index].start <= at; index++) {
      const chunk = chunks[index];
      const part = chunk.bytes.subarray(at - chunk.start, end - chunk.start);
      parts.push(part);
      at += part.length;
    }
    if (at < end) return null;
    return parts.length === 1 ? parts[0] : concat(parts);
  }
}
