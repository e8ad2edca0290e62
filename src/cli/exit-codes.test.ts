import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as errors from '../errors.js';
import { ExitCode, exitCodeOf } from './exit-codes.js';

/** The program as a shell sees it: one process per exit code. Runs the build; `npm test` brings it up to date. */

const PROGRAM = join(process.cwd(), 'bin', 'featx.js');
const MODEL = join(process.cwd(), 'fixtures', 'timm', 'test_resnet.ts.onnx');
const onWindows = process.platform === 'win32';
let folder: string;

beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'featx-exit-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function featx(...argv: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, [PROGRAM, ...argv], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
}

test('0: done, and a long output arrives whole', () => {
  const { status, stdout, stderr } = featx('inspect', MODEL, MODEL, MODEL, '--tensors', '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).command),
  ).toEqual(['inspect', 'inspect', 'inspect']);
});

test('1: some models failed', () => expect(featx('inspect', MODEL, 'no.onnx').status).toBe(1));

test('2: usage, and no such name', () => {
  expect(featx('inspect', '--nonsense', MODEL).status).toBe(2);
  expect(featx('extract', MODEL, '--out', '99')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringContaining('0 to 4'),
  });
});

test('3: not a model', () => {
  writeFileSync(join(folder, 'page.onnx'), '<!DOCTYPE html><html>');
  expect(featx('inspect', 'page.onnx')).toMatchObject({ status: 3, stderr: expect.stringContaining('HTML') });
});

test('4: input/output', () => {
  expect(featx('inspect', 'no.onnx').status).toBe(4);
  expect(featx('extract', MODEL, '--out', '1', '-o', join(MODEL, 'out.onnx')).status).toBe(4);
});

test('5: a limit', () =>
  expect(featx('inspect', MODEL, '--max-index', '1KiB')).toMatchObject({
    status: 5,
    stderr: expect.stringContaining('--max-index'),
  }));

test('6: ONNX Runtime has no such provider here', () => {
  const foreign = process.platform === 'darwin' ? 'dml' : 'coreml';
  expect(featx('run', MODEL, '--out', '1', '--input', 'random', '--provider', foreign)).toMatchObject({
    status: 6,
    stdout: '',
    stderr: expect.stringContaining(foreign),
  });
});

test('7: a limit of memory', () =>
  expect(featx('run', MODEL, '--out', '1', '--input', 'random', '--max-memory', '1MiB')).toMatchObject({
    status: 7,
    stdout: '',
  }));

test('every class of error has its code; anything else is a bug', () => {
  const codes = {
    UsageError: 2,
    ResolveError: 2,
    ModelFormatError: 3,
    UnsupportedModelError: 3,
    IoError: 4,
    PolicyError: 5,
    RuntimeError: 6,
    TimeoutError: 7,
  };
  expect(Object.keys(errors).sort()).toEqual(['FeatxError', ...Object.keys(codes)].sort());
  for (const [name, code] of Object.entries(codes))
    expect(exitCodeOf(new errors[name as keyof typeof codes]('x'))).toBe(code);
  for (const error of [new TypeError('x'), 'x', undefined]) expect(exitCodeOf(error)).toBe(ExitCode.bug);
});

test('70: a bug in featx says so and how to report it', () => {
  const broken = join(folder, 'broken.mjs');
  // Standard output without a write method is a bug no user can make.
  writeFileSync(
    broken,
    `import { main } from ${JSON.stringify(`file://${join(process.cwd(), 'dist', 'cli', 'main.cjs').replaceAll('\\', '/')}`)};
    process.exitCode = await main(['--help'], { stdout: { on() {} }, stderr: process.stderr, env: {}, signal: new AbortController().signal });`,
  );
  const { status, stderr } = spawnSync(process.execPath, [broken], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 70, stderr: expect.stringMatching(/bug in featx .*\n.*--debug/) });
});

(onWindows ? test.skip : test).each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends a waiting command with %d and leaves no file', async (signal, code) => {
  const child = spawn(process.execPath, [PROGRAM, 'extract', '-', '--out', '1', '-o', 'signal.onnx'], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  child.stdin.on('error', () => undefined);
  // More than the pipe holds: it is taken once the program reads, and that is after it listens for signals.
  await new Promise((resolve) => child.stdin.write(Buffer.alloc(2 ** 21), resolve));
  child.kill(signal);
  expect(await ended).toBe(code);
  expect(existsSync(join(folder, 'signal.onnx'))).toBe(false);
  expect(readdirSync(folder).filter((name) => name.startsWith('.featx'))).toEqual([]);
});

(onWindows ? test.skip : test)('141: nobody reads', () => {
  const { status, stdout } = spawnSync(
    'bash',
    ['-c', `"${process.execPath}" "${PROGRAM}" inspect "${MODEL}" --tensors --json | true; echo \${PIPESTATUS[0]}`],
    { encoding: 'utf8' },
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: '141\n' });
});

(existsSync('/dev/full') ? test : test.skip)('4: standard output on a full disk', () => {
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'inspect', MODEL], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  });
  closeSync(full);
  expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringContaining('no space left') });
});

test('a cut that does not verify is a negative answer', () => {
  expect(exitCodeOf(new errors.RuntimeError('differs', { code: 'FEATX_VERIFY' }))).toBe(1);
  expect(exitCodeOf(new errors.RuntimeError('fails'))).toBe(6);
});
