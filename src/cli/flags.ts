import { Option, type Command } from 'commander';
import { SELECTS, type Selector } from '../options/feature-kinds.js';
import { GROUPS, readText, type CommandName, type OptionSet, type Row } from '../options/row.js';
import { flagFacts, flagsOf, longFlag, OPTIONS, optionsOf, rowOf, type OptionKey } from '../options/table.js';
import type { FlagsOf, OptionsOf } from '../options/types.js';

/** What was selected, in the order of the command line. */
const selected = new WeakMap<Command, Selector[]>();

/**
 * The options whose flags a command line names; null if it has a word that may be anything else: help, a flag that is
 * misspelt, or one that a value is joined to. Only then does commander have to know every flag.
 */
export function optionsNamed(argv: readonly string[], name: CommandName): ReadonlySet<Row> | null {
  const words = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  const flags = words.flatMap((word) => (word.startsWith('-') && word !== '-' ? [word.split('=', 1)[0]] : []));
  const named = new Set<Row>();
  if (flags.length === 0) return named;
  const spelt = new Map(flagsOf(name).flatMap(([, row]) => spellings(row, name).map((flag) => [flag, row] as const)));
  for (const flag of flags) {
    const row = spelt.get(flag);
    if (row === undefined) return null;
    named.add(row);
  }
  return named;
}

/** Every way to write the flag of an option: `-o`, `--output`. */
function spellings(row: Row, name: CommandName): readonly string[] {
  const { flag = '' } = flagFacts(row, name);
  return `${flag}, ${row.negated?.flag ?? ''}`.match(/(?<![^\s,])--?[\w-]+/g) ?? [];
}

/** Adds the flags that a command has of its own: of these options, or all of them. */
export function addFlags(command: Command, name: CommandName, named: ReadonlySet<Row> | null): void {
  selected.set(command, []);
  for (const [, row] of flagsOf(name))
    if (row.group !== GROUPS.common && named?.has(row) !== false) addFlag(command, row, name);
}

/** Adds the flags that every command has: of these options, or all of them. */
export function addCommonFlags(command: Command, named: ReadonlySet<Row> | null): void {
  for (const [, row] of flagsOf('inspect'))
    if (row.group === GROUPS.common && named?.has(row) !== false) addFlag(command, row, 'inspect');
}

function addFlag(command: Command, row: Row, name: CommandName): void {
  const { flag = '', help, group = GROUPS.flags, kind } = flagFacts(row, name);
  const option = new Option(flag, help);
  if (kind.choices !== undefined) option.choices(kind.choices);
  const { selects } = row;
  const long = longFlag(flag);
  if (selects !== undefined)
    option.preset('').argParser((text: string) => {
      for (const selector of SELECTS[selects](long, text)) selected.get(command)?.push(selector);
      return true;
    });
  else if (kind.parse !== undefined)
    option.argParser((text: string, before: unknown) => {
      const value = readText(kind, long, text);
      return before === undefined || kind.add === undefined ? value : kind.add(long, before as never, value as never);
    });
  if (row.conflicts !== undefined) option.conflicts(row.conflicts);
  command.addOption(option.helpGroup(group));
  if (row.negated !== undefined) command.addOption(new Option(row.negated.flag, row.negated.help).helpGroup(group));
}

/**
 * A command line in which a flag whose value may be left out takes the next word only if that is one: in
 * `--embedding model.onnx` the word is an operand.
 */
export function withoutGuesses(argv: readonly string[], name: string | undefined): readonly string[] {
  if (!argv.some((word) => word.startsWith('--'))) return argv;
  const command = OPTIONS.json.cli.find((known) => known === name);
  const optional = new Map(
    (command === undefined ? [] : flagsOf(command)).flatMap(([, row]) => {
      const { flag = '' } = flagFacts(row, command ?? 'inspect');
      return flag.includes('[') ? [[longFlag(flag), row.kind] as const] : [];
    }),
  );
  const end = argv.indexOf('--');
  return argv.map((word, at) => {
    const kind = end >= 0 && at >= end ? undefined : optional.get(word);
    return kind === undefined || kind.accepts(argv[at + 1]) ? word : `${word}=`;
  });
}

/** The options whose flags were given, with the flags. */
export function givenFlags(command: Command, name: CommandName): readonly (readonly [key: OptionKey, flag: string])[] {
  const given = new Set(command.options.filter((option) => isGiven(command, option)).map(({ long }) => long));
  if (given.size === 0) return [];
  return flagsOf(name).flatMap(([key, row]) => {
    const long = longFlag(flagFacts(row, name).flag ?? '');
    return given.has(long) ? [[key, long] as const] : [];
  });
}

function isGiven(command: Command, option: Option): boolean {
  return command.getOptionValueSource(option.attributeName()) === 'cli';
}

function commanderKey(flag: string): string {
  return new Option(flag).attributeName();
}

/** What the flags of a command line say, in the library's spelling; what was not given is not there. */
export function readFlags<C extends CommandName>(command: Command, name: C): FlagsOf<C> {
  const said: { [key: string]: unknown } = {};
  const names = selected.get(command) ?? [];
  if (names.length > 0) said.select = names;
  for (const [key, flag] of givenFlags(command, name)) {
    const row = rowOf(key);
    if (row.selects !== undefined) continue;
    const given: unknown = command.getOptionValue(commanderKey(flag));
    const value = typeof given === 'boolean' && row.negated === undefined ? (row.gives ?? true) : given;
    const [object, inner] = key.split('.');
    if (inner === undefined) said[key] = value;
    else said[object] = { ...(said[object] as object | undefined), [inner]: value };
  }
  return said as FlagsOf<C>;
}

/**
 * Of what flags say, the options that a function takes; `features`, whose flag names a file, is for the command to
 * read.
 */
export function optionsFor<S extends OptionSet>(set: S, said: object): Omit<OptionsOf<S>, 'features'> {
  const taken = new Set(optionsOf(set).map(([key]) => key.split('.')[0]));
  return Object.fromEntries(Object.entries(said).filter(([key]) => key !== 'features' && taken.has(key))) as Omit<
    OptionsOf<S>,
    'features'
  >;
}
