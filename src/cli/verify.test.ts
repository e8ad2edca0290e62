import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../testing/cli.js';

const MODEL = join(process.cwd(), 'fixtures', 'timm', 'test_resnet.ts.onnx');
let folder: string;

beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'featx-verify-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('verify', () => {
  test('a cut whose weights were touched differs: exit 1, in text and as a record', async () => {
    const cut = join(folder, 'cut.onnx');
    await runCli(['extract', MODEL, '--out', '1', '-o', cut]);
    expect(await runCli(['verify', MODEL, cut])).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(
        /^equal: .*\nequal means: .*0\.001 standard deviations\n\noutput +index +bit-equal +difference +tensor\n1 +1 +yes +0\.0 /,
      ),
      stderr: '',
    });
    const bytes = readFileSync(cut);
    // Weights: they fill all but the ends of this file.
    const middle = Math.floor(bytes.length / 2);
    for (let at = middle; at < middle + 1024; at += 4) bytes.writeFloatLE(1, at);
    writeFileSync(cut, bytes);
    expect(await runCli(['verify', MODEL, cut])).toMatchObject({
      exit: 1,
      stdout: expect.stringMatching(/^different: /),
    });
    const { exit, stdout } = await runCli(['verify', MODEL, cut, '--json']);
    expect({ exit, report: JSON.parse(stdout) }).toMatchObject({
      exit: 1,
      report: {
        schema: 1,
        command: 'verify',
        model: MODEL,
        extracted: cut,
        equal: false,
        features: [{ index: 1, output: '1', bit_equal: false }],
      },
    });
  });

  test.each([
    [['a.onnx', 'b.onnx', '--map', 'x'], '--map takes TENSOR=OUTPUT'],
    [['-', '-'], 'once'],
    [['a.onnx'], "missing required argument 'extracted'"],
    [['a.onnx', 'b.onnx', '--tolerance', 'x'], '--tolerance takes a number'],
  ])('%j is a usage error', async (argv, message) =>
    expect(await runCli(['verify', ...argv])).toMatchObject({ exit: 2, stderr: expect.stringContaining(message) }),
  );

  test('extract --verify writes nothing where there is no file to check', async () => {
    expect(await runCli(['extract', MODEL, '--out', '1', '-o', '-', '--verify'])).toMatchObject({
      exit: 2,
      stdout: '',
    });
    expect(await runCli(['extract', MODEL, '--out', '1', '--dry-run', '--verify'])).toMatchObject({
      exit: 2,
      stdout: '',
    });
  });
});

describe('doctor', () => {
  test('says what there is, as text and as a record', async () => {
    const { exit, stdout } = await runCli(['doctor', '--provider', 'cpu', '--json']);
    expect({ exit, report: JSON.parse(stdout) }).toMatchObject({
      exit: 0,
      report: {
        schema: 1,
        command: 'doctor',
        node: process.versions.node,
        providers: [{ provider: 'cpu', works: true }],
      },
    });
    expect((await runCli(['doctor', '--provider', 'cpu'])).stdout).toMatch(
      /^featx .*Node\.js .*\nworks +onnxruntime-node .*\nworks +cpu\nworks +sharp \d.*\nworks +tokenizers \(texts\)\n$/,
    );
  });

  test('an unknown provider is a usage error that lists those there are', async () => {
    expect(await runCli(['doctor', '--provider', 'gpu'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('cuda'),
    });
  });
});
