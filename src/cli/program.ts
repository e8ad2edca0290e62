import { Command, CommanderError, type Option } from 'commander';
import { UsageError } from '../errors.js';
import { GROUPS, type Row } from '../options/row.js';
import { COMMAND_NAMES, flagFacts, flagsOf, longFlag, mainFlags, OPTIONS } from '../options/table.js';
import { VERSION } from '../version.js';
import { commandName } from './command-name.js';
import { COMMANDS } from './commands.js';
import type { CommonFlags, Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { addCommonFlags, addFlags, optionsNamed, withoutGuesses } from './flags.js';
import { inColumns } from './help-columns.js';

/** What a command line asks for: help, or a command. */
export type ParsedCommandLine =
  | { readonly help: string; readonly exitCode: number }
  | { readonly command: string; readonly flags: CommonFlags; run(context: Context): Promise<number> };

const DEFAULT_COLUMNS = 80;

/**
 * Reads a command line, loading only the command that it names.
 * @throws UsageError with the nearest command or flag
 */
export async function parseCommandLine(given: readonly string[], context: Context): Promise<ParsedCommandLine> {
  const isAll = wants(given, [HELP_ALL]);
  const argv = isAll ? asPlainHelp(given) : given;
  const printed: string[] = [];
  const width = context.style.width ?? DEFAULT_COLUMNS;
  const help = (): string => inColumns(printed.join(''), width);
  const program = new Command('featx');
  const prepare = (command: Command): Command =>
    command
      .exitOverride()
      .configureHelp({ subcommandTerm: (shown) => shown.name(), optionDescription: described, minWidthToWrap: 10 })
      .configureOutput({
        writeOut: (text) => printed.push(text),
        writeErr: (text) => printed.push(text),
        getOutHelpWidth: () => width,
        getErrHelpWidth: () => width,
        getOutHasColors: () => context.style.color,
        getErrHasColors: () => context.style.color,
      });
  const wanted = COMMANDS.find(({ name }) => name === commandName(argv));
  const known = COMMAND_NAMES.find((name) => name === wanted?.name);
  // Most command lines are a command, operands, and flags that there are: commander need not know the others.
  const named = known === undefined || argv[0] !== known ? null : optionsNamed(argv, known);
  withCommonFlags(prepare(program), named)
    .usage('COMMAND [flags]')
    .description(
      "Finds, cuts out and runs intermediate features of any ONNX backbone: timm's features_only for people who hold an .onnx file.",
    )
    .enablePositionalOptions()
    .addHelpText('after', ROOT_EXAMPLES);
  if (named === null) program.helpCommand('help [command]', 'print the help of a command');
  else program.helpCommand(false);
  let parsed: ParsedCommandLine | null = null;
  for (const entry of named === null ? COMMANDS : COMMANDS.filter(({ name }) => name === known)) {
    const command = prepare(program.command(entry.name)).summary(entry.summary).description(asSentence(entry.summary));
    if (entry !== wanted) continue;
    const loaded = await entry.load();
    loaded.configure(command.optionsGroup(GROUPS.flags));
    if (known !== undefined) addFlags(command, known, named);
    withCommonFlags(command, named);
    // What is hidden is not proposed for a flag that is misspelt either.
    if (!isAll && (argv[0] === 'help' || wants(argv, ['-h', '--help']))) shorten(command, entry.name);
    command.action(() => {
      parsed = {
        command: entry.name,
        flags: commonFlags(program, command),
        run: (running) => loaded.run(command.args, command, running),
      };
    });
  }
  try {
    if (argv.length === 0) program.outputHelp({ error: true });
    else await program.parseAsync(withoutGuesses(argv, wanted?.name), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { help: help(), exitCode: ExitCode.done };
    if (error.code !== 'commander.help') throw usageError(error, wanted?.name);
    const unknown = argv[0] === 'help' ? argv.slice(1).find((operand) => !operand.startsWith('-')) : undefined;
    if (unknown !== undefined && !COMMANDS.some(({ name }) => name === unknown))
      throw new UsageError(`there is no command '${unknown}'`, {
        hint: `there are ${COMMANDS.map(({ name }) => name).join(', ')}`,
      });
  }
  return parsed ?? { help: help(), exitCode: ExitCode.usage };
}

/** What a flag does, and the words it takes. */
function described({ description, argChoices }: Option): string {
  const choices = argChoices?.join(', ') ?? '';
  return description.includes(choices) ? description : `${description} (${choices})`;
}

function asSentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** A flag may stand before the command too; there it counts unless the command's own says otherwise. */
function commonFlags(program: Command, command: Command): CommonFlags {
  const isGiven = (at: Command, name: string): boolean => at.getOptionValueSource(name) === 'cli';
  const { json, quiet, strict, debug } = { ...program.opts<CommonFlags>(), ...command.opts<CommonFlags>() };
  return { json, quiet, strict, debug, color: !isGiven(program, 'color') && !isGiven(command, 'color') };
}

function withCommonFlags(command: Command, named: ReadonlySet<Row> | null): Command {
  addCommonFlags(command, named);
  if (named !== null) return command.helpOption(false);
  return command
    .optionsGroup(GROUPS.common)
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option(HELP_ALL, 'print every flag');
}

const HELP_ALL = '--help-all';

function wants(argv: readonly string[], flags: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((word) => flags.includes(word));
}

/** The command line that asks for help as commander knows it. */
function asPlainHelp(argv: readonly string[]): readonly string[] {
  const rest = argv.filter((word) => word !== HELP_ALL);
  return argv[0] === 'help' ? rest : [...rest, '--help'];
}

/** Leaves the main flags alone in the help of a command that has many. */
function shorten(command: Command, name: string): void {
  const known = COMMAND_NAMES.find((other) => other === name);
  const flags = known === undefined ? null : mainFlags(known);
  if (flags === null) return;
  const main = new Set(flags);
  const hidden = command.options.filter(({ long }) => long !== null && long !== undefined && !main.has(long));
  for (const option of hidden) if (option.long !== HELP_ALL) option.hideHelp();
  command.addHelpText('after', `featx ${name} ${HELP_ALL} lists ${hidden.length - 1} more flags.\n`);
}

/** commander's words as one of our errors: its suggestion becomes the hint. */
function usageError(error: CommanderError, command: string | undefined): UsageError {
  const meant = flagMeant(error.message, command);
  const others = commandsWith(error.message);
  const isMany = error.code === 'commander.excessArguments';
  const [message, suggestion] = error.message.replace(/^error: /, '').split('\n');
  const hint = suggestion
    ?.replace(/^\((.*)\)$/, '$1')
    .replace(/^Did you mean one of (.*)\?$/, 'did you mean one of $1?')
    .replace(/^Did you mean/, 'did you mean');
  return new UsageError(message, {
    hint:
      elsewhere(meant, others) ??
      hint ??
      (isMany && hasFlag(command, '--out') ? 'features are chosen with --out, --module or --tensor' : undefined) ??
      (command === undefined ? 'featx help lists the commands' : `featx help ${command} lists its flags`),
  });
}

function hasFlag(command: string | undefined, long: string): boolean {
  const known = COMMAND_NAMES.find((name) => name === command);
  return known !== undefined && flagsOf(known).some(([, row]) => longFlag(flagFacts(row, known).flag ?? '') === long);
}

/** Where a flag is known, and what may be meant here. */
function elsewhere(meant: string | null, others: string | null): string | null {
  if (meant === null) return others;
  return others === null ? `did you mean ${meant}?` : `${others}; here it may be ${meant}`;
}

/** The commands that have a flag which this one has not. */
function commandsWith(message: string): string | null {
  const [, given] = /unknown option '(--[\w-]+)/.exec(message) ?? [];
  const having = OPTIONS.json.cli.filter((name) =>
    flagsOf(name).some(([, row]) => longFlag(flagFacts(row, name).flag ?? '') === given),
  );
  return having.length === 0 ? null : `${given} is a flag of ${having.map((name) => `featx ${name}`).join(', ')}`;
}

/** The flag of a command that other tools call what was given. */
function flagMeant(message: string, command: string | undefined): string | null {
  const [, given] = /unknown option '(--[\w-]+)/.exec(message) ?? [];
  const known = OPTIONS.json.cli.find((name) => name === command);
  const found =
    known === undefined ? undefined : flagsOf(known).find(([, row]) => row.elsewhere?.includes(given ?? '') === true);
  return found === undefined || known === undefined ? null : longFlag(flagFacts(found[1], known).flag ?? '');
}

const ROOT_EXAMPLES = `
Examples:
  featx inspect backbone.onnx
  featx extract backbone.onnx --out 1,2,3
  featx help extract

Exit codes: 0 done, 1 some items failed or differ, 2 usage or no such name, 3 not a model featx can handle, 4 input/output, 5 refused for safety, 6 ONNX Runtime, 7 time or memory limit, 70 a bug in featx, 130/143 interrupted, 141 closed pipe.
`;
