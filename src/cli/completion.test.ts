import { spawnSync } from 'node:child_process';
import { COMMAND_NAMES } from '../options/table.js';
import { runCli } from '../testing/cli.js';
import { VERSION } from '../version.js';
import { completedCommands } from './completion-data.js';

const script = async (shell: string): Promise<string> => (await runCli(['completion', shell])).stdout;
const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

test('every command and every flag is there', async () => {
  const commands = completedCommands();
  expect(commands.map(({ name }) => name)).toEqual(expect.arrayContaining([...COMMAND_NAMES, 'completion']));
  const extract = commands.find(({ name }) => name === 'extract');
  const of = (long: string): unknown => extract?.flags.find((flag) => flag.long === long)?.value;
  expect([of('--mode'), of('--output'), of('--dry-run'), of('--out')]).toEqual([
    ['dict', 'list', 'hook'],
    'file',
    'none',
    'text',
  ]);
  for (const shell of ['bash', 'zsh', 'fish', 'powershell', 'man']) {
    const text = (await script(shell)).replaceAll('\\-', '-');
    for (const { name, flags } of commands) {
      expect(text).toContain(name);
      for (const { long } of flags) expect(text).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long);
    }
  }
});

(has('bash') ? test : test.skip)('bash completes commands, flags and the words of a flag', async () => {
  const complete = (...line: readonly string[]): string =>
    spawnSync(
      'bash',
      [
        '-c',
        `eval "$(cat)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _featx; echo "\${COMPREPLY[@]}"`,
        'bash',
        ...line,
      ],
      { input: written, encoding: 'utf8' },
    ).stdout.trim();
  const written = await script('bash');
  expect(complete('featx', 'ex')).toBe('extract');
  expect(complete('featx', 'extract', 'm.onnx', '--dry')).toBe('--dry-run');
  expect(complete('featx', 'extract', '--mode', '')).toBe('dict list hook');
  expect(complete('featx', 'extract', 'mo')).toBe('');
});

(has('zsh') ? test : test.skip)('zsh reads its script', async () => {
  expect(spawnSync('zsh', ['-n'], { input: await script('zsh') }).status).toBe(0);
});

(has('fish') ? test : test.skip)('fish reads its script', async () => {
  expect(spawnSync('fish', ['-n'], { input: await script('fish') }).status).toBe(0);
});

(has('pwsh') ? test : test.skip)('PowerShell reads its script', async () => {
  const parse =
    '$wrong = $null; [void][Management.Automation.Language.Parser]::ParseInput(($input | Out-String), [ref]$null, [ref]$wrong); $wrong.Count';
  const { stdout } = spawnSync('pwsh', ['-NoProfile', '-Command', parse], {
    input: await script('powershell'),
    encoding: 'utf8',
  });
  expect(stdout.trim()).toBe('0');
});

test('what has no completion is told what there is', async () => {
  expect(await runCli(['completion', 'csh'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('powershell') });
});

test('help is short, and whole if asked for', async () => {
  const lines = (text: string): number => text.split('\n').filter((line) => /^ {2}(-\w, )?--/.test(line)).length;
  const short = (await runCli(['extract', '--help'])).stdout;
  const whole = (await runCli(['extract', '--help-all'])).stdout;
  expect(lines(short)).toBeLessThan(20);
  expect(lines(whole)).toBeGreaterThan(40);
  expect(short).toMatch(/featx extract --help-all lists \d+ more flags\.\n/);
  expect((await runCli(['help', 'extract', '--help-all'])).stdout).toBe(whole);
  expect((await runCli(['help', 'extract'])).stdout).toBe(short);
  for (const columns of [50, 60, 80, 100]) {
    for (const line of [['extract', '--help'], ['run', '--help'], ['help']]) {
      const { stdout } = await runCli(line, { isTerminal: true, columns });
      const wide = stdout.split('\n').filter((text) => text.length > columns);
      // A command can be copied as a whole; nothing else is wider than the terminal.
      expect(wide.filter((text) => !/^  featx \S+( \S+)*$/.test(text))).toEqual([]);
    }
  }
});

test('the version has a command too', async () => {
  expect(await runCli(['version'])).toMatchObject({ exit: 0, stdout: `${VERSION}\n` });
  expect(JSON.parse((await runCli(['version', '--json'])).stdout)).toMatchObject({ featx: VERSION });
});
