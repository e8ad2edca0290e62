import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { backbone } from '../testing/fixtures/fixture.js';
import { encodeModel } from '../testing/model-builder.js';
import { nodeFileSystem } from '../wire/fs.js';
import { covers, findFiles } from '../wire/find-files.js';
import { findJobs, planJobs, withoutTwins } from './jobs.js';
import { outputName } from './template.js';
import { stopwatch } from '../testing/time.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-jobs-'));
  for (const path of [
    'b.onnx',
    'a.onnx',
    'a.txt',
    '.hidden.onnx',
    'deep/x/y/z.onnx',
    'deep/x/q.onnx',
    'deep/.git/no.onnx',
    'deep/B.onnx',
    'odd/[1]*.onnx',
    'node/a.features.onnx',
  ]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const items = async (pattern: string): Promise<readonly string[]> =>
  (await findFiles(pattern, root, { fs: nodeFileSystem, warn: () => undefined })).files.map(({ item }) => item);

test.each([
  ['*.onnx', ['a.onnx', 'b.onnx']],
  [
    '**/*.onnx',
    ['a.onnx', 'b.onnx', 'deep/B.onnx', 'deep/x/q.onnx', 'deep/x/y/z.onnx', 'node/a.features.onnx', 'odd/[1]*.onnx'],
  ],
  ['deep', ['deep/B.onnx', 'deep/x/q.onnx', 'deep/x/y/z.onnx']],
  ['deep/**/?.onnx', ['deep/B.onnx', 'deep/x/q.onnx', 'deep/x/y/z.onnx']],
  ['**/x/**/z.onnx', ['deep/x/y/z.onnx']],
  ['deep/*/q.onnx', ['deep/x/q.onnx']],
  ['.h*.onnx', ['.hidden.onnx']],
  ['odd/[1]*.onnx', ['odd/[1]*.onnx']],
  ['odd/\\[1\\]\\*.onnx', ['odd/[1]*.onnx']],
  ['missing.onnx', ['missing.onnx']],
  ['deep/../a.onnx', ['a.onnx']],
  ['zzz/*.onnx', 'ENOENT'],
])('%s', async (pattern, expected) => {
  if (typeof expected === 'string') await expect(items(pattern)).rejects.toThrow(expected);
  else expect(await items(pattern)).toEqual(expected);
});

test('a folder that links to itself is walked once', async () => {
  symlinkSync('..', join(root, 'deep', 'loop'));
  expect(await items('**/*.onnx')).toHaveLength(7);
  expect(await items('deep/loop/*.onnx')).toEqual(['deep/loop/a.onnx', 'deep/loop/b.onnx']);
});

test('many ** take linear time', () => {
  const clock = stopwatch();
  expect(covers(`${'**/a*/'.repeat(40)}end`, `${'aa/'.repeat(400)}en`)).toBe(false);
  clock.within(1_000);
});

test('exclude takes paths, folders and globs', () => {
  for (const pattern of ['deep', 'deep/x/q.onnx', '**/q.onnx', 'deep/**', '*/x'])
    expect(covers(pattern, 'deep/x/q.onnx')).toBe(true);
  for (const pattern of ['dee', 'x', '*.onnx', 'deep/y/**']) expect(covers(pattern, 'deep/x/q.onnx')).toBe(false);
});

test('templates', () => {
  const file = { item: 'models/cnn/a.ONNX', base: 'models' };
  expect(outputName('{dir}/{name}.features.onnx', file)).toBe('models/cnn/a.features.onnx');
  expect(outputName('out/{rel}/{name}.onnx', file)).toBe('out/cnn/a.onnx');
  expect(outputName('out/{rel}/{name}.onnx', { item: 'a.onnx', base: '.' })).toBe('out/a.onnx');
  expect(outputName('{name}-{name}.onnx', { item: 'we$&ird.onnx', base: '.' })).toBe('we$&ird-we$&ird.onnx');
});

test('results of other jobs are no models', async () => {
  writeFileSync(join(root, 'a.features.onnx'), '');
  const { jobs } = await findJobs([{ pattern: '*.onnx' }], [], root);
  expect(jobs.map(({ input }) => input)).toEqual(['a.onnx', 'b.onnx']);
});

test('cuts that featx made are found out by what they say, whatever they are called, and only where they are not named', async () => {
  const cut = encodeModel({
    graph: backbone(),
    metadata: [
      ['other', 'x'],
      ['featx.feature_info', '{}'],
    ],
  });
  const model = encodeModel({ graph: backbone(), metadata: [['other', 'featx.feature_info']] });
  // An earlier cut that would write what a model would write, and one that would write a model.
  for (const [path, bytes] of [
    ['deep/a.onnx', cut],
    ['a.onnx', model],
    ['b.onnx', cut],
    ['b.features.onnx', model],
    ['torn.onnx', cut.subarray(0, 300)],
  ] as const)
    writeFileSync(join(root, path), bytes);
  const { jobs, cuts } = await findJobs(
    [{ pattern: '**/?.onnx', output: 'out/{name}.onnx' }, { pattern: '*.onnx' }],
    ['odd', 'deep/x', 'deep/B.onnx'],
    root,
  );
  expect(cuts).toEqual(['b.onnx', 'deep/a.onnx']);
  expect(jobs.map(({ input, output }) => [input, output])).toEqual([
    ['a.onnx', 'out/a.onnx'],
    ['a.onnx', 'a.features.onnx'],
    ['b.features.onnx', 'b.features.features.onnx'],
    ['torn.onnx', 'torn.features.onnx'],
  ]);
  expect(await findJobs([{ pattern: 'b.onnx' }], [], root)).toEqual({
    jobs: [{ input: 'b.onnx', output: 'b.features.onnx', options: undefined }],
    cuts: [],
    warnings: [],
  });
  await expect(findJobs([{ pattern: 'b.onn?' }], [], root)).rejects.toThrow('b.onnx is a cut that featx made');
});

test('patterns that find nothing are all named', async () => {
  mkdirSync(join(root, 'nothing.onnx'));
  symlinkSync('nothing.onnx', join(root, 'nolink.onnx'));
  await expect(
    findJobs([{ pattern: 'no*.onnx' }, { pattern: '*.onnx' }, { pattern: '**/none.onnx' }], [], root),
  ).rejects.toThrow("'no*.onnx', '**/none.onnx' find no model");
});

test('items that would overwrite one another, or a model, are refused, the rest are not', () => {
  const plan = planJobs(
    [
      { input: 'x/a.onnx', output: 'out/a.onnx' },
      { input: 'y/a.onnx', output: 'out/../out/a.onnx' },
      { input: 'b.onnx', output: 'out/b.onnx' },
      { input: 'c.onnx', output: './b.onnx' },
      { input: 'b.onnx', output: 'out/b.onnx' },
      { input: 'd.onnx', output: 'out/d.onnx', options: { out: [1] } },
      { input: 'd.onnx', output: 'out/d.onnx', options: { out: [2] } },
    ],
    root,
  );
  expect(plan.items.map(({ item, fault }) => [item, fault?.code ?? null])).toEqual([
    ['x/a.onnx', 'FEATX_USAGE_DUPLICATE_OUTPUT'],
    ['y/a.onnx', 'FEATX_USAGE_DUPLICATE_OUTPUT'],
    ['b.onnx', null],
    ['c.onnx', 'FEATX_USAGE_SAME_FILE'],
    ['d.onnx', 'FEATX_USAGE_DUPLICATE_OUTPUT'],
    ['d.onnx', 'FEATX_USAGE_DUPLICATE_OUTPUT'],
  ]);
  expect(plan.items[0].fault?.message).toContain('x/a.onnx, y/a.onnx');
  expect(new Set(plan.items.map(({ id }) => id)).size).toBe(plan.items.length);
  expect(plan.items.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5]);
});

