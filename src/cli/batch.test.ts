import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { parseConfig } from '../batch/config.js';
import { smallModel } from '../testing/batch.js';
import { runCli } from '../testing/cli.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';
import { shownPath } from './batch-lines.js';
import { progressText } from './batch-progress.js';

let root: string;
let common: readonly string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-cli-batch-'));
  mkdirSync(join(root, 'models'));
  for (const name of ['a', 'b', 'c'])
    writeFileSync(join(root, 'models', `${name}.onnx`), smallModel(name.charCodeAt(0)));
  common = [
    'batch',
    join(root, 'models', '*.onnx'),
    '--out',
    '0,1',
    '-o',
    join(root, 'cut', '{name}.onnx'),
    '--state',
    join(root, 'state'),
  ];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const records = (text: string): readonly Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const here = (...path: readonly string[]): string => relative('.', join(root, ...path)).replaceAll('\\', '/');
/** As lines for people have it. */
const shown = (...path: readonly string[]): string => shownPath(here(...path), '.');

test('the plan, the batch, and the plan again', async () => {
  const plan = await runCli([...common, '--plan', '--json']);
  expect(plan).toMatchObject({ exit: 0, stderr: '' });
  expect(records(plan.stdout).map(({ item, output, action, options }) => [item, output, action, options])).toEqual(
    ['a', 'b', 'c'].map((name) => [
      here('models', `${name}.onnx`),
      here('cut', `${name}.onnx`),
      'cut',
      { select: [{ by: 'index', indices: [0, 1] }] },
    ]),
  );
  expect(readdirSync(root)).toEqual(['models']);
  writeFileSync(join(root, 'models', 'b.onnx'), 'no model');
  const { exit, stdout, stderr } = await runCli([...common, '--jobs', '1', '--json']);
  const lines = records(stdout);
  expect(exit).toBe(1);
  expect(lines.slice(0, 3)).toEqual([
    expect.objectContaining({ schema: 1, command: 'batch', status: 'done', attempts: 1, error: null }),
    expect.objectContaining({
      status: 'failed',
      report: null,
      error: expect.objectContaining({ code: expect.stringMatching(/^FEATX_/), message: expect.any(String) }),
    }),
    expect.objectContaining({ status: 'done' }),
  ]);
  expect(lines[3]).toEqual({
    schema: 1,
    command: 'batch-summary',
    done: 2,
    skipped: 0,
    failed: 1,
    remaining: 0,
    elapsed_ms: expect.any(Number),
  });
  // A failure is said whatever is asked for.
  expect(stderr).toMatch(/^failed \S*b\.onnx: [^\n]+\n( {2}hint: [^\n]+\n)?$/);
  expect((await runCli([...common, '--plan'])).stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([
    'same',
    'failed',
    'same',
    '0',
    '',
  ]);
});

test.each([
  [['batch', 'a.json', 'b.onnx'], 'a config says which models'],
  [['batch', 'a.json', '--out', '1', '--mode', 'list'], '--mode, --out go'],
  [['batch', 'no/such/*.onnx'], 'ENOENT'],
  [['batch', 'src/*.onnx'], 'finds no model'],
  [['batch', 'src/*.onnx', '-o', '{nam}.onnx'], 'finds no model'],
  [['batch', 'x.onnx', '-o', '{nam}.onnx'], '{nam}'],
  [['batch', 'x.onnx', '--shard', '3/2'], "'3/2'"],
  [['batch', 'x.onnx', '--keep-going', '--fail-fast'], 'cannot be used'],
  [['batch', 'x.onnx', '--jobs', '0'], '--jobs'],
  [['batch'], 'featx.config.json'],
])('%j is refused', async (argv, message) => {
  const { exit, stdout, stderr } = await runCli(argv);
  expect([exit === 2 || exit === 4, stdout]).toEqual([true, '']);
  expect(stderr).toContain(message);
});

test('shards from the environment, and their merge', async () => {
  const first = await runCli([...common, '--plan'], {
    env: {
      SLURM_ARRAY_TASK_ID: '1',
      SLURM_ARRAY_TASK_MIN: '0',
      SLURM_ARRAY_TASK_MAX: '1',
      SLURM_ARRAY_TASK_COUNT: '2',
    },
  });
  expect(first.stderr).toBe('shard 2 of 2 (from SLURM_ARRAY_TASK_ID)\n');
  expect(first.stdout).toContain(shown('models', 'c.onnx'));
  expect(
    (await runCli([...common, '--plan', '--shard', '1/1'], { env: { JOB_COMPLETION_INDEX: '0' } })).stdout
      .trim()
      .split('\n'),
  ).toHaveLength(4);
  expect(await runCli([...common, '--plan'], { env: { JOB_COMPLETION_INDEX: '0' } })).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('FEATX_SHARD_COUNT'),
  });
  for (const shard of ['1/2', '2/2'])
    expect(await runCli([...common, '--shard', shard, '--quiet'])).toMatchObject({ exit: 0, stderr: '' });
  expect(await runCli(['merge', join(root, 'state'), '--json'])).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('"items":3,"done":3'),
  });
  rmSync(join(root, 'state', 'manifest.1-of-2.json'));
  expect(await runCli(['merge', join(root, 'state')])).toMatchObject({ exit: 1, stdout: 'shard 1 of 2 is missing\n' });
  expect(await runCli(['merge', join(root, 'models')])).toMatchObject({ exit: 2 });
});

