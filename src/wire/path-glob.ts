import { UsageError } from '../errors.js';

/**
 * Patterns of file names: `*` and `?` within a name, `**` for any folders, `[a-z]` and `[!a-z]`, `{a,b}`, and `\`
 * before a character that is meant itself. Names are matched in time proportional to the product of both lengths,
 * whatever the pattern: regular expressions, as globbing packages make them, take minutes for three stars.
 */

/** What a name must hold at one place: a character, one of a set, or, for null, any characters. */
type Token = ((character: string) => boolean) | null;

const MOST_ALTERNATIVES = 1024;
const WILD = /[*?]|\[[^\]]+\]|\{[^{}]*,[^{}]*\}/;

/** The pattern with what is escaped made harmless, at the same places. */
function bare(pattern: string): string {
  return pattern.replace(/\\[^]/g, '__');
}

/** Whether a path is a pattern. */
export function isPathGlob(pattern: string): boolean {
  return WILD.test(bare(pattern));
}

/** The path that a pattern without wildcards stands for. */
export function literalPath(pattern: string): string {
  return pattern.replace(/\\([^])/g, '$1');
}

/** The folder before the first wildcard, and what is looked for in it: each alternative as its parts. */
export interface SplitPattern {
  readonly base: string;
  readonly alternatives: readonly (readonly string[])[];
}

/** @throws UsageError if braces stand for too many patterns */
export function splitPattern(pattern: string): SplitPattern {
  const first = bare(pattern).search(/[*?{]|\[[^\]]+\]/);
  const end = pattern.lastIndexOf('/', first);
  const base = end < 0 ? '.' : literalPath(pattern.slice(0, end)) || '/';
  const alternatives = expanded(pattern.slice(end + 1)).map((text) =>
    text.split('/').filter((part) => part !== '' && part !== '.'),
  );
  return { base, alternatives };
}

/** Every pattern that one with braces stands for. */
function expanded(pattern: string): readonly string[] {
  const done: string[] = [];
  const waiting = [pattern];
  for (let text = waiting.pop(); text !== undefined; text = waiting.pop()) {
    const braces = innerBraces(text);
    if (braces === null) done.push(text);
    else
      for (const choice of braces.choices)
        waiting.push(`${text.slice(0, braces.start)}${choice}${text.slice(braces.end)}`);
    if (done.length + waiting.length > MOST_ALTERNATIVES)
      throw new UsageError(`the braces of '${pattern}' stand for more than ${MOST_ALTERNATIVES} patterns`, {
        hint: 'write * or **, or several patterns',
      });
  }
  return [...new Set(done)];
}

interface Braces {
  readonly start: number;
  readonly end: number;
  readonly choices: readonly string[];
}

/** The first braces with a comma that hold no others. */
function innerBraces(text: string): Braces | null {
  const found = /\{[^{}]*,[^{}]*\}/.exec(bare(text));
  if (found === null) return null;
  const start = found.index;
  const end = start + found[0].length;
  const choices: string[] = [];
  let from = start + 1;
  for (let at = from; at < end; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === ',' || at === end - 1) {
      choices.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return { start, end, choices };
}

/** What decides whether names fit one part of a pattern. */
export function nameMatcher(part: string): (name: string) => boolean {
  const tokens = tokensOf(Array.from(part));
  return (name) => matches(tokens, Array.from(name));
}

function tokensOf(part: readonly string[]): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < part.length; at++) {
    const close = part[at] === '[' ? part.indexOf(']', at + 2) : -1;
    if (part[at] === '*') tokens.push(null);
    else if (part[at] === '?') tokens.push(() => true);
    else if (close >= 0) {
      tokens.push(setOf(part.slice(at + 1, close)));
      at = close;
    } else {
      if (part[at] === '\\' && at + 1 < part.length) at++;
      const wanted = part[at];
      tokens.push((character) => character === wanted);
    }
  }
  return tokens;
}

function setOf(content: readonly string[]): (character: string) => boolean {
  const isOther = content[0] === '!' || content[0] === '^';
  const members = isOther ? content.slice(1) : content;
  const ranges: (readonly [string, string])[] = [];
  for (let at = 0; at < members.length; at++) {
    const isRange = members[at + 1] === '-' && at + 2 < members.length;
    ranges.push([members[at], members[isRange ? at + 2 : at]]);
    if (isRange) at += 2;
  }
  return (character) => ranges.some(([low, high]) => low <= character && character <= high) !== isOther;
}

/** Goes back to the last `*` only: what the ones before it took, they may keep. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < name.length; ) {
    const token = tokens[at];
    if (token === null) {
      star = at++;
      resume = index;
    } else if (token?.(name[index])) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else return false;
  }
  while (tokens[at] === null) at++;
  return at === tokens.length;
}

/** Whether a pattern (path, folder or glob, relative and with `/`) covers a path. */
export function covers(pattern: string, path: string): boolean {
  const names = path.split('/');
  return expanded(pattern).some((text) => {
    const parts = text.split('/');
    return matchesPath(parts, names) || matchesPath([...parts, '**'], names);
  });
}

function matchesPath(parts: readonly string[], names: readonly string[]): boolean {
  // Reachable positions of the pattern after each name: linear in both, whatever the number of `**`.
  const matchers = parts.map(nameMatcher);
  let at = closure(parts, new Set([0]));
  for (const name of names) {
    const next = new Set<number>();
    for (const place of at) {
      if (parts[place] === '**') next.add(place);
      else if (place < parts.length && matchers[place](name)) next.add(place + 1);
    }
    at = closure(parts, next);
  }
  return at.has(parts.length);
}

function closure(parts: readonly string[], places: Set<number>): Set<number> {
  for (const place of places) if (parts[place] === '**') places.add(place + 1);
  return places;
}
