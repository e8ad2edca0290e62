import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { inspect } from '../inspect.js';
import { runCli } from '../testing/cli.js';
import { VERSION } from '../version.js';
import { COMMANDS } from './commands.js';

const MODEL = join(process.cwd(), 'fixtures', 'timm', 'test_resnet.ts.onnx');
let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'featx-main-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function failing(code: string): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code, syscall: 'write' })),
  });
}

describe('version and help', () => {
  test('the version is that of package.json, everywhere', async () => {
    expect(VERSION).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
    for (const argv of [['--version'], ['-V'], ['inspect', '--version'], ['extract', '-V']])
      expect(await runCli(argv)).toMatchObject({ exit: 0, stdout: `${VERSION}\n`, stderr: '' });
  });

  test('help goes to standard output; no command is a usage error that shows it', async () => {
    for (const argv of [['--help'], ['-h'], ['help']])
      expect(await runCli(argv)).toMatchObject({ exit: 0, stdout: expect.stringContaining('extract'), stderr: '' });
    expect(await runCli([])).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('Usage: featx') });
  });

  test.each(COMMANDS.map(({ name }) => name))(
    '%s --help-all has the common flags, and --help examples',
    async (name) => {
      const { exit, stdout } = await runCli([name, '--help-all']);
      expect(exit).toBe(0);
      for (const flag of ['--json', '--quiet', '--no-color', '--version', '--debug', '--strict'])
        expect(stdout).toContain(flag);
      expect((await runCli(['help', name, '--help-all'])).stdout).toBe(stdout);
      const short = (await runCli([name, '--help'])).stdout;
      if (name !== 'version') expect(short).toContain('Examples:');
      expect((await runCli(['help', name])).stdout).toBe(short);
    },
  );
});

/** Rooms whose errors these commands show. */
const BELOW = ['wire', 'onnx', 'features', 'rewrite', 'report', 'tensors', 'runtime'];

