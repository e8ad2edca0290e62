import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from '../extract.js';
import { inspect } from '../inspect.js';
import { runCli, type CliResult } from '../testing/cli.js';
import { Net } from '../testing/net.js';
import { verify } from '../verify.js';
import { inspectText } from './inspect-text.js';
import { PLAIN } from './style.js';

/** How groups beside the FeatureInfo are shown, explained and selected. */

const VIT = join('fixtures', 'timm', 'test_vit.ts.onnx');
let folder: string;
let towers: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'featx-groups-'));
  towers = join(folder, 'towers.onnx');
  const net = new Net();
  writeFileSync(towers, net.encode([net.towers().output]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const line = ({ stdout }: Pick<CliResult, 'stdout'>, start: string | RegExp): string | undefined =>
  stdout.split('\n').find((text) => (typeof start === 'string' ? text.startsWith(start) : start.test(text)));

describe('a network that has groups alone', () => {
  const RANGES = '--out tower.0:0-3 or --out tower.1:0-3';

  test('says so, and how to select from them', async () => {
    const { exit, stdout, stderr } = await runCli(['inspect', towers]);
    expect(exit).toBe(0);
    expect(stderr).toContain(`the network has no features of its own; select from its groups with ${RANGES}, or name `);
    expect(stderr).not.toMatch(/pyramid|the image/);
    expect(line({ stdout }, 'no features')).toBe('no features of its own, but groups');
  });

  test('an index alone is an error that names them', async () => {
    for (const flags of [[], ['--out', '1']]) {
      const { exit, stderr } = await runCli(['extract', towers, '--dry-run', ...flags]);
      expect(exit).toBe(2);
      expect(stderr).toContain('no features to select by index but those of its groups');
      expect(stderr).toContain(`hint: give ${RANGES}, or name tensors with --tensor`);
    }
    await expect(extract(towers, join(folder, 'x.onnx'))).rejects.toMatchObject({
      code: 'FEATX_RESOLVE_NONE',
      hint: expect.stringContaining("`out: 'tower.0:0-3'`"),
    });
  });

  test('each group says where its confidence is not high, and why', async () => {
    const confidence = /^medium confidence: tower\.1:0-3 \(--explain tower\.1:0 says why\)$/;
    expect(line(await runCli(['inspect', towers]), confidence)).toBeDefined();
    const { stdout } = await runCli(['inspect', towers, '--explain', 'tower.1:-1']);
    expect(stdout).toContain('why feature tower.1:3\n');
    expect(line({ stdout }, /8 channels, stride 16, confidence medium$/)).toBeDefined();
    const { explain, groups } = await inspect(towers, { explain: 'tower.1:3' });
    const { because } = groups[1].features[3];
    expect(explain).toMatchObject({
      index: 3,
      group: 'tower.1',
      tried: [{ resolver: 'topology', feature: { because } }],
    });
    expect(stdout).toContain(because);
    expect((await runCli(['inspect', towers, '--explain', 'neck:0'])).stderr).toContain('tower.0:0-3, tower.1:0-3');
  });

  test('an asterisk stands at what was asked for, and a line says so', async () => {
    const plain = await runCli(['inspect', towers]);
    expect(line(plain, '*')).toBeUndefined();
    const asked = await runCli(['inspect', towers, '--out', 'tower.1:1-2']);
    expect(asked.stdout.match(/^ *\* \d/gm)?.map((mark) => mark.trim())).toEqual(['* 1', '* 2']);
    expect(line(asked, '* marks')).toContain('asked for');
  });

  test('CSV has the groups, with their name in the last column', async () => {
    const { stdout } = await runCli(['inspect', towers, '--csv']);
    const [titles, ...rows] = stdout.trimEnd().split('\r\n');
    expect(titles).toMatch(/^model,index,module,.*,because,group$/);
    expect(rows.map((row) => [row.split(',')[1], row.split(',').at(-1)])).toEqual(
      ['tower.0', 'tower.1'].flatMap((name) => ['0', '1', '2', '3'].map((index) => [index, name])),
    );
  });
});

test('CSV leaves the group of the FeatureInfo empty', async () => {
  const { stdout } = await runCli(['inspect', VIT, '--csv']);
  const groups = stdout
    .trimEnd()
    .split('\r\n')
    .slice(1)
    .map((row) => row.slice(row.lastIndexOf(',') + 1));
  expect(groups).toEqual([...Array(6).fill(''), ...Array(6).fill('attention')]);
});

test('an input that is not a picture is not called one', async () => {
  const net = new Net([1, 1, 40, 40]);
  const { resolution } = await net.resolve([net.conv('only', 'image', [1, 4])]);
  expect(resolution.warnings).toEqual([expect.stringContaining("a smaller map of the input 'image'")]);
});

test('maps of attention that differ are not given one shape', async () => {
  const report = await inspect(VIT);
  const [attention] = report.groups;
  const text = (shapes: readonly (readonly number[])[]): string | undefined => {
    const features = shapes.map((shape) => ({ ...attention.features[0], shape }));
    return line({ stdout: inspectText({ ...report, groups: [{ ...attention, features }] }, PLAIN) }, 'attention');
  };
  const [a, b, c] = [
    [1, 8, 625, 625],
    [1, 8, 50, 625],
    [1, 8, 50, 50],
  ];
  expect(text([a, a])).toMatch(/^attention {2}2 maps \[1, 8, 625, 625\] {2}--out/);
  expect(text([a, b, a])).toMatch(/3 maps of 2 shapes, \[1, 8, 625, 625\] and \[1, 8, 50, 625\] {2}--out/);
  expect(text([a, b, c])).toMatch(/3 maps of 3 shapes, \[1, 8, 625, 625\] to \[1, 8, 50, 50\] {2}--out/);
});

test('a cut of both: the tables of extract, verify and inspect name the group', async () => {
  const cut = join(folder, 'both.onnx');
  const extracted = await runCli(['extract', VIT, '--out', '2,attention:1', '-o', cut]);
  expect(line(extracted, /^attention\.1 /)).toMatch(/^attention\.1 +attention:1 /);
  expect(line(extracted, /^2 /)).toMatch(/^2 +2 /);
  expect(line(await runCli(['verify', VIT, cut]), /^attention\.1 /)).toMatch(/^attention\.1 +attention:1 +yes/);
  const { features } = await verify(VIT, cut);
  expect(features.map(({ index, group }) => [index, group])).toEqual([
    [2, undefined],
    [1, 'attention'],
  ]);
  const seen = await runCli(['inspect', cut]);
  expect(line(seen, 'attention ')).toMatch(/ {2}\* 1$/);
  expect(line(seen, '* marks')).toContain('of a cut, its outputs');
  expect((await inspect(cut)).groups).toMatchObject([{ name: 'attention', out_indices: [1] }]);
});

test('the library takes `out` as the flag has it, in text and in lists', async () => {
  const outputs = async (out: string | readonly (number | string)[]): Promise<readonly string[]> =>
    (await extract(VIT, join(folder, 'cut.onnx'), { out })).features.map(({ output }) => output);
  for (const out of ['2,attention:0-1', [2, 'attention:0-1'], [2, 'attention:0', 'attention:1']])
    expect(await outputs(out)).toEqual(['2', 'attention.0', 'attention.1']);
  await expect(outputs('attention')).rejects.toMatchObject({
    message: "`out` cannot read 'attention' as indices",
    hint: expect.stringMatching(/^'attention' is a group: `out: 'attention:0-\d'`$/),
  });
});
