/** Whether a pattern holds an unescaped `*` or `?`. */
export function isGlob(pattern: string): boolean {
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++;
    else if (pattern[at] === '*' || pattern[at] === '?') return true;
  }
  return false;
}

/** The name a pattern without wildcards stands for. */
export function unescaped(pattern: string): string {
  return pattern.replace(/\\([\s\S])/g, '$1');
}

/**
 * Matches a whole name: `*` any run of characters, `?` one, `\` takes the next character as it is. Neither wildcard crosses `separator`.
 * Time is at most the product of both lengths, whatever the pattern.
 */
export function matchesGlob(pattern: string, name: string, separator = ''): boolean {
  const wild = (character: string): boolean => separator === '' || character !== separator;
  let at = 0;
  let place = 0;
  let star = -1;
  let resume = 0;
  while (place < name.length) {
    const token = pattern[at];
    if (token === '*') {
      [star, resume] = [at++, place];
      continue;
    }
    const escaped = token === '\\' && at + 1 < pattern.length;
    const literal = escaped ? pattern[at + 1] : token;
    if (at < pattern.length && ((!escaped && token === '?' && wild(name[place])) || ((escaped || token !== '?') && literal === name[place]))) {
      at += escaped ? 2 : 1;
      place++;
    } else if (star >= 0 && wild(name[resume])) {
      at = star + 1;
      place = ++resume;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

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
  return scored.sort((a, b) => a.distance - b.distance || Math.abs(a.name.length - wanted.length) - Math.abs(b.name.length - wanted.length)).slice(0, count).map(({ name }) => name);
}

const LONGEST_COMPARED = 64;
const MOST_COMPARED = 20_000;

/** Levenshtein's distance, or null above `limit`. */
function editDistance(a: string, b: string, limit: number): number | null {
  if (Math.abs(a.length - b.length) > limit) return null;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    if (Math.min(...next) > limit) return null;
    row = next;
  }
  return row[b.length] <= limit ? row[b.length] : null;
}
