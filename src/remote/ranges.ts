import type { ByteRange } from '../wire/fields.js';

/** Bytes that are there, as disjoint ranges in order. */
export class RangeSet {
  private readonly ranges: { start: number; end: number }[] = [];

  /** @param ranges in any order; they may overlap */
  constructor(ranges: Iterable<ByteRange> = []) {
    for (const { start, end } of ranges) this.add(start, end);
  }

  /** How many bytes are there. */
  get size(): number {
    return this.ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  add(start: number, end: number): void {
    if (start >= end) return;
    const { ranges } = this;
    const first = this.firstEndingFrom(start);
    let last = first;
    let [from, to] = [start, end];
    for (; last < ranges.length && ranges[last].start <= end; last++) {
      from = Math.min(from, ranges[last].start);
      to = Math.max(to, ranges[last].end);
    }
    ranges.splice(first, last - first, { start: from, end: to });
  }

  /** The end of what is there without a gap from `start` on; `start` itself if it is not there. */
  reach(start: number): number {
    const range = this.ranges[this.firstEndingFrom(start + 1)];
    return range !== undefined && range.start <= start ? range.end : start;
  }

  has({ start, end }: ByteRange): boolean {
    return start >= end || this.reach(start) >= end;
  }

  /** The parts of a range that are not there, in order. */
  missing({ start, end }: ByteRange): ByteRange[] {
    const gaps: ByteRange[] = [];
    let at = start;
    for (let index = this.firstEndingFrom(start + 1); at < end; index++) {
      const next = this.ranges[index];
      const until = next === undefined ? end : Math.min(end, next.start);
      if (until > at) gaps.push({ start: at, end: until });
      if (next === undefined) break;
      at = Math.max(at, next.end);
    }
    return gaps;
  }

  *[Symbol.iterator](): Generator<ByteRange> {
    for (const { start, end } of this.ranges) yield { start, end };
  }

  /** The first range whose end is not before `position`. */
  private firstEndingFrom(position: number): number {
    let [low, high] = [0, this.ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle].end < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Ranges in order, those joined that lie less than `gap` bytes apart. */
export function coalesced(ranges: Iterable<ByteRange>, gap: number): ByteRange[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last !== undefined && start - last.end <= gap) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** Ranges in pieces of at most `most` bytes. */
export function pieces(ranges: Iterable<ByteRange>, most: number): ByteRange[] {
  const cut: ByteRange[] = [];
  for (const { start, end } of ranges)
    for (let at = start; at < end; at += most) cut.push({ start: at, end: Math.min(end, at + most) });
  return cut;
}
