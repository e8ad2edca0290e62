import { globOf, longestLiteral, matchesGlob, type Glob } from './glob.js';

/** Characters in a row by which a pattern is found in a name. */
const GRAM = 4;
const BUCKETS = 1 << 16;
const { imul } = Math;
/** Names that show which rows of characters are frequent. */
const SAMPLE = 1000;

interface Entry {
  readonly glob: Glob;
  readonly matches: string[];
}

/**
 * The names that each of many patterns matches, in the order of the names. Every name is read once, and only patterns
 * of which it holds a rare row of four characters are tried, so that a thousand patterns over a million names take
 * about as long as one.
 */
export function matchesOfGlobs(
  patterns: readonly string[],
  names: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const entries = new Map<string, Entry>(patterns.map((pattern) => [pattern, { glob: globOf(pattern), matches: [] }]));
  const frequency = new Uint32Array(BUCKETS);
  for (let at = 0; at < names.length; at += Math.ceil(names.length / SAMPLE))
    for (const slot of slotsOf(names[at])) frequency[slot]++;
  const short: Entry[] = [];
  const buckets = new Map<number, Entry[]>();
  for (const entry of entries.values()) {
    const literal = longestLiteral(entry.glob);
    if (literal.length < GRAM) short.push(entry);
    else place(entry, literal, buckets, frequency);
  }
  const isUsed = new Uint8Array(BUCKETS);
  for (const slot of buckets.keys()) isUsed[slot] = 1;
  const tried = new Set<Entry>();
  for (const name of names) {
    for (const { glob, matches } of short) if (matchesGlob(glob, name)) matches.push(name);
    let gram = 0;
    for (let at = 0; at < name.length; at++) {
      gram = next(gram, name.charCodeAt(at));
      const slot = slotOf(gram);
      if (at >= GRAM - 1 && isUsed[slot] === 1) for (const entry of buckets.get(slot) ?? []) tried.add(entry);
    }
    if (tried.size === 0) continue;
    for (const { glob, matches } of tried) if (matchesGlob(glob, name)) matches.push(name);
    tried.clear();
  }
  return new Map([...entries].map(([pattern, { matches }]) => [pattern, matches]));
}

/**
 * Puts a pattern where it is tried least often: under the rarest row of its literal, and of those where the fewest
 * others are.
 */
function place(entry: Entry, literal: string, buckets: Map<number, Entry[]>, frequency: Uint32Array): void {
  let best = -1;
  let least = Infinity;
  for (const slot of slotsOf(literal)) {
    const cost = (frequency[slot] + 1) * ((buckets.get(slot)?.length ?? 0) + 1);
    if (cost < least) [best, least] = [slot, cost];
  }
  const bucket = buckets.get(best);
  if (bucket === undefined) buckets.set(best, [entry]);
  else bucket.push(entry);
}

function* slotsOf(text: string): Generator<number> {
  let gram = 0;
  for (let at = 0; at < text.length; at++) {
    gram = next(gram, text.charCodeAt(at));
    if (at >= GRAM - 1) yield slotOf(gram);
  }
}

/** The last four characters, a byte of each. */
function next(gram: number, code: number): number {
  return (gram << 8) | ((code ^ (code >>> 8)) & 0xff);
}

function slotOf(gram: number): number {
  return imul(gram, 0x9e3779b1) >>> 16;
}
