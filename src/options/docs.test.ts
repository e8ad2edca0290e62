import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../testing/cli.js';
import type { CommandName } from './row.js';
import { flagFacts, flagsOf, longFlag, OPTIONS } from './table.js';

/** The documents of the program, held against its table of options. */
const DOCUMENTS = ['README.md', 'SECURITY.md', ...readdirSync('docs').map((name) => join('docs', name))]
  .filter((path) => path.endsWith('.md'))
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const COMMANDS: readonly CommandName[] = OPTIONS.json.cli;
const EVERY_COMMAND = ['--help', '--help-all', '--version'];

function longFlags(command: CommandName): readonly string[] {
  return flagsOf(command).flatMap(([, row]) => {
    const { flag = '' } = flagFacts(row, command);
    return [longFlag(flag), ...(row.negated === undefined ? [] : [row.negated.flag])];
  });
}

test('every option that a command takes has a flag there', () => {
  const flagless = Object.entries(OPTIONS).flatMap(([key, row]) =>
    ('cli' in row ? (row.cli as readonly CommandName[]) : []).flatMap((command) =>
      (flagFacts(row as Parameters<typeof flagFacts>[0], command).flag ?? '') === '' ? [`${command}: ${key}`] : [],
    ),
  );
  expect(flagless).toEqual([]);
});

const FLAGS = new Map(COMMANDS.map((command) => [command, new Set([...longFlags(command), ...EVERY_COMMAND])]));
const flagsIn = (text: string): readonly string[] =>
  [...text.matchAll(/(?<![\w-])--[a-z][\w-]*/g)].map(([flag]) => flag);

function scriptsUnder(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(mjs|py|sh)$/.test(path))
    .map((path) => readFileSync(join(folder, path), 'utf8'));
}

test('a command line in a document gives a command the flags that it has', () => {
  const lines = DOCUMENTS.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:^|[`$ (])featx ([a-z]+)((?: [^\n`|]*)?)/gm)].map(([, command, rest]) => ({
      path,
      command,
      rest,
    })),
  );
  expect(lines.length).toBeGreaterThan(40);
  const wrong = lines.flatMap(({ path, command, rest }) => {
    const known = FLAGS.get(COMMANDS.find((name) => name === command) ?? 'inspect');
    if (!COMMANDS.some((name) => name === command)) return [];
    // Prose goes on after a command; another command in the line has flags of its own.
    return flagsIn(rest.split(/ featx |[;|]/)[0])
      .filter((flag) => !known?.has(flag))
      .map((flag) => `${path}: ${command} ${flag}`);
  });
  expect(wrong).toEqual([]);
});

test("every flag in a column of flags is one of the command's that its table is of", () => {
  const flags = readFileSync('docs/flags.md', 'utf8');
  const tables = [...flags.matchAll(/\(((?:`[a-z]+`(?:, )?)+)\)[^\n]*\n\n\| flag [^\n]*\n[^\n]*\n((?:\|[^\n]*\n)+)/g)];
  expect(tables.length).toBeGreaterThanOrEqual(2);
  const wrong = tables.flatMap(([, heading, rows]) => {
    const commands = COMMANDS.filter((name) => heading.includes(`\`${name}\``));
    const flags = rows.split('\n').flatMap((row) => flagsIn(row.split(' | ')[0]));
    expect([commands.length > 0, flags.length > 3]).toEqual([true, true]);
    return flags.flatMap((flag) =>
      commands.filter((name) => !FLAGS.get(name)?.has(flag)).map((name) => `${name} has no ${flag}`),
    );
  });
  expect(wrong).toEqual([]);
});

test('the table of commands shows every command, and only flags that it has', () => {
  const rows = [
    ...readFileSync('README.md', 'utf8').matchAll(
      /^\| ((?:`featx [^`|]*(?:\\\|[^`]*)*` ?)+)\|[^\n]*\| ([^\n|]*(?:\\\|[^\n|]*)*) \|$/gm,
    ),
  ];
  const shown = rows.flatMap(([, names]) => COMMANDS.filter((name) => names.includes(`featx ${name}`)));
  expect([...shown].sort()).toEqual([...COMMANDS].sort());
  const wrong = rows.flatMap(([, names, flags]) => {
    const commands = COMMANDS.filter((name) => names.includes(`featx ${name}`));
    return flagsIn(flags).filter((flag) => !commands.some((name) => FLAGS.get(name)?.has(flag)));
  });
  expect(wrong).toEqual([]);
});

test('every flag that a document names is a flag of some command, or of a script of this repository', () => {
  const scripts = [...scriptsUnder('scripts'), ...scriptsUnder('bench')];
  const known = new Set([...FLAGS.values()].flatMap((flags) => [...flags]).concat(scripts.flatMap(flagsIn)));
  const foreign = /`(?:npm|node|sh|npx|docker|kubectl|sbatch|cargo|python|git|curl)\b[^`]*`|```[^]*?```|\S*npm [^\n]*/g;
  const unknown = DOCUMENTS.flatMap(({ path, text }) =>
    flagsIn(text.replace(foreign, ''))
      .filter((flag) => !known.has(flag))
      .map((flag) => `${path}: ${flag}`),
  );
  expect([...new Set(unknown)]).toEqual([]);
});

test.each(COMMANDS)('%s --help-all shows the flags of the table, each once, and no other', async (command) => {
  const { stdout } = await runCli([command, '--help-all']);
  const shown = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z][\w-]*)/gm)].map(([, flag]) => flag);
  expect([...shown].sort()).toEqual([...longFlags(command), ...EVERY_COMMAND].sort());
});
