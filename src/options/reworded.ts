import type { FeatxError } from '../errors.js';
import type { AnyKind, CommandName, OptionSet } from './row.js';
import { COMMAND_NAMES, commandsOf, flagFacts, isKey, longFlag, rowOf, ROWS, type OptionKey } from './table.js';
import { ANY, END } from './words.js';

/** Messages read back: the options that they name, in the words of the command line or of another function. */

/**
 * What messages quote, names and values that are not ours, and what stands in backticks; an apostrophe inside a word
 * quotes nothing.
 */
const QUOTED_OR_WORDS = /(?<![\w`])'[^]{0,2000}?'(?![\w`])|`([^`]*)`/g;

/** A message with other words where it names an option or a call; what it quotes stays as it is. */
function replaceWords(text: string, say: (words: string, whole: string) => string): string {
  return text.replace(QUOTED_OR_WORDS, (whole, words: string | undefined) =>
    words === undefined ? whole : say(words, whole),
  );
}

/** A message in the words of a function that calls some options otherwise: timm's networks say `outIndices`. */
export function inWordsOf(text: string, set: OptionSet): string {
  return replaceWords(text, (words, whole) => {
    const [, key = '', rest = ''] = /^([\w.]+)((?:: .*)?)$/s.exec(words) ?? [];
    const said = isKey(key) ? rowOf(key).per?.[set]?.words : undefined;
    return said === undefined ? whole : `\`${said}${rest}\``;
  });
}

/** Says the message and the hint of an error, and the message in its stack, in other words. */
export function reworded(error: FeatxError, say: (text: string) => string): FeatxError {
  const message = say(error.message);
  const stack = error.stack?.replace(error.message, () => message);
  return Object.assign(error, { message, stack, hint: error.hint === undefined ? undefined : say(error.hint) });
}

/** A message in the words of the command line: every option that it names by its flag at `command`. */
export function inFlags(text: string, command: CommandName | null): string {
  return replaceWords(text, (words, whole) => callInFlags(words) ?? optionInFlags(words, command) ?? whole);
}

function callInFlags(words: string): string | null {
  const [, name, options = ''] = /^(\w+)\(model(?:, \{ (.*) \})?\)$/.exec(words) ?? [];
  const command = COMMAND_NAMES.find((known) => known === name);
  if (command === undefined) return null;
  const flags = options.split(', ').flatMap((part) => (part === '' ? [] : (optionInFlags(part, command) ?? [])));
  return `\`${['featx', command, 'MODEL', ...flags].join(' ')}\``;
}

function optionInFlags(words: string, command: CommandName | null): string | null {
  const [, start, name] = /^(select: \[\{ by: '\w+', name)(?:: (.*))? \}\]$/s.exec(words) ?? [];
  const exact = start === undefined ? undefined : BY_WORDS.get(`${start}${END}`);
  const [, key, value] = exact === undefined ? (/^([\w.]+)(?:: (.*))?$/s.exec(words) ?? []) : ['', exact, name];
  if (key === undefined || !isKey(key)) return null;
  const row = rowOf(key);
  const commands = commandsOf(row);
  const { flag, kind } = flagFacts(
    row,
    command !== null && commands.includes(command) ? command : (commands[0] ?? 'extract'),
  );
  // What only a program can set keeps its name.
  if (flag === undefined) return key;
  const long = longFlag(flag);
  if (value === undefined) return long;
  if (value === ANY) return `${long} ${(/[<[](.*?)[\]>]/.exec(flag)?.[1] ?? '').toUpperCase()}`.trim();
  const meant = literalValue(value);
  if (meant === undefined) return null;
  if (typeof meant === 'boolean') return meant === (row.gives ?? true) ? long : (row.negated?.flag ?? null);
  return spelled(kind, meant)
    .map((text) => `${long} ${shellQuoted(text)}`)
    .join(' ');
}

function spelled({ spell }: AnyKind, value: unknown): readonly string[] {
  if (spell !== undefined) return spell(value as never);
  return [Array.isArray(value) ? value.join(',') : String(value)];
}

/** A text as a shell reads it back. */
function shellQuoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function literalValue(text: string): unknown {
  if (/^'.*'$/s.test(text)) return text.slice(1, -1);
  try {
    return JSON.parse(text);
  } catch {
    // Somebody's own backticks.
    return undefined;
  }
}

const BY_WORDS: ReadonlyMap<string, OptionKey> = new Map(
  ROWS.flatMap(([key, { words }]) => (words === undefined ? [] : [[words, key] as const])),
);
