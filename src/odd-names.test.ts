import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from './extract.js';
import { run } from './run.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value, weights } from './testing/model-spec.js';
import { verify } from './verify.js';

/** Models whose own names are no places that a model may name: what their users call files is theirs to choose. */

let folder: string;
beforeEach(async () => (folder = await realpath(await mkdtemp(join(tmpdir(), 'featx-odd-')))));
afterEach(() => rm(folder, { recursive: true }));

const MODEL = encodeModel({
  graph: {
    inputs: [value('x', [1, 40])],
    outputs: [value('y', [1, 40])],
    initializers: [weights('w', [40, 40], 1)],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
  },
});
const CHOICE = { select: [{ by: 'tensor', name: 'y' }], isolate: false } as const;

async function model(name: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, MODEL);
  return path;
}

const unnameable = process.platform === 'win32' ? ['~m.onnx'] : ['~m.onnx', 'con.onnx', 'org:model.onnx', 'C:m.onnx'];

test.each(unnameable)('%s runs and is cut, and is never named in a cut', async (name) => {
  const path = await model(name);
  const { features } = await run(path, { ...CHOICE, inputs: ['random'] });
  expect(features.map(({ shape }) => shape)).toEqual([[1, 40]]);
  const cut = join(folder, 'cut.onnx');
  await expect(extract(path, cut, { ...CHOICE, weights: 'reference' })).rejects.toMatchObject({
    name: 'UsageError',
    code: 'FEATX_USAGE_REFERENCE',
    message: expect.stringContaining(`'${name}'`),
  });
  expect(await readdir(folder)).toEqual([name]);
  await extract(path, cut, { ...CHOICE, weights: 'external' });
  expect(await verify(path, cut, { isolate: false })).toMatchObject({ equal: true });
});

test.each(unnameable)('weights that would go beside %s are refused before anything is written', async (name) => {
  const path = await model('m.onnx');
  const cut = join(folder, name);
  for (const dryRun of [true, false]) {
    await expect(extract(path, cut, { ...CHOICE, weights: 'external', dryRun })).rejects.toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_OUTPUT',
      path: cut,
      message: expect.stringContaining(name),
    });
  }
  expect(await readdir(folder)).toEqual(['m.onnx']);
  await extract(path, cut, { ...CHOICE, weights: 'embed' });
  expect((await readdir(folder)).sort()).toEqual(['m.onnx', name].sort());
});

test.each([
  'm .onnx',
  'ü.onnx',
  '.m.onnx',
  "it's.onnx",
  ...(process.platform === 'win32' ? [] : ['a\\b.onnx', '<m>?.onnx']),
])('%s is a name like any other', async (name) => {
  const path = await model(name);
  for (const weights of ['external', 'reference'] as const) {
    const cut = join(folder, `${weights}-${name}`);
    await extract(path, cut, { ...CHOICE, weights });
    expect(await verify(path, cut, { isolate: false })).toMatchObject({ equal: true });
  }
});