test('every flag that a message or a hint names exists', async () => {
  const help = (await Promise.all(COMMANDS.map(({ name }) => runCli([name, '--help-all']))))
    .map(({ stdout }) => stdout)
    .join('');
  const source = BELOW.flatMap((room) =>
    readdirSync(join('src', room), { recursive: true, encoding: 'utf8' })
      .filter((file) => /(?<!\.test)\.ts$/.test(file))
      .map((file) => join('src', room, file)),
  );
  const named = new Set(
    [
      ...source,
      join('src', 'inspect.ts'),
      join('src', 'extract.ts'),
      join('src', 'run.ts'),
      join('src', 'runner.ts'),
    ].flatMap((file) => readFileSync(file, 'utf8').match(/(?<![\w-])--[a-z]+(-[a-z]+)*(?!\[| <)\b/g) ?? []),
  );
  expect(named.size).toBeGreaterThan(10);
  expect([...named].filter((flag) => !new RegExp(`${flag}(?![\\w-])`).test(help))).toEqual([]);
});

describe('usage errors name the nearest', () => {
  test.each([
    [['inspct', 'm.onnx'], "unknown command 'inspct'", 'inspect'],
    [['inspect', '--jsno', 'm.onnx'], "unknown option '--jsno'", '--json'],
    [['extract', 'm.onnx', '--moduel', 'layer1'], "unknown option '--moduel'", '--module'],
    [['extract', 'm.onnx', '--mode', 'dic'], "'dic'", 'dict'],
    [['inspect'], 'missing required argument', ''],
    [['extract', 'a.onnx', 'b.onnx'], 'too many arguments', ''],
    [['extract', 'm.onnx', '--out', '1', '--last', '1'], '--out and --last', ''],
    [['inspect', 'm.onnx', '--json', '--csv'], '--csv and --json', ''],
    [['extract', 'm.onnx', '-o', '-', '--json'], '-o -', ''],
    [['extract', '-'], 'no default name', ''],
    [['inspect', ''], 'empty path', ''],
    [['inspect', 'm.onnx', '--features', ''], '--features is an empty path', ''],
    [['inspect', '-', '-'], 'once', ''],
  ])('%j', async (argv, message, hint) => {
    const { exit, stdout, stderr } = await runCli(argv);
    expect(exit).toBe(2);
    if (argv.includes('--json'))
      expect(JSON.parse(stdout)).toMatchObject({
        schema: 1,
        error: { code: 'FEATX_USAGE', message: expect.stringContaining(message) },
      });
    else expect(stdout).toBe('');
    expect(stdout + stderr).toContain(message);
    expect(stdout + stderr).toContain(hint);
  });

  test('under --json the error is one record on standard output and nothing else', async () => {
    const { exit, stdout, stderr } = await runCli(['inspect', join(folder, 'no.onnx'), '--json']);
    expect({ exit, stderr }).toEqual({ exit: 4, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      command: 'inspect',
      error: {
        code: 'FEATX_IO_NOT_FOUND',
        message: expect.stringContaining('no.onnx'),
        hint: null,
        path: join(folder, 'no.onnx'),
      },
    });
    expect(stdout.split('\n')).toHaveLength(2);
  });
});

describe('inspect', () => {
  test('--json is the report of the library', async () => {
    const { exit, stdout, stderr } = await runCli(['inspect', MODEL, '--json']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect({ ...JSON.parse(stdout), elapsed_ms: 0 }).toEqual(
      JSON.parse(JSON.stringify({ ...(await inspect(MODEL)), elapsed_ms: 0 })),
    );
  });

  test('a model from standard input', async () => {
    const { stdout } = await runCli(['inspect', '-', '--json'], { stdin: readFileSync(MODEL) });
    expect(JSON.parse(stdout)).toMatchObject({
      model: { path: '-', size_bytes: readFileSync(MODEL).length },
      out_indices: [0, 1, 2, 3, 4],
    });
  });

  test('standard input has a limit', async () => {
    expect(await runCli(['inspect', '-', '--max-stdin', '1KiB'], { stdin: readFileSync(MODEL) })).toMatchObject({
      exit: 5,
      stdout: '',
      stderr: expect.stringContaining('--max-stdin'),
    });
  });

  test('several models: each its record, and one that fails does not stop the others', async () => {
    const broken = join(folder, 'broken.onnx');
    writeFileSync(broken, readFileSync(MODEL).subarray(0, 5000));
    const { exit, stdout } = await runCli(['inspect', broken, MODEL, join(folder, 'no.onnx'), MODEL, '--json']);
    const records = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records.map((record) => record.error?.code ?? record.model.path)).toEqual([
      expect.stringMatching(/^FEATX_WIRE/),
      MODEL,
      'FEATX_IO_NOT_FOUND',
      MODEL,
    ]);
    expect(exit).toBe(1);
    expect((await runCli(['inspect', broken, join(folder, 'no.onnx')])).exit).toBe(4);
  });

  test('several models: an error says of which it is', async () => {
    const bare = join(folder, 'bare.onnx');
    writeFileSync(bare, readFileSync(join(process.cwd(), 'fixtures', 'models', '13-unsorted.onnx')));
    const argv = ['inspect', MODEL, bare, '--tensor', '/layer1/layer1.0/act2/Relu_output_0'];
    const records = (await runCli([...argv, '--json'])).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records[1].error).toMatchObject({ code: 'FEATX_RESOLVE', path: bare });
    expect((await runCli(argv)).stderr).toMatch(/no tensor is named .*\n  in .*bare\.onnx\n/);
  });

  test('colour and width follow the terminal', async () => {
    const wide = await runCli(['inspect', MODEL], { isTerminal: true, columns: 200 });
    expect(wide.stdout).toContain('\x1b[1m');
    for (const setting of [
      { isTerminal: true, columns: 60, env: { NO_COLOR: '1' } },
      { isTerminal: true, columns: 60, env: { TERM: 'dumb' } },
    ]) {
      const { stdout } = await runCli(['inspect', MODEL], setting);
      expect(stdout).not.toContain('\x1b');
      const table = stdout.slice(stdout.indexOf('index'));
      expect(table.split('\n').every((line) => line.length <= 60)).toBe(true);
      expect(table).toContain('…');
    }
    expect((await runCli(['inspect', MODEL, '--no-color'], { isTerminal: true, columns: 60 })).stdout).not.toContain(
      '\x1b',
    );
    expect((await runCli(['--no-color', 'inspect', MODEL], { isTerminal: true, columns: 60 })).stdout).not.toContain(
      '\x1b',
    );
    expect((await runCli(['inspect', MODEL], { env: { FORCE_COLOR: '1' } })).stdout).toContain('\x1b[1m');
    expect((await runCli(['inspect', MODEL], { isTerminal: true, columns: 60, env: { LC_ALL: 'C' } })).stdout).toMatch(
      /^[\x1b\n -~]*$/,
    );
  });
});

