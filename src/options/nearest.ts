/** The names nearest to one that is missing, nearest first. */
export function nearestNames(wanted: string, names: Iterable<string>, count = 3): readonly string[] {
  const goal = wanted.toLowerCase().slice(0, LONGEST_COMPARED);
  const scored: { readonly name: string; readonly distance: number }[] = [];
  let seen = 0;
  for (const name of names) {
    if (++seen > MOST_COMPARED) break;
    const candidate = name.toLowerCase().slice(0, LONGEST_COMPARED);
    const within = candidate.includes(goal) || goal.includes(candidate) ? 1 : null;
    const distance = within ?? editDistance(goal, candidate, Math.max(2, Math.ceil(goal.length / 2)));
    if (distance !== null && candidate !== '') scored.push({ name, distance });
  }
  return scored
    .sort(
      (a, b) =>
        a.distance - b.distance || Math.abs(a.name.length - wanted.length) - Math.abs(b.name.length - wanted.length),
    )
    .slice(0, count)
    .map(({ name }) => name);
}

const LONGEST_COMPARED = 64;
const MOST_COMPARED = 20_000;

/** Levenshtein's distance, or null above `limit`. */
function editDistance(a: string, b: string, limit: number): number | null {
  if (Math.abs(a.length - b.length) > limit) return null;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    if (Math.min(...next) > limit) return null;
    row = next;
  }
  return row[b.length] <= limit ? row[b.length] : null;
}
