import { Spelling } from './spelling.js';
import { decodeText } from './text.js';

const LONGEST_SHARED_NAME = 256;
const FIRST_SLOTS = 256;
const FIRST_BYTES = 4 * 1024;
const MOST_PROBES = 64;
const MISSING = -1;

/**
 * Names by number: the same bytes have the same number wherever they come, as the names of a graph do. A name becomes a
 * string once, when somebody asks for it. The empty name has the number 0.
 */
export class NameTable {
  /** Of each name; '' until it is asked for, except those that are decoded at once. */
  private readonly texts: string[] = [''];
  /** Where the bytes of each name begin in `pool`; those of number `id` end where those of `id + 1` begin. */
  private starts = new Uint32Array(FIRST_SLOTS);
  private pool = new Uint8Array(FIRST_BYTES);
  /** A number and its hash in each slot, by hash, open addressing; the number 0 is a free slot. */
  private slots = new Int32Array(2 * FIRST_SLOTS);
  /** Long names, those that are not ASCII, and those that somebody made to collide. */
  private readonly others = new Map<string, number>();
  /** The name that came last for the first time: most nodes read what the node before them made. */
  private last = 0;
  /** How many slots are taken. */
  private taken = 0;
  /** Whether some names of few bytes are among those others: their slots were taken when they came. */
  private isCrowded = false;
  private readonly spelling = new Spelling();

  /** How many numbers there are. */
  get size(): number {
    return this.texts.length;
  }

  /** The number of the name `bytes[start, end)`. */
  idOf(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length === 0) return 0;
    if (length > LONGEST_SHARED_NAME) return this.otherId(decodeText(bytes, start, end));
    if (this.isName(this.last, bytes, start, length)) return this.last;
    let hash = 0;
    let bits = 0;
    for (let at = start; at < end; at++) {
      const byte = bytes[at];
      hash = (Math.imul(hash, 31) + byte) | 0;
      bits |= byte;
    }
    if (bits >= 0x80) return this.otherId(decodeText(bytes, start, end));
    const { slots } = this;
    const mask = slots.length - 1;
    let slot = slotOf(hash, mask);
    let probe = 0;
    for (; probe < MOST_PROBES && slots[slot] !== 0; probe++, slot = (slot + 2) & mask)
      if (slots[slot + 1] === hash && this.isName(slots[slot], bytes, start, length)) return slots[slot];
    if (probe === MOST_PROBES) {
      this.isCrowded = true;
      return this.otherId(decodeText(bytes, start, end));
    }
    const other = this.isCrowded ? this.others.get(decodeText(bytes, start, end)) : undefined;
    if (other !== undefined) return other;
    const id = this.add(bytes, start, end);
    slots[slot] = this.last = id;
    slots[slot + 1] = hash;
    if (++this.taken * 4 > slots.length) this.rehash();
    return id;
  }

  /** The number of a name that no other is ever compared with: the same bytes may get another one each time. */
  keep(bytes: Uint8Array, start: number, end: number): number {
    if (end === start) return 0;
    for (let at = start; at < end; at++) if (bytes[at] >= 0x80) return this.next(decodeText(bytes, start, end));
    return this.add(bytes, start, end);
  }

  /** A name as a string. */
  text(id: number): string {
    const { texts } = this;
    const text = texts[id];
    if (text !== '' || id === 0) return text;
    this.spell(id, this.spelling);
    return (texts[id] = this.spelling.text());
  }

  /** Turns to a name. */
  spell(id: number, spelling: Spelling): void {
    const [start, end] = [this.starts[id], this.starts[id + 1]];
    if (start === end) spelling.write(this.texts[id]);
    else spelling.turn(this.pool, start, end);
  }

  /** Whether a name begins with `beginning`, which is ASCII. */
  startsWith(id: number, beginning: string): boolean {
    const text = this.texts[id];
    if (text !== '') return text.startsWith(beginning);
    const { starts, pool } = this;
    const from = starts[id];
    if (id === 0 || starts[id + 1] - from < beginning.length) return beginning === '';
    for (let at = 0; at < beginning.length; at++) if (pool[from + at] !== beginning.charCodeAt(at)) return false;
    return true;
  }

  /** The number of a name; -1 if it has none, as no name has. */
  find(text: string | undefined): number {
    if (text === undefined) return MISSING;
    const { length } = text;
    if (length === 0) return 0;
    if (length > LONGEST_SHARED_NAME) return this.others.get(text) ?? MISSING;
    let hash = 0;
    let bits = 0;
    for (let at = 0; at < length; at++) {
      const unit = text.charCodeAt(at);
      hash = (Math.imul(hash, 31) + unit) | 0;
      bits |= unit;
    }
    if (bits >= 0x80) return this.others.get(text) ?? MISSING;
    const { slots, starts, pool } = this;
    const mask = slots.length - 1;
    let slot = slotOf(hash, mask);
    for (let probe = 0; probe < MOST_PROBES && slots[slot] !== 0; probe++, slot = (slot + 2) & mask) {
      if (slots[slot + 1] !== hash) continue;
      const from = starts[slots[slot]];
      if (starts[slots[slot] + 1] - from !== length) continue;
      let same = 0;
      while (same < length && pool[from + same] === text.charCodeAt(same)) same++;
      if (same === length) return slots[slot];
    }
    return this.isCrowded ? (this.others.get(text) ?? MISSING) : MISSING;
  }

  private add(bytes: Uint8Array, start: number, end: number): number {
    const id = this.next('');
    const from = this.starts[id];
    const to = from + end - start;
    if (to > this.pool.length) {
      const larger = new Uint8Array(Math.max(2 * this.pool.length, to));
      larger.set(this.pool);
      this.pool = larger;
    }
    const { pool } = this;
    for (let at = start, into = from; at < end; at++, into++) pool[into] = bytes[at];
    this.starts[id + 1] = to;
    return id;
  }

  private otherId(text: string): number {
    const known = this.others.get(text);
    if (known !== undefined) return known;
    const id = this.next(text);
    this.others.set(text, id);
    return id;
  }

  /** A number that no name has yet. */
  private next(text: string): number {
    const id = this.texts.push(text) - 1;
    if (id + 1 >= this.starts.length) {
      const more = new Uint32Array(2 * this.starts.length);
      more.set(this.starts);
      this.starts = more;
    }
    // It has no bytes in the pool unless they are added.
    this.starts[id + 1] = this.starts[id];
    return id;
  }

  private rehash(): void {
    const { slots } = this;
    const more = new Int32Array(slots.length * 4);
    const mask = more.length - 1;
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at] === 0) continue;
      let slot = slotOf(slots[at + 1], mask);
      let probe = 0;
      for (; more[slot] !== 0 && probe < MOST_PROBES; probe++) slot = (slot + 2) & mask;
      if (probe === MOST_PROBES) {
        this.isCrowded = true;
        this.others.set(this.text(slots[at]), slots[at]);
      } else {
        more[slot] = slots[at];
        more[slot + 1] = slots[at + 1];
      }
    }
    this.slots = more;
  }

  /** Whether a number is that of ASCII bytes. */
  private isName(id: number, bytes: Uint8Array, start: number, length: number): boolean {
    const { starts, pool } = this;
    const from = starts[id];
    if (starts[id + 1] - from !== length) return false;
    let same = 0;
    while (same < length && pool[from + same] === bytes[start + same]) same++;
    return same === length;
  }
}

/** Names that differ in their last digits are spread by the multiplication. */
function slotOf(hash: number, mask: number): number {
  const spread = Math.imul(hash, 0x9e3779b1);
  return (spread ^ (spread >>> 15)) & mask & ~1;
}
