import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../run.js';
import { buildCli } from '../testing/batch.js';
import { backbone } from '../testing/fixtures/fixture.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value } from '../testing/model-spec.js';
import { seededFloats } from '../testing/random.js';
import { merge } from '../batch/merge.js';
import { runShard, shardName } from './run-shard.js';

const COUNT = 200;
let root: string;
let model: string;

/** A picture as a network sees it: [1, 3, 8, 8] float32. */
function npy(seed: number): Buffer {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8), }".padEnd(117) + '\n';
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]),
    Buffer.from(header),
    Buffer.from(seededFloats(192, seed).buffer),
  ]);
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-run-shard-'));
  mkdirSync(join(root, 'pictures'));
  for (let at = 0; at < COUNT; at++)
    writeFileSync(join(root, 'pictures', `p${String(at).padStart(3, '0')}.npy`), npy(at + 1));
  model = join(root, 'model.onnx');
  writeFileSync(
    model,
    encodeModel({ graph: backbone({ inputs: [value('x', ['N', 3, 8, 8])], outputs: [value('y', ['N', 5])] }) }),
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('names', () => {
  expect(shardName('a/features.npz', { index: 2, count: 4 })).toBe('a/features.2-of-4.npz');
  expect(shardName('a/out/', { index: 2, count: 4 })).toBe('a/out.2-of-4/');
});

/** Parts of a photograph, a few pixels each, in the formats that cameras and web pages use. */
async function takePictures(folder: string): Promise<void> {
  const { default: sharp } = await import('sharp');
  const { data, info } = await sharp(join('fixtures', 'pictures', 'chelsea.png'))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  mkdirSync(folder);
  for (let at = 0; at < COUNT; at++) {
    const part = sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } }).extract({
      left: (at * 37) % (info.width - 16),
      top: (at * 23) % (info.height - 12),
      width: 16,
      height: 12,
    });
    const format = (['jpeg', 'png', 'webp'] as const)[at % 3];
    writeFileSync(join(folder, `p${String(at).padStart(3, '0')}.${format}`), await part.toFormat(format).toBuffer());
  }
}

/** Kills a process as soon as it has begun to write into a folder. */
async function killWhileWriting(child: ChildProcess, folder: string): Promise<NodeJS.Signals | null> {
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_code, signal) => resolve(signal)));
  const watch = setInterval(() => {
    if (temporaries(folder).length > 0) child.kill('SIGKILL');
  }, 1);
  try {
    return await ended;
  } finally {
    clearInterval(watch);
  }
}

const temporaries = (folder: string): readonly string[] =>
  readdirSync(folder).filter((name) => name.startsWith('.featx-'));

test('four shards of a run over 200 pictures, one killed and run again, merged: as the run without shards', async () => {
  const cli = await buildCli();
  const pictures = join(root, 'photographs');
  const folder = join(root, 'features');
  await takePictures(pictures);
  mkdirSync(folder);
  const featx = (...args: readonly string[]): readonly string[] => [
    cli.main,
    'run',
    model,
    '--out',
    '0,1',
    '--input',
    pictures,
    '--batch-size',
    '16',
    '-o',
    join(folder, 'cli.npz'),
    '--json',
    ...args,
  ];
  expect(
    await killWhileWriting(spawn(process.execPath, [...featx('--shard', '3/4')], { stdio: 'ignore' }), folder),
  ).toBe('SIGKILL');
  expect(readdirSync(folder)).toEqual(temporaries(folder));
  const sizes = [0, 1, 2, 3].map((task) => {
    // The same variables that Slurm gives.
    const env = {
      ...process.env,
      NODE_OPTIONS: '',
      SLURM_ARRAY_TASK_ID: String(task),
      SLURM_ARRAY_TASK_COUNT: '4',
      SLURM_ARRAY_TASK_MIN: '0',
      SLURM_ARRAY_TASK_MAX: '3',
    };
    const { stdout, status, stderr } = spawnSync(process.execPath, [...featx()], { env, encoding: 'utf8' });
    expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
    const { images, features } = JSON.parse(stdout);
    expect(images).toBe(features[0].shape[0]);
    return images;
  });
  expect(sizes).toEqual([64, 48, 48, 40]);
  expect(temporaries(folder)).toEqual([]);
  expect(spawnSync(process.execPath, [cli.main, 'merge', folder], { encoding: 'utf8' })).toMatchObject({
    stderr: '',
    status: 0,
    stdout: expect.stringContaining('200 items of 4 shards'),
  });
  await run(model, {
    out: [0, 1],
    inputs: [pictures],
    batchSize: 16,
    output: join(root, 'whole.npz'),
    providers: 'auto',
  });
  expect(readFileSync(join(folder, 'cli.npz')).equals(readFileSync(join(root, 'whole.npz')))).toBe(true);
});

