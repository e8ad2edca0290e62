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
  return pattern.includes('\\') ? pattern.replace(/\\([\s\S])/g, '$1') : pattern;
}

/** A run of a pattern between two `*`. */
interface Run {
  readonly text: string;
  /** Which characters are `?`; null where none is. */
  readonly any: readonly boolean[] | null;
  /** Of a long run without `?`: for each length that matched, the longest shorter beginning that ends there too. */
  readonly borders: Int32Array | null;
}

/** A pattern taken apart, to be matched against many names. */
export type Glob = readonly Run[];

/** Looked for from every place on; longer runs need the way that never goes back. */
const SHORT_RUN = 16;

let last: { readonly pattern: string; readonly glob: Glob } = { pattern: '', glob: [runOf('', [])] };

/** Takes a pattern apart; the same one again and again costs nothing. */
export function globOf(pattern: string): Glob {
  if (last.pattern === pattern) return last.glob;
  const runs: Run[] = [];
  let text = '';
  let any: boolean[] = [];
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === '*') {
      runs.push(runOf(text, any));
      [text, any] = ['', []];
      continue;
    }
    const isWild = pattern[at] === '?';
    if (pattern[at] === '\\' && at + 1 < pattern.length) at++;
    text += pattern[at];
    any.push(isWild);
  }
  runs.push(runOf(text, any));
  last = { pattern, glob: runs };
  return runs;
}

function runOf(text: string, any: readonly boolean[]): Run {
  if (any.includes(true)) return { text, any, borders: null };
  if (text.length <= SHORT_RUN) return { text, any: null, borders: null };
  const borders = new Int32Array(text.length + 1);
  for (let at = 1, matched = 0; at < text.length; at++) {
    while (matched > 0 && text[at] !== text[matched]) matched = borders[matched];
    if (text[at] === text[matched]) matched++;
    borders[at + 1] = matched;
  }
  return { text, any: null, borders };
}

function standsAt({ text, any }: Run, name: string, at: number, separator: string): boolean {
  if (any === null) return name.startsWith(text, at);
  for (let index = 0; index < text.length; index++) {
    const character = name[at + index];
    if (any[index] ? separator !== '' && character === separator : character !== text[index]) return false;
  }
  return true;
}

/**
 * Where a run first stands from `from` on, beginning at `limit` at the latest; -1 where it does not. Linear in the name
 * for runs without `?`.
 */
function findRun(run: Run, name: string, from: number, limit: number, separator: string): number {
  const { text, any, borders } = run;
  if (any === null && borders === null) {
    const found = name.indexOf(text, from);
    return found <= limit ? found : -1;
  }
  if (borders === null) {
    for (let at = from; at <= limit; at++) if (standsAt(run, name, at, separator)) return at;
    return -1;
  }
  for (let at = from, matched = 0; at < name.length; at++) {
    while (matched > 0 && name[at] !== text[matched]) matched = borders[matched];
    if (at - matched > limit) return -1;
    if (name[at] === text[matched]) matched++;
    if (matched === text.length) return at - matched + 1;
  }
  return -1;
}

/**
 * Matches a whole name: `*` any run of characters, `?` one, `\` takes the next character as it is. Neither wildcard
 * crosses `separator`. Time is linear in the name, whatever the pattern, but for runs with a `?`, which cost the
 * product of both lengths at most.
 */
export function matchesGlob(pattern: string | Glob, name: string, separator = ''): boolean {
  const runs = typeof pattern === 'string' ? globOf(pattern) : pattern;
  const [first] = runs;
  const end = runs[runs.length - 1];
  if (runs.length === 1) return name.length === first.text.length && standsAt(first, name, 0, separator);
  if (first.text.length + end.text.length > name.length || !standsAt(first, name, 0, separator)) return false;
  const tail = name.length - end.text.length;
  let at = first.text.length;
  for (let index = 1; index < runs.length - 1; index++) {
    const found = findRun(
      runs[index],
      name,
      at,
      Math.min(reachOf(name, at, separator), tail - runs[index].text.length),
      separator,
    );
    if (found < 0) return false;
    at = found + runs[index].text.length;
  }
  return at <= tail && tail <= reachOf(name, at, separator) && standsAt(end, name, tail, separator);
}

/** How far a `*` that begins at `at` goes. */
function reachOf(name: string, at: number, separator: string): number {
  const next = separator === '' ? -1 : name.indexOf(separator, at);
  return next < 0 ? name.length : next;
}

/** The longest text that every name must hold to match. */
export function longestLiteral(glob: Glob): string {
  let longest = '';
  for (const { text, any } of glob) {
    for (let from = 0, at = 0; at <= text.length; at++) {
      if (at < text.length && any?.[at] !== true) continue;
      if (at - from > longest.length) longest = text.slice(from, at);
      from = at + 1;
    }
  }
  return longest;
}
