import { readFileSync } from 'node:fs';
import { DEFAULT_LIMITS, LIMITS } from '../onnx/limits.js';
import { runCli } from '../testing/cli.js';

const flagsOf = (help: string): string[] =>
  [...help.matchAll(/^ {2}(?:-\w, )?(--(?:max-[a-z]+|timeout))/gm)].map(([, flag]) => flag);

test.each(['inspect', 'extract', 'run', 'verify'])(
  '%s --help names every limit with its default and reason, and the documentation has a row for it',
  async (command) => {
    const { stdout } = await runCli(['help', command]);
    const shown = stdout.replace(/\s+/g, ' ');
    for (const { flag, what, reason } of Object.values(LIMITS)) {
      expect(shown).toContain(flag);
      expect(shown).toContain(what);
      expect(shown).toContain(reason);
    }
    const documented = readFileSync('docs/limits.md', 'utf8');
    const flags = flagsOf(stdout);
    expect(flags.length).toBeGreaterThan(8);
    for (const flag of flags) expect(documented).toContain(`| \`${flag} `);
  },
);

test('the documentation has the defaults and codes', () => {
  const documented = readFileSync('docs/limits.md', 'utf8');
  for (const [name, { flag, code, unit }] of Object.entries(LIMITS)) {
    const standard = DEFAULT_LIMITS[name as keyof typeof DEFAULT_LIMITS];
    const shown =
      unit === 'n' ? String(standard) : standard >= 2 ** 20 ? `${standard / 2 ** 20}MiB` : `${standard / 2 ** 10}KiB`;
    expect(documented).toMatch(
      new RegExp(`^\\| \`${flag} \\w+\` \\| ${shown} \\| \`limits\\.${name}\` \\| \`${code}\` \\|`, 'm'),
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