describe('output that cannot be delivered', () => {
  test('a closed pipe ends quietly with 141', async () => {
    expect(await runCli(['inspect', MODEL], { stdout: failing('EPIPE') })).toMatchObject({ exit: 141, stderr: '' });
    expect(await runCli(['--version'], { stdout: failing('EPIPE') })).toMatchObject({ exit: 141, stderr: '' });
  });

  test('a full disk is an input/output error, said on standard error even under --json', async () => {
    for (const argv of [['inspect', MODEL], ['inspect', MODEL, '--json'], ['--help']]) {
      expect(await runCli(argv, { stdout: failing('ENOSPC') })).toMatchObject({
        exit: 4,
        stderr: expect.stringContaining('no space left'),
      });
    }
  });
});

describe('ways to end', () => {
  test('a signal wins over whatever error it causes', async () => {
    const controller = new AbortController();
    controller.abort(130);
    expect(
      await runCli(['extract', MODEL, '--out', '1', '-o', join(folder, 'out.onnx')], { signal: controller.signal }),
    ).toMatchObject({ exit: 130, stdout: '' });
  });

  test('--debug shows the stack, without control characters', async () => {
    const { stderr } = await runCli(['inspect', join(folder, 'no\x1b[31m.onnx'), '--debug']);
    expect(stderr).toMatch(/^ +at /m);
    expect(stderr).not.toContain('\x1b');
  });

  test('--quiet leaves results and errors', async () => {
    const output = join(folder, 'out.onnx');
    expect(await runCli(['extract', MODEL, '--out', '1', '-o', output, '--quiet'])).toMatchObject({
      exit: 0,
      stdout: '',
      stderr: '',
    });
    expect((await runCli(['inspect', MODEL, '--quiet'])).stdout).toContain('layer1');
    expect((await runCli(['inspect', join(folder, 'no'), '--quiet'])).stderr).toContain('no such file');
  });
});

test('-o - writes the model and nothing else to standard output', async () => {
  const output = join(folder, 'out.onnx');
  await runCli(['extract', MODEL, '--out', '1,2', '-o', output]);
  const { exit, stdoutBytes, stderr } = await runCli(['extract', MODEL, '--out', '1,2', '-o', '-']);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(Buffer.compare(stdoutBytes, readFileSync(output))).toBe(0);
});

test('-o - prints no model on a terminal', async () => {
  expect(await runCli(['extract', MODEL, '--out', '1', '-o', '-'], { isTerminal: true })).toMatchObject({
    exit: 2,
    stdout: '',
    stderr: expect.stringContaining('terminal'),
  });
});

test('features do not replace the FeatureInfo that they were found by', async () => {
  const info = join(folder, 'info.npz');
  const { stdout } = await runCli(['inspect', MODEL, '--json']);
  writeFileSync(info, stdout);
  expect(await runCli(['run', MODEL, '--features', info, '--out', '0', '--input', 'random', '-o', info])).toMatchObject(
    { exit: 2, stderr: expect.stringContaining('info.npz') },
  );
  expect(readFileSync(info, 'utf8')).toBe(stdout);
});

test('help of a command that does not exist says which there are', async () => {
  expect(await runCli(['help', 'nosuch'])).toMatchObject({
    exit: 2,
    stdout: '',
    stderr: expect.stringMatching(/no command 'nosuch'[^]*inspect, extract/),
  });
  expect(await runCli(['inspect', '--bogus'])).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('featx help inspect lists its flags'),
  });
});

test('after an extract one line on standard error says how to run the result', async () => {
  const { stderr } = await runCli(['extract', MODEL, '--out', '1', '-o', join(folder, 'out.onnx')]);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('out.onnx');
});
