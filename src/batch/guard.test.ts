import { linkSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { smallModel } from '../testing/batch.js';
import { runCli } from '../testing/cli.js';
import { backbone } from '../testing/fixtures/fixture.js';
import { encodeModel } from '../testing/model-builder.js';
import { weights } from '../testing/model-spec.js';
import { nodeFileSystem } from '../wire/fs.js';
import { Guard } from './guard.js';

/** Nothing that a batch reads is written over, whatever asks for it. */

const WEIGHTS = new Uint8Array(4 * 3 * 3 * 3 * 4).fill(1);
let root: string;
const at = (name: string): string => join(root, name);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-guard-'));
  for (const name of ['m.onnx', 'n.onnx']) writeFileSync(at(name), smallModel(name.charCodeAt(0)));
  const initializers = [
    {
      name: 'stem.weight',
      dims: [4, 3, 3, 3],
      external: [
        ['location', 'w.data'],
        ['length', String(WEIGHTS.length)],
      ] as const,
    },
    weights('layer1.weight', [8, 4, 3, 3], 1),
    weights('fc.weight', [5, 8], 1),
    weights('fc.bias', [5], 1),
  ];
  writeFileSync(at('e.onnx'), encodeModel({ graph: backbone({ initializers }) }));
  writeFileSync(at('w.data'), WEIGHTS);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Runs batch on a config and says what became of each item. */
async function batchOf(
  models: readonly { readonly model: string; readonly output: string }[],
  ...flags: readonly string[]
): Promise<{
  readonly exit: number;
  readonly stdout: string;
  readonly items: readonly (readonly [unknown, unknown])[];
}> {
  writeFileSync(at('c.json'), JSON.stringify({ models, options: { out: [0] } }));
  const { exit, stdout } = await runCli(['batch', at('c.json'), '--jobs', '1', '--json', ...flags]);
  const records = stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return {
    exit,
    stdout,
    items: records
      .filter(({ command }) => command === 'batch')
      .map(({ output, error, status }) => [output, error?.code ?? status]),
  };
}

describe('a manifest', () => {
  test.each([
    ['m.onnx', 'a model of this batch'],
    ['cut.onnx', 'an output of this batch'],
    ['c.json', 'a file that this batch reads'],
    ['w.data', 'the weights of e.onnx'],
    ['hard.onnx', 'a model of this batch'],
    ['.featx/batch.journal.jsonl', 'the journal of this batch'],
  ])('over %s', async (name, what) => {
    linkSync(at('m.onnx'), at('hard.onnx'));
    const models = [
      { model: 'm.onnx', output: 'cut.onnx' },
      { model: 'e.onnx', output: 'z.onnx' },
    ];
    const before = ['m.onnx', 'w.data', 'e.onnx'].map((file) => readFileSync(at(file)));
    const { exit, stdout } = await batchOf(models, '--manifest', name, '--state', '.featx');
    expect([exit, JSON.parse(stdout)]).toEqual([
      2,
      expect.objectContaining({
        error: expect.objectContaining({ code: 'FEATX_USAGE_SAME_FILE', message: expect.stringContaining(what) }),
      }),
    ]);
    expect(['m.onnx', 'w.data', 'e.onnx'].map((file) => readFileSync(at(file)))).toEqual(before);
  });

  test('over an earlier one', async () => {
    for (const action of ['done', 'skipped'])
      expect(await batchOf([{ model: 'm.onnx', output: 'cut.onnx' }], '--manifest', 'made.json')).toMatchObject({
        exit: 0,
        items: [['cut.onnx', action]],
      });
    expect(JSON.parse(readFileSync(at('made.json'), 'utf8'))).toMatchObject({
      command: 'batch-manifest',
      items: [{ status: 'done' }],
    });
  });
});

test('an output over the weights of another item, or the config, is refused, and the rest is done', async () => {
  symlinkSync('n.onnx', at('link.onnx'));
  const models = [
    { model: 'm.onnx', output: 'w.data' },
    { model: 'e.onnx', output: 'z.onnx' },
    { model: 'n.onnx', output: 'c.json' },
  ];
  for (const flags of [[], ['--force']]) {
    const { exit, items } = await batchOf(models, ...flags);
    expect(exit).toBe(1);
    expect(new Map(items.map(([output, code]) => [output, code]))).toEqual(
      new Map([
        ['w.data', 'FEATX_USAGE_SAME_FILE'],
        ['z.onnx', 'done'],
        ['c.json', 'FEATX_USAGE_SAME_FILE'],
      ]),
    );
    expect(readFileSync(at('w.data'))).toEqual(Buffer.from(WEIGHTS));
  }
  expect(await batchOf([{ model: 'link.onnx', output: 'n.onnx' }])).toMatchObject({
    exit: 1,
    items: [['n.onnx', 'FEATX_USAGE_SAME_FILE']],
  });
});

test('whatever else stands at an output is replaced, and an earlier cut without a look into the models', async () => {
  writeFileSync(at('old.onnx'), 'something else');
  expect(await batchOf([{ model: 'm.onnx', output: 'old.onnx' }])).toMatchObject({
    exit: 0,
    items: [['old.onnx', 'done']],
  });
  expect(await batchOf([{ model: 'm.onnx', output: 'old.onnx' }], '--force')).toMatchObject({
    exit: 0,
    items: [['old.onnx', 'done']],
  });
  const guard = new Guard({
    models: [at('m.onnx')],
    files: [],
    fileSystem: nodeFileSystem,
    isResult: async () => true,
    perform: () => Promise.reject(new Error('looked into')),
  });
  expect(await guard.need(at('old.onnx'))).toBeNull();
});

test('init replaces no weights, nor the original of a reference cut, even with --force', async () => {
  expect(await runCli(['init', 'e.onnx', '-o', at('w.data'), '--force'])).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('the weights of e.onnx'),
  });
  expect(readFileSync(at('w.data'))).toEqual(Buffer.from(WEIGHTS));
  expect(
    await runCli(['extract', at('m.onnx'), '--out', '1', '--weights', 'reference', '-o', at('ref.onnx'), '--quiet']),
  ).toMatchObject({ exit: 0 });
  for (const patterns of [['ref.onnx'], ['ref.onnx', 'n.onnx'], ['?ef.onnx', 'n.onnx']])
    expect(await runCli(['init', ...patterns, '-o', at('m.onnx'), '--force'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('the weights of ref.onnx'),
    });
  expect(readFileSync(at('m.onnx'))).toEqual(Buffer.from(smallModel('m'.charCodeAt(0))));
  for (const force of [[], ['--force']])
    expect(await runCli(['init', 'n.onnx', '-o', at('new.json'), '--quiet', ...force])).toMatchObject({ exit: 0 });
});

test('merge replaces no model, weights or cut that its manifests name', async () => {
  expect(await batchOf([{ model: 'e.onnx', output: 'cut.onnx' }], '--manifest', 'made.json')).toMatchObject({
    exit: 0,
  });
  for (const name of ['e.onnx', 'cut.onnx', 'w.data', 'made.json']) {
    const before = readFileSync(at(name));
    expect(await runCli(['merge', at('made.json'), '-o', at(name), '--json'])).toMatchObject({
      exit: 2,
      stdout: expect.stringContaining('FEATX_USAGE_SAME_FILE'),
    });
    expect(readFileSync(at(name))).toEqual(before);
  }
  for (const _ of [1, 2])
    expect(await runCli(['merge', at('made.json'), '-o', at('all.json')])).toMatchObject({ exit: 0 });
});