test('init writes a config that batch takes, and leaves an existing one alone', async () => {
  writeFileSync(join(root, 'models', 'broken.onnx'), smallModel(1).subarray(0, 500));
  const output = join(root, 'featx.config.json');
  const { exit, stdout, stderr } = await runCli(['init', 'models/*.onnx', '-o', output, '--json', '--jobs', '1']);
  expect(exit).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    command: 'init',
    models: [{ features: 2 }, { features: 2 }, { features: 2 }],
    left_out: [{ model: 'models/broken.onnx', error: { code: expect.stringMatching(/^FEATX_WIRE/) } }],
  });
  expect(stderr).toContain('featx batch');
  const text = readFileSync(output, 'utf8');
  expect(parseConfig(text).models[0]).toMatchObject({
    model: 'models/a.onnx',
    options: { out: [0, 1] },
    feature_info: [
      { index: 0, num_chs: 4, reduction: 2 },
      { index: 1, num_chs: 8, reduction: 4 },
    ],
  });
  expect((await runCli(['batch', output, '--plan'])).stdout).toMatch(
    /^(cut {5}[^\n]*\n){3}3 to cut, 0 unchanged, 0 failed\n$/,
  );
  expect(await runCli(['init', 'models/*.onnx', '-o', output])).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('--force'),
  });
  expect(readFileSync(output, 'utf8')).toBe(text);
  expect(existsSync(join(root, 'node_modules'))).toBe(false);
  // A network without features is left out and is not a failure.
  writeFileSync(
    join(root, 'models', 'broken.onnx'),
    encodeModel({
      graph: { inputs: [value('x', [4])], nodes: [node('Relu', ['x'], ['y'])], outputs: [value('y', [4])] },
    }),
  );
  expect(await runCli(['init', 'models/*.onnx', '-o', output, '--force', '--jobs', '1'])).toMatchObject({
    exit: 0,
    stderr: expect.stringContaining('models/broken.onnx is left out: it has no features'),
  });
});

test('cuts of earlier runs are no models, wherever they were put', async () => {
  const models = join(root, 'models');
  expect(
    await runCli(['extract', join(models, 'a.onnx'), '--out', '0', '-o', join(models, 'old.onnx'), '--quiet']),
  ).toMatchObject({ exit: 0 });
  const config = join(root, 'featx.config.json');
  const started = await runCli(['init', 'models', '-o', config, '--jobs', '1']);
  expect(started).toMatchObject({
    exit: 0,
    stderr: expect.stringContaining('models/old.onnx is a cut that featx made and is left out'),
  });
  expect(parseConfig(readFileSync(config, 'utf8')).models).toHaveLength(3);
  const all = ['batch', models, '--out', '0', '--jobs', '1', '--state', join(root, 'state')];
  // The second run finds what the first one wrote, under another template too.
  for (const template of ['{dir}/{name}.one.onnx', '{dir}/{name}.two.onnx', '{dir}/{name}.two.onnx']) {
    const { exit, stdout } = await runCli([...all, '-o', template, '--json']);
    const { done, skipped, failed, left_out: leftOut } = records(stdout).at(-1) ?? {};
    const count = template.includes('one') ? 1 : 4;
    expect([exit, done === 3 || skipped === 3, failed, Array.isArray(leftOut) && leftOut.length]).toEqual([
      0,
      true,
      0,
      count,
    ]);
  }
  const plan = records((await runCli([...all, '-o', '{dir}/{name}.two.onnx', '--plan', '--json'])).stdout);
  expect(plan.map(({ action }) => action)).toEqual(['skip', 'skip', 'skip', 'leave', 'leave', 'leave', 'leave']);
  expect(await runCli([...all, '--strict'])).toMatchObject({
    exit: 2,
    stdout: '',
    stderr: expect.stringContaining('are left out'),
  });
  expect(
    await runCli([
      'batch',
      join(models, 'old.onnx'),
      '-o',
      join(root, 'again.onnx'),
      '--state',
      join(root, 'state'),
      '--quiet',
    ]),
  ).toMatchObject({ exit: 0, stderr: '' });
});