test('the digest of a plan is of what is asked for, not of where', () => {
  const jobs = [{ input: 'a.onnx', output: 'o.onnx', options: { out: [1] } }];
  expect(planJobs(jobs, root).digest).toBe(planJobs(jobs, join(root, 'deep')).digest);
  expect(planJobs([{ ...jobs[0], options: { out: [2] } }], root).digest).not.toBe(planJobs(jobs, root).digest);
});

test('outputs that are one file through a link are refused before any work', async () => {
  mkdirSync(join(root, 'real'));
  symlinkSync('real', join(root, 'link'));
  const faults = async (...outputs: readonly string[]): Promise<readonly unknown[]> => {
    const jobs = outputs.map((output, at) => ({ input: `${at}.onnx`, output }));
    return (await withoutTwins(planJobs(jobs, root), nodeFileSystem)).items.map(({ fault }) => fault?.code ?? null);
  };
  const twice = 'FEATX_USAGE_DUPLICATE_OUTPUT';
  expect(await faults('real/x.onnx', 'link/x.onnx', 'link/y.onnx')).toEqual([twice, twice, null]);
  expect(await faults('real/new/x.onnx', 'link/new/x.onnx')).toEqual([twice, twice]);
  expect(await faults('link/x.onnx', 'other/x.onnx')).toEqual([null, null]);
  const { items: planned } = await withoutTwins(
    planJobs(
      [
        { input: 'a.onnx', output: 'real/x.onnx' },
        { input: 'b.onnx', output: 'link/x.onnx' },
      ],
      root,
    ),
    nodeFileSystem,
  );
  expect(planned[1].fault?.message).toBe('2 items would write link/x.onnx: a.onnx (as real/x.onnx), b.onnx');
});