test.each(['f.safetensors', 'f.npz', 'pb/'])(
  'merged %s is what one run writes, more shards than batches included; a second time a shard writes the same',
  async (name) => {
    const inputs = [join(root, 'pictures', 'p00?.npy')];
    const output = join(root, `sharded-${name}`);
    const options = { out: [0, 1], inputs, batchSize: 4, output, isolate: false };
    const manifests: string[] = [];
    for (let index = 1; index <= 4; index++)
      manifests.push((await runShard(model, options, { index, count: 4 })).manifest);
    const before = readFileSync(manifests[1]);
    await runShard(model, options, { index: 2, count: 4 });
    expect(readFileSync(manifests[1]).equals(before)).toBe(true);
    const joined = join(root, `joined-${name}`);
    expect(await merge(manifests, { output: joined })).toMatchObject({ output: joined, items: 10, problems: [] });
    const whole = join(root, `whole-${name}`);
    await run(model, { ...options, output: whole });
    const contents = (path: string): readonly (readonly [string, Buffer])[] =>
      path.endsWith('/')
        ? readdirSync(path)
            .sort()
            .map((file) => [file, readFileSync(join(path, file))] as const)
        : [['', readFileSync(path)]];
    expect(contents(joined)).toEqual(contents(whole));
  },
);

test('features whose entries stand along another axis, or have a number of rows each, are merged as one run writes them', async () => {
  const path = join(root, 'others.onnx');
  const perm = { perm: { ints: [1, 0, 2] } };
  writeFileSync(
    path,
    encodeModel({
      graph: {
        inputs: [value('x', ['N', 3, 8, 8])],
        outputs: [value('steps', null), value('found', null, 'int64'), value('same', null, 'int64')],
        nodes: [
          node('Reshape', ['x', 'steps_first'], ['r']),
          node('Transpose', ['r'], ['steps'], perm),
          node('Greater', ['x', 'two'], ['g']),
          node('NonZero', ['g'], ['nz']),
          node('Transpose', ['nz'], ['found'], { perm: { ints: [1, 0] } }),
          node('Shape', ['x'], ['s']),
          node('Gather', ['s', 'one'], ['same']),
        ],
        initializers: [
          tensor('steps_first', [3], [-1, 4, 48], 'int64'),
          tensor('two', [], [2]),
          tensor('one', [1], [1], 'int64'),
        ],
      },
    }),
  );
  const options = {
    select: ['steps', 'found', 'same'].map((name) => ({ by: 'tensor' as const, name })),
    inputs: [join(root, 'pictures', 'p00?.npy')],
    output: join(root, 'others.npz'),
    ragged: true,
    isolate: false,
  };
  const manifests: string[] = [];
  for (const index of [1, 2])
    manifests.push((await runShard(path, { ...options, batchSize: 1 }, { index, count: 2 })).manifest);
  expect(await merge(manifests)).toMatchObject({ items: 10, problems: [] });
  const whole = await run(path, { ...options, output: join(root, 'others-whole.npz') });
  expect(whole.features).toMatchObject([
    { shape: [4, 10, 48], entry_axis: 1 },
    { entry_axis: 0, offsets: 'found.offsets' },
    { shape: [1], entry_axis: null },
  ]);
  expect(readFileSync(join(root, 'others.npz')).equals(readFileSync(join(root, 'others-whole.npz')))).toBe(true);
});

test('what does not belong together is not joined', async () => {
  const options = {
    out: [0],
    inputs: [join(root, 'pictures', 'p00?.npy')],
    batchSize: 2,
    output: join(root, 'bad.npy'),
    isolate: false,
  };
  const one = await runShard(model, options, { index: 1, count: 2 });
  expect(await merge([one.manifest])).toMatchObject({ output: null, problems: ['shard 2 of 2 is missing'] });
  const other = await runShard(
    model,
    { ...options, out: [1], output: join(root, 'other.npy') },
    { index: 2, count: 2 },
  );
  await expect(merge([one.manifest, other.manifest])).rejects.toThrow('different runs');
  const two = await runShard(model, options, { index: 2, count: 2 });
  const part = readFileSync(join(root, 'bad.2-of-2.npy'));
  part[part.length - 1] ^= 1;
  writeFileSync(join(root, 'bad.2-of-2.npy'), part);
  expect(await merge([one.manifest, two.manifest])).toMatchObject({
    output: null,
    problems: [expect.stringContaining('content has changed')],
  });
  expect(existsSync(join(root, 'bad.npy'))).toBe(false);
  await expect(runShard(model, { ...options, inputs: ['random'] }, { index: 1, count: 2 })).rejects.toThrow('random');
  await expect(runShard(model, { ...options, inputs: ['x=a.npy'] }, { index: 1, count: 2 })).rejects.toThrow(
    'several inputs',
  );
});