test('on a terminal nothing is written into the line of progress', async () => {
  const { stdout, stderr } = await runCli([...common, '--jobs', '1'], { isTerminal: true });
  expect(stdout.split('\n')).toHaveLength(5);
  const [drawn, ...rest] = stderr.split('\r\x1b[K').slice(1);
  expect(drawn).toMatch(/^1\/3 {2}/);
  expect(rest.at(-1)).toBe('');
});

test('people get a line an item, and failures with their reason', async () => {
  writeFileSync(join(root, 'models', 'b.onnx'), 'no model');
  const first = await runCli([...common, '--jobs', '1']);
  const cut = (name: string): RegExp =>
    new RegExp(`^cut ${shown('models', name)}  2 features  [\\d.]+ K?B -> [\\d.]+ K?B$`);
  const [a, c, ...summary] = first.stdout.split('\n');
  expect([first.exit, a, c, summary]).toEqual([
    1,
    expect.stringMatching(cut('a.onnx')),
    expect.stringMatching(cut('c.onnx')),
    ['2 cut, 0 unchanged, 1 failed', ''],
  ]);
  expect(first.stderr).toMatch(new RegExp(`^failed ${shown('models', 'b.onnx')}: `));
  const second = await runCli([...common, '--jobs', '1']);
  expect(second.stdout.split('\n').slice(0, 2)).toEqual(['a', 'c'].map((name) => `same ${shown('models', name)}.onnx`));
  const quiet = await runCli([...common, '--jobs', '1', '--quiet']);
  expect([quiet.exit, quiet.stdout, quiet.stderr]).toEqual([1, '', first.stderr]);
});

test('what does not exist is refused by the plan too', async () => {
  const argv = ['batch', join(root, 'models', 'a.onnx'), join(root, 'nope.onnx'), '--plan', '--state', join(root, 's')];
  const { exit, stdout } = await runCli(argv);
  expect([exit, stdout.split('\n')[0].split(' ')[0], stdout.split('\n')[1]]).toEqual([
    1,
    'cut',
    expect.stringMatching(/^failed {2}\S*nope\.onnx: .*no such file/),
  ]);
});

test('a path that is longer from the folder of the batch is shown from the root', () => {
  expect(shownPath('../../../../elsewhere/models/a.onnx', '/home/someone/much/deeper')).toBe(
    resolve('/elsewhere/models/a.onnx'),
  );
  expect(shownPath('models/a.onnx', '/home/someone')).toBe('models/a.onnx');
  expect(shownPath('https://host/a.onnx', '/home/someone')).toBe('https://host/a.onnx');
});

test('GitHub Actions gets annotations of files and a summary of the job', async () => {
  writeFileSync(join(root, 'models', 'b.onnx'), 'no model');
  const summary = join(root, 'summary.md');
  writeFileSync(summary, 'before\n');
  const env = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary };
  const { stderr } = await runCli([...common, '--jobs', '1', '--json'], { env });
  expect(stderr.split('\n').filter((line) => line.startsWith('::'))).toEqual([
    expect.stringMatching(new RegExp(`^::error file=${here('models', 'b.onnx')},title=featx batch::.*b\\.onnx: `)),
  ]);
  expect(readFileSync(summary, 'utf8')).toMatch(/^before\n### featx batch\n\n2 cut, 0 unchanged, 1 failed\n\n<table>/);
});

test('--watch cuts again what changes, and what comes', async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const wanted = [/^cut .*b\.onnx/m, /^cut .*b\.onnx(.|\n)*^cut .*b\.onnx/m];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      seen.push(chunk.toString());
      if (wanted.length > 0 && wanted[0].test(seen.join(''))) {
        wanted.shift();
        if (wanted.length > 0) writeFileSync(join(root, 'models', 'b.onnx'), smallModel(99));
        else controller.abort(130);
      }
      done();
    },
  });
  const { exit } = await runCli([...common, '--jobs', '1', '--watch'], { stdout, signal: controller.signal });
  expect([exit, wanted]).toEqual([130, []]);
});

test('progress', () => {
  expect(progressText({ done: 50, skipped: 0, failed: 0, total: 100, elapsedMs: 10_000 })).toBe(
    '50/100  5.0/s  10 s left',
  );
  expect(progressText({ done: 0, skipped: 900, failed: 0, total: 1000, elapsedMs: 10 })).toBe(
    '900/1000  900 unchanged',
  );
  expect(progressText({ done: 90, skipped: 5, failed: 5, total: 1000, elapsedMs: 50_000 })).toBe(
    '100/1000  5 unchanged  5 failed  1.9/s  7 min 54 s left',
  );
});
