import { readFileSync } from 'node:fs';
import { DEFAULT_LIMITS } from '../onnx/limits.js';
import { GROUPS, type CommandName } from '../options/row.js';
import { flagFacts, flagsOf, longFlag } from '../options/table.js';
import { runCli } from '../testing/cli.js';

const COMMANDS: readonly CommandName[] = ['inspect', 'extract', 'run', 'verify'];

test.each(COMMANDS)(
  '%s --help names every limit with its default and reason, and the documentation has a row for it',
  async (command) => {
    const { stdout } = await runCli([command, '--help-all']);
    const shown = stdout.replace(/\s+/g, ' ');
    const documented = readFileSync('docs/limits.md', 'utf8');
    const limits = flagsOf(command)
      .map(([, row]) => flagFacts(row, command))
      .filter(({ group }) => group === GROUPS.limits);
    expect(limits.length).toBeGreaterThan(7);
    for (const { flag = '', help = '' } of limits) {
      expect(shown).toContain(`${flag} ${help}`);
      expect(documented).toContain(`| \`${longFlag(flag)} `);
    }
  },
);

test('the documentation has the defaults of the limits of the reader', () => {
  const documented = readFileSync('docs/limits.md', 'utf8');
  for (const [key, row] of flagsOf('inspect')) {
    const [object, name] = key.split('.');
    if (object !== 'limits') continue;
    const standard = DEFAULT_LIMITS[name as keyof typeof DEFAULT_LIMITS];
    const { flag = '' } = row;
    const shown = flag.endsWith('<n>')
      ? String(standard)
      : standard >= 2 ** 20
        ? `${standard / 2 ** 20}MiB`
        : `${standard / 2 ** 10}KiB`;
    expect(row.help).toContain(`(default: ${shown}, `);
    expect(documented).toMatch(
      new RegExp(`^\\| \`${longFlag(flag)} \\w+\` \\| ${shown} \\| \`${key}\` \\| \`FEATX_\\w+\` \\|`, 'm'),
    );
  }
});

test.each([
  ['--max-depth', '5', 'FEATX_WIRE_DEPTH'],
  ['--max-index', '10KiB', 'FEATX_LIMIT_INDEX'],
  ['--max-name', '3', 'FEATX_LIMIT_NAME'],
])('%s %s is obeyed', async (flag, value, code) => {
  const { exit, stdout } = await runCli(['inspect', 'fixtures/models/01-capture-nested.onnx', '--json', flag, value]);
  expect([exit, JSON.parse(stdout).error.code]).toEqual([5, code]);
  expect(JSON.parse(stdout).error.hint).toContain(flag);
});

test.each([
  ['--max-functions', '3', 'FEATX_LIMIT_FUNCTIONS'],
  ['--max-calls', '1', 'FEATX_LIMIT_CALLS'],
  ['--max-expansion', '2', 'FEATX_LIMIT_EXPANSION'],
])('%s %s is obeyed', async (flag, value, code) => {
  const { exit, stdout } = await runCli(['inspect', 'fixtures/models/05-functions.onnx', '--json', flag, value]);
  expect([exit, JSON.parse(stdout).error.code]).toEqual([5, code]);
  expect(JSON.parse(stdout).error.hint).toContain(flag);
});

test('a depth that JavaScript cannot follow is refused as a flag', async () => {
  const { exit, stderr } = await runCli(['inspect', 'fixtures/models/05-functions.onnx', '--max-depth', '5000']);
  expect(exit).toBe(2);
  expect(stderr).toContain('from 1 to 1000');
});
