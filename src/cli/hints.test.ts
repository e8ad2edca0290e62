import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../testing/cli.js';

/** What is said of words and files that are nearly right. */

const folder = mkdtempSync(join(tmpdir(), 'featx-hints-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const model = join(folder, 'resnet.onnx');
const pictures = join(folder, 'pictures');
copyFileSync('fixtures/timm/test_resnet.ts.onnx', model);
mkdirSync(pictures);
for (const name of ['a.png', 'cat.png']) copyFileSync('fixtures/tensors/picture.png', join(pictures, name));

test('a word to choose is taken in any case, and the nearest is proposed', async () => {
  const asked = ['run', model, '--out', '1', '--input', 'random', '--provider', 'CPU', '--output-fmt'];
  expect(await runCli([...asked, 'nhwc'])).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('[1, 24, 24, 32]'),
  });
  expect(await runCli([...asked, 'nchv'])).toMatchObject({
    exit: 2,
    stderr: expect.stringMatching(/takes one of NCHW, NHWC, NLC, NCL, not 'nchv'\n {2}hint: did you mean NCHW\?\n/),
  });
});

test.each([
  ['gpu', 'a GPU is cuda or tensorrt (NVIDIA), dml (Windows), coreml (macOS) or webgpu; there are auto, cpu, cuda'],
  ['CUDAExecutionProvider', 'did you mean cuda? there are auto, cpu, cuda'],
])('--provider %s', async (name, hint) => {
  expect(await runCli(['run', model, '--out', '1', '--input', 'random', '--provider', name])).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining(`hint: ${hint}`),
  });
});

test.each([
  [['inspect', join(folder, 'resnt.onnx')], model],
  [['extract', join(folder, 'resnet')], model],
  [['run', model, '--out', '1', '--input', join(pictures, 'ct.png')], join(pictures, 'cat.png')],
])('%j names the file that is there', async (argv, there) => {
  expect(await runCli(argv)).toMatchObject({ exit: 4, stderr: expect.stringContaining(`hint: there is ${there}`) });
});

describe('a picture that cannot be read', () => {
  const advice = 'leave out what cannot be read with --skip-bad';
  beforeAll(() => writeFileSync(join(pictures, 'b.png'), 'no picture'));

  test('beside others: they can be run without it', async () => {
    const asked = ['run', model, '--out', '1', '--preprocess', 'imagenet', '--input'];
    expect(await runCli([...asked, pictures])).toMatchObject({ stderr: expect.stringContaining(advice) });
    const alone = await runCli([...asked, join(pictures, 'b.png')]);
    expect(alone).toMatchObject({ stderr: expect.stringContaining('b.png') });
    expect(alone.stderr).not.toContain('--skip-bad');
    expect(await runCli([...asked, pictures, '--skip-bad'])).toMatchObject({
      exit: 1,
      stdout: expect.stringMatching(/^ran 2 images/),
    });
  });

  test('a command that leaves out nothing does not propose it', async () => {
    const { exit, stderr } = await runCli(['report', model, '--preprocess', 'imagenet', '--input', pictures]);
    expect(exit).not.toBe(0);
    expect(stderr).not.toContain('--skip-bad');
  });
});

test('a run that writes nothing says so, unless quiet or a record is wanted', async () => {
  const asked = ['run', model, '--out', '1', '--input', 'random', '--provider', 'cpu'];
  const line = 'the features are not written: name a file for them, such as -o features.npz\n';
  expect((await runCli(asked)).stderr).toContain(line);
  for (const flags of [['--quiet'], ['--json'], ['-o', join(folder, 'out.npz')]])
    expect((await runCli([...asked, ...flags])).stderr).not.toContain('not written');
});
