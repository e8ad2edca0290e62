import type { ByteRange } from '../wire/fields.js';

/**
 * What to ask for beside what is needed now, while a model is indexed over a line on which a request costs more than
 * its bytes. A model is a list of records whose headers are only found through the length of the one before; past large
 * records it is a sequence of (what was read, what was stepped over), and networks repeat themselves. A guess is never
 * believed: it only means that the bytes are there already when the reader comes to them.
 */

/** Bytes that were read one after another, and those stepped over behind them. */
interface Visit {
  readonly read: number;
  readonly stepped: number;
}

const FIRST_WINDOW = 64 * 1024;
const AFTER_STEP = 8 * 1024;
const LARGEST_WINDOW = 4 * 1024 * 1024;
/** A step that costs less than another request is read through. */
const SMALL_STEP = 64 * 1024;
const TAIL = 64 * 1024;

const LONGEST_CONTEXT = 3;
/** Guesses of a round: more with every one that was right, fewer with every one that was not. */
const FIRST_GUESSES = 8;
const FEWEST_GUESSES = 1;
const MOST_GUESSES = 32;
/** Names grow: `blocks.10` is longer than `blocks.9`. */
const GROWTH = 64;
const MARGIN_BEFORE = 128;
const MARGIN_BEHIND = 192;
const LARGEST_GUESS = 64 * 1024;

/** What a round trip costs, in bytes that would have come in that time: 50 ms at 100 Mbit/s. */
export const ROUND_TRIP_BYTES = 640 * 1024;

/** Remembers how a reader went through a file, and says what it will ask for next. */
export class ReadAhead {
  private readonly visits: Visit[] = [];
  private visitStart = 0;
  private window = FIRST_WINDOW;
  private windowEnd = 0;
  private hasTail = false;
  /** How much is read where the reader has just stepped to, by what was read the last time. */
  private expected = 0;
  private pending: ByteRange[] = [];
  private most = FIRST_GUESSES;

  constructor(private readonly size: number) {}

  /** The reader stopped at `left`, stepped over what followed, and goes on at `start`. */
  step(left: number, start: number): void {
    if (left < this.visitStart || start <= left) return;
    this.visits.push({ read: left - this.visitStart, stepped: start - left });
    this.visitStart = start;
    this.expected = followerOf(this.visits, this.visits)?.read ?? 0;
    for (const guess of this.pending.filter(({ start: from, end }) => from <= start || end <= start)) {
      const isRight = start < guess.end;
      this.most = isRight ? Math.min(MOST_GUESSES, this.most * 2) : Math.max(FEWEST_GUESSES, this.most >> 1);
    }
    this.pending = this.pending.filter(({ start: from }) => from > start);
  }

  /** What to ask for where the reader needs `needed`; the first range is the one to wait for. */
  plan(needed: ByteRange): readonly [ByteRange, ...ByteRange[]] {
    const { start } = needed;
    const isNear = start <= this.windowEnd + SMALL_STEP;
    this.window = isNear
      ? Math.min(LARGEST_WINDOW, this.window * 2)
      : Math.max(AFTER_STEP, Math.min(LARGEST_GUESS, this.expected + MARGIN_BEHIND));
    const end = Math.min(this.size, Math.max(needed.end, start + this.window));
    this.windowEnd = end;
    return [{ start, end }, ...this.tail(), ...this.guesses()];
  }

  /** What stands behind the weights: inputs, outputs, types. */
  private tail(): readonly ByteRange[] {
    if (this.hasTail) return [];
    this.hasTail = true;
    return [{ start: Math.max(0, this.size - TAIL), end: this.size }];
  }

  private guesses(): readonly ByteRange[] {
    const guesses = predicted(this.visits, this.visitStart, this.most)
      .map(({ start, end }) => ({ start: start - MARGIN_BEFORE, end: Math.min(this.size, end + MARGIN_BEHIND) }))
      .filter(
        ({ start, end }) => start < end && !this.pending.some((known) => known.start <= start && start < known.end),
      );
    this.pending.push(...guesses);
    return guesses;
  }
}

/**
 * Where the next visits will be if the file goes on as it did the last time that the same was read and stepped over.
 * @param visits those so far
 * @param at where the visit begins that is going on
 */
export function predicted(visits: readonly Visit[], at: number, most: number): readonly ByteRange[] {
  const course = [...visits];
  const found: { start: number; end: number }[] = [];
  let start = at;
  let next = followerOf(course, visits);
  while (next !== null && found.length < most) {
    start += next.read + next.stepped;
    course.push(next);
    next = followerOf(course, visits);
    found.push({ start, end: start + Math.min(LARGEST_GUESS, next?.read ?? 0) });
  }
  return found;
}

/** The visit that followed the last time that the course was as it is at its end, the longest agreement first. */
function followerOf(course: readonly Visit[], visits: readonly Visit[]): Visit | null {
  for (let length = Math.min(LONGEST_CONTEXT, course.length); length >= 1; length--)
    for (let next = visits.length - 1; next >= length; next--) {
      let same = 0;
      while (same < length && isAlike(visits[next - 1 - same], course[course.length - 1 - same])) same++;
      if (same === length) return visits[next];
    }
  return null;
}

function isAlike(a: Visit, b: Visit): boolean {
  return a.stepped === b.stepped && Math.abs(a.read - b.read) <= GROWTH;
}
