import { GrowingBytes } from './growing-bytes.js';

/** A run of equal levels shorter than this is packed with its neighbours, eight levels at once. */
const PACKED = 8;
/** A run that is worth the end of a packed stretch. */
const LONG_RUN = 2 * PACKED;

/**
 * For each value of an entry whose lists have these sizes, in which list of those around it a new element begins (0: a
 * new entry), and how many of them are there. A list without elements has one pair for itself.
 * @see https://github.com/apache/parquet-format#nested-encoding
 */
export function levelsOf(sizes: readonly number[]): {
  readonly repetition: Uint8Array;
  readonly definition: Uint8Array;
} {
  const empty = sizes.indexOf(0);
  const full = empty < 0 ? sizes : sizes.slice(0, empty);
  const count = full.reduce((product, size) => product * size, 1);
  const repetition = new Uint8Array(count).fill(full.length);
  let width = 1;
  for (let depth = full.length - 1; depth >= 0; depth--) {
    width *= full[depth];
    for (let at = 0; at < count; at += width) repetition[at] = depth;
  }
  return { repetition, definition: new Uint8Array(count).fill(full.length) };
}

/** Levels of a page, from 0 to a highest one. */
export class Levels {
  private readonly levels = new GrowingBytes();

  constructor(private readonly highest: number) {}

  append(some: Uint8Array): void {
    this.levels.append(some);
  }

  get bytes(): number {
    return this.levels.length;
  }

  clear(): void {
    this.levels.clear();
  }

  /** Appends them as a page has them; nothing where there is only one level. */
  write(into: GrowingBytes): void {
    if (this.highest === 0) return;
    const encoded = new GrowingBytes();
    writeRuns(encoded, this.levels.view, 32 - Math.clz32(this.highest));
    into.uint32(encoded.length);
    into.append(encoded.view);
  }
}

/**
 * Runs of equal levels as their length and the level, others packed into `bits` each.
 * @see https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
 */
function writeRuns(into: GrowingBytes, levels: Uint8Array, bits: number): void {
  for (let at = 0; at < levels.length; ) {
    const run = runFrom(levels, at);
    if (run >= PACKED) {
      into.varint(run * 2);
      into.push(levels[at]);
      at += run;
      continue;
    }
    let end = at + PACKED;
    while (end < levels.length && runFrom(levels, end) < LONG_RUN) end += PACKED;
    into.varint(((end - at) / PACKED) * 2 + 1);
    for (; at < end; at += PACKED) writePacked(into, levels, at, bits);
  }
}

function runFrom(levels: Uint8Array, start: number): number {
  let end = start + 1;
  while (end < levels.length && levels[end] === levels[start]) end++;
  return end - start;
}

/** Eight levels, those behind the last as 0. */
function writePacked(into: GrowingBytes, levels: Uint8Array, start: number, bits: number): void {
  let waiting = 0;
  let held = 0;
  for (let at = start; at < start + PACKED; at++) {
    waiting |= (at < levels.length ? levels[at] : 0) << held;
    for (held += bits; held >= 8; held -= 8) {
      into.push(waiting & 0xff);
      waiting >>>= 8;
    }
  }
}
