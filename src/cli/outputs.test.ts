import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTensors } from '../tensors/array-file.js';
import { encodeArrays } from '../tensors/in-memory.js';
import { runCli, type CliSetting } from '../testing/cli.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';

/** What `run` writes, seen from a shell. */

const folder = mkdtempSync(join(tmpdir(), 'featx-outputs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (...names: readonly string[]): string => join(folder, ...names);

const model = path('mean.onnx');
writeFileSync(
  model,
  encodeModel({
    graph: {
      inputs: [value('x', ['n', 3, 4, 4])],
      outputs: [value('y', ['n', 3])],
      nodes: [
        node(
          'ReduceMean',
          ['x'],
          ['y'],
          { axes: { ints: [2, 3] }, keepdims: { int: 0 } },
          { name: '/pool/ReduceMean' },
        ),
      ],
    },
  }),
);
mkdirSync(path('photos'));
copyFileSync('fixtures/tensors/picture.png', path('photos', 'a.png'));
copyFileSync('fixtures/tensors/picture.jpg', path('photos', 'c.jpg'));
writeFileSync(path('photos', 'b.png'), readFileSync('fixtures/tensors/picture.png').subarray(0, 200));

const run = (flags: readonly string[], setting?: CliSetting): ReturnType<typeof runCli> =>
  runCli(['run', model, '--tensor', 'y', '--size', '4', ...flags], setting);
interface Row {
  readonly file: string;
  readonly index: number;
  readonly y: readonly number[];
}
const rowsOf = (text: string): Row[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line): Row => JSON.parse(line));

test('a picture that cannot be read is an error, or left out, named, and exit code 1', async () => {
  const refused = await run(['--input', path('photos'), '-o', path('x.jsonl')]);
  expect([refused.exit, refused.stderr, existsSync(path('x.jsonl'))]).toEqual([
    3,
    expect.stringContaining('b.png cannot be decoded'),
    false,
  ]);
  const left = await run(['--input', path('photos'), '-o', path('x.jsonl'), '--skip-bad']);
  expect([left.exit, left.stderr]).toEqual([1, expect.stringMatching(/^skipped \S*b\.png: cannot be decoded/m)]);
  expect(rowsOf(readFileSync(path('x.jsonl'), 'utf8')).map(({ file, index, y }) => [file, index, y.length])).toEqual([
    [path('photos', 'a.png'), 0, 3],
    [path('photos', 'c.jpg'), 0, 3],
  ]);
  const { exit, stdout } = await run(['--input', path('photos'), '--skip-bad', '--json']);
  const report: { readonly images: number; readonly skipped: readonly object[] } = JSON.parse(stdout);
  expect([exit, report.images, report.skipped]).toEqual([
    1,
    2,
    [
      {
        input: path('photos', 'b.png'),
        code: 'FEATX_TENSOR_FORMAT',
        message: expect.stringContaining('cannot be decoded'),
      },
    ],
  ]);
  const none = await run(['--input', path('photos', 'b.png'), '--skip-bad']);
  expect([none.exit, none.stderr]).toEqual([3, expect.stringContaining('cannot be decoded')]);
  const gone = await run(['--input', path('gone.png'), '--input', path('photos', 'a.png'), '--skip-bad']);
  expect([gone.exit, gone.stderr]).toEqual([1, expect.stringMatching(/^skipped \S*gone\.png: .*no such file/m)]);
  const mistyped = await run(['--input', 'image=a.png', '--input', path('photos', 'a.png'), '--skip-bad']);
  expect([mistyped.exit, mistyped.stderr]).toEqual([2, expect.stringContaining('there is no input image')]);
});

test('features go into a pipe, and out of one', async () => {
  const stdin = readFileSync(path('photos', 'a.png'));
  const lines = await run(['--input', '-', '-o', '-'], { stdin });
  expect([lines.exit, rowsOf(lines.stdout).map(({ file }) => file)]).toEqual([0, ['-']]);
  expect(lines.stderr).toMatch(/^ran 1 image on cpu in \d+ ms$/m);
  const arrays = await run(['--input', 'x=-', '-o', '-', '--format', 'npz'], { stdin });
  writeFileSync(path('piped.npz'), arrays.stdoutBytes);
  const [[key, { data }]] = [...(await readTensors(path('piped.npz')))];
  expect([key, [...data]]).toEqual(['y', [...Float32Array.from(rowsOf(lines.stdout)[0].y)]]);
  const tensor = { dtype: 'float32', shape: [2, 3, 4, 4], data: new Float32Array(96) };
  const piped = await run(['--input', '-', '-o', '-'], { stdin: encodeArrays(new Map([['x', tensor]]), 'npz') });
  expect(rowsOf(piped.stdout)).toEqual([0, 1].map((index) => ({ file: '-', index, y: [0, 0, 0] })));
});

test.each([
  [['-o', '-', '--json'], false, 'where --json would print'],
  [['-o', '-', '--format', 'npz'], true, 'would print the bytes of a .npz to the terminal'],
  [['-o', 'x.npz', '--format', 'csv'], false, 'x.npz would be npz, not csv'],
  [['-o', 'x.h5'], false, 'x.h5 has no extension of a file of features'],
])('%j is refused', async (flags, isTerminal, message) => {
  const { exit, stderr, stdout } = await run(['--input', 'random', ...flags], { isTerminal });
  expect([exit, `${stderr}${stdout}`]).toEqual([2, expect.stringContaining(message)]);
});

test('files that a shell made of a pattern belong to the one --input', async () => {
  const [a, c] = [path('photos', 'a.png'), path('photos', 'c.jpg')];
  const { exit, stdout } = await run(['--input', c, a, '-o', '-']);
  expect([exit, rowsOf(stdout).map(({ file }) => file)]).toEqual([0, [c, a]]);
  const unclear = await run(['--input', c, '--input', a, a]);
  expect([unclear.exit, unclear.stderr]).toEqual([2, expect.stringContaining('stands alone between 2 --input')]);
  const none = await run([a]);
  expect([none.exit, none.stderr]).toEqual([2, expect.stringContaining('is not an input without --input')]);
});

test('a module is found under its name, in a folder that is made', async () => {
  const flags = ['--input', 'random', '-o', path('new', 'x.npz'), '--quiet'];
  const { exit } = await runCli(['run', model, '--module', 'pool', '--input-shape', '1,3,4,4', ...flags]);
  expect([exit, readdirSync(path('new'))]).toEqual([0, ['x.npz']]);
  expect([...(await readTensors(path('new', 'x.npz'))).keys()]).toEqual(['pool']);
});
