/** The names nearest to one that is missing, nearest first. */
export function nearestNames(wanted: string, names: Iterable<string>, count = 3): readonly string[] {
  const goal = wanted.toLowerCase().slice(0, LONGEST_COMPARED);
  const limit = Math.max(2, Math.ceil(goal.length / 2));
  const scored: Scored[] = [];
  const nearerFirst = (a: Scored, b: Scored): number =>
    a.distance - b.distance || Math.abs(a.name.length - wanted.length) - Math.abs(b.name.length - wanted.length);
  let seen = 0;
  for (const name of names) {
    if (++seen > MOST_COMPARED) break;
    const candidate = name.toLowerCase().slice(0, LONGEST_COMPARED);
    const within = candidate.includes(goal) || goal.includes(candidate) ? 1 : null;
    const distance = within ?? editDistance(goal, candidate, limit);
    if (distance === null || candidate === '') continue;
    scored.push({ name, distance });
    if (scored.length >= MOST_HELD) scored.sort(nearerFirst).splice(count);
  }
  return scored
    .sort(nearerFirst)
    .slice(0, count)
    .map(({ name }) => name);
}

interface Scored {
  readonly name: string;
  readonly distance: number;
}

/** Above this many, all but the nearest are let go. */
const MOST_HELD = 64;

const LONGEST_COMPARED = 64;
const MOST_COMPARED = 20_000;

/** Two rows of the table of distances, for every comparison in turn. */
const ROWS = [new Uint8Array(LONGEST_COMPARED + 1), new Uint8Array(LONGEST_COMPARED + 1)] as const;

/** Levenshtein's distance, or null above `limit`. */
function editDistance(a: string, b: string, limit: number): number | null {
  if (Math.abs(a.length - b.length) > limit) return null;
  let row = ROWS[0];
  let next = ROWS[1];
  for (let j = 0; j <= b.length; j++) row[j] = j;
  for (let i = 1; i <= a.length; i++) {
    next[0] = i;
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1] + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, changed);
      if (next[j] < least) least = next[j];
    }
    if (least > limit) return null;
    [row, next] = [next, row];
  }
  return row[b.length] <= limit ? row[b.length] : null;
}
