import type { TensorValue } from '../onnx/tensor-value.js';
import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { FeatxError, IoError, UsageError } from '../errors.js';
import { faultyFileSystem, type Fault } from '../testing/faulty-fs.js';
import { readTensors } from './array-file.js';
import { outputFormatOf } from './output-format.js';
import type { WriterOptions, WrittenFile } from './feature-writer.js';
import { openWriter } from './open-writer.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'featx-writer-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const float = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
const half = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: 'float16',
  shape,
  data: Uint16Array.from(values),
});

type Batch = readonly [number, ReadonlyMap<string, TensorValue>];
const BATCHES: readonly Batch[] = [
  [
    2,
    new Map([
      ['/a/b', float([2, 2], 1, 2, 3, 4)],
      ['1', half([2], 10, 11)],
    ]),
  ],
  [
    1,
    new Map([
      ['/a/b', float([1, 2], 5, 6)],
      ['1', half([1], 12)],
    ]),
  ],
];
const JOINED = new Map([
  ['/a/b', float([3, 2], 1, 2, 3, 4, 5, 6)],
  ['1', half([3], 10, 11, 12)],
]);

async function write(
  target: string,
  batches: readonly Batch[] = BATCHES,
  options: Partial<WriterOptions> = {},
): Promise<WrittenFile[]> {
  await using writer = await openWriter(target, { totalRows: 3, ...options });
  for (const [rows, batch] of batches) await writer.write(batch, rows);
  return writer.finish();
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

describe('formats', () => {
  test('come from the extension or the directory', () => {
    expect(outputFormatOf('a/b.NPZ', false)).toBe('npz');
    expect(outputFormatOf('a.b/features', false)).toBe('pb-directory');
    expect(outputFormatOf('features.npz/', false)).toBe('pb-directory');
    expect(outputFormatOf('.features', false)).toBe('pb-directory');
    expect(outputFormatOf('x.npy', true)).toBe('pb-directory');
    expect(() => outputFormatOf('a.h5', false)).toThrow(UsageError);
  });

  test.each(['f.npz', 'f.safetensors'])(
    '%s joins batches, written in place or through temporary files to the same bytes',
    async (name) => {
      const files = await write(join(directory, name));
      expect(files).toEqual([
        {
          path: join(directory, name),
          sizeBytes: (await stat(join(directory, name))).size,
          tensors: [
            { name: '/a/b', key: '/a/b', shape: [3, 2] },
            { name: '1', key: '1', shape: [3] },
          ],
        },
      ]);
      expect(await readTensors(join(directory, name))).toEqual(JOINED);
      await write(join(directory, `spooled-${name}`), BATCHES, { totalRows: null });
      expect(await readFile(join(directory, `spooled-${name}`))).toEqual(await readFile(join(directory, name)));
      expect((await readdir(directory)).sort()).toEqual([name, `spooled-${name}`].sort());
    },
  );

  test('a directory gets one TensorProto per feature, its name inside and percent-encoded outside', async () => {
    const target = join(directory, 'out');
    const files = await write(`${target}/`);
    expect(files.map(({ path }) => path)).toEqual([join(target, '%2Fa%2Fb.pb'), join(target, '1.pb')]);
    expect(await readTensors(join(target, '%2Fa%2Fb.pb'))).toEqual(new Map([['/a/b', JOINED.get('/a/b')]]));
    expect(await readTensors(join(target, '1.pb'))).toEqual(new Map([['1', JOINED.get('1')]]));
    await write(target);
    expect((await readdir(target)).sort()).toEqual(['%2Fa%2Fb.pb', '1.pb']);
    expect(await readdir(directory)).toEqual(['out']);
  });

  test('.npy and .pb hold one feature', async () => {
    const one: readonly Batch[] = [
      [2, new Map([['x', float([2, 2], 1, 2, 3, 4)]])],
      [1, new Map([['x', float([1, 2], 5, 6)]])],
    ];
    await write(join(directory, 'x.npy'), one);
    expect(await readTensors(join(directory, 'x.npy'))).toEqual(new Map([['', JOINED.get('/a/b')]]));
    await write(join(directory, 'x.pb'), one);
    expect(await readTensors(join(directory, 'x.pb'))).toEqual(new Map([['x', JOINED.get('/a/b')]]));
    await expect(write(join(directory, 'y.npy'))).rejects.toThrow(
      /holds one array, and there are 2 features: \/a\/b, 1/,
    );
    expect((await readdir(directory)).sort()).toEqual(['x.npy', 'x.pb']);
  });

  test('a dtype the format lacks is refused with a format that has it', async () => {
    const bfloat: readonly Batch[] = [
      [1, new Map([['x', { dtype: 'bfloat16', shape: [1], data: Uint16Array.of(0x3f80) }]])],
    ];
    await expect(write(join(directory, 'x.npz'), bfloat, { totalRows: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('x (bfloat16)'),
      hint: expect.stringContaining('.safetensors'),
    });
    await write(join(directory, 'x.safetensors'), bfloat, { totalRows: 1 });
    expect((await readTensors(join(directory, 'x.safetensors'))).get('x')?.dtype).toBe('bfloat16');
  });
});

describe('batches that do not join', () => {
  test('a single batch may have any shapes, several need axis 0', async () => {
    const scalar: Batch = [
      2,
      new Map([
        ['s', float([], 1)],
        ['t', float([7], 1, 2, 3, 4, 5, 6, 7)],
      ]),
    ];
    await write(join(directory, 'one.npz'), [scalar], { totalRows: 2 });
    expect((await readTensors(join(directory, 'one.npz'))).get('t')?.shape).toEqual([7]);
    await expect(write(join(directory, 'two.npz'), [scalar, scalar], { totalRows: 4 })).rejects.toThrow(
      /s is float32 \[\] in batch 2 of 2 and cannot be joined to a scalar/,
    );
  });

  test('entries other than the batch has are stacked in order', async () => {
    const windows: readonly Batch[] = [
      [2, new Map([['w', float([4], 1, 2, 3, 4)]])],
      [1, new Map([['w', float([2], 5, 6)]])],
    ];
    await write(join(directory, 'w.npz'), windows);
    expect((await readTensors(join(directory, 'w.npz'))).get('w')).toEqual(float([6], 1, 2, 3, 4, 5, 6));
  });

  test.each([
    ['another size', new Map([['x', float([1, 3], 1, 2, 3)]])],
    ['another dtype', new Map([['x', half([1, 2], 1, 2)]])],
    ['another number of entries', new Map([['x', float([2, 2], 1, 2, 3, 4)]])],
    ['another name', new Map([['y', float([1, 2], 1, 2)]])],
  ])('%s in a later batch is an error and leaves nothing', async (_what, second) => {
    await expect(
      write(join(directory, 'x.npz'), [
        [2, new Map([['x', float([2, 2], 1, 2, 3, 4)]])],
        [1, second],
      ]),
    ).rejects.toBeInstanceOf(UsageError);
    expect(await readdir(directory)).toEqual([]);
  });

  test('missing batches are an error and leave nothing', async () => {
    await expect(write(join(directory, 'x.npz'), BATCHES.slice(0, 1))).rejects.toThrow(
      /has 2.* of the 3 entries announced/,
    );
    await expect(write(join(directory, 'x.npz'), [])).rejects.toThrow(/no batch/);
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('targets', () => {
  test('links, inputs, folders that cannot be one and files that may not be replaced are refused before anything is written', async () => {
    const target = join(directory, 'x.npz');
    await writeFile(target, 'old');
    await symlink(target, join(directory, 'link.npz'));
    await link(target, join(directory, 'hard.npz'));
    await expect(write(join(directory, 'link.npz'))).rejects.toBeInstanceOf(UsageError);
    await expect(write(join(directory, 'hard.npz'), BATCHES, { inputs: [target] })).rejects.toThrow(/also an input/);
    await expect(write(target, BATCHES, { noClobber: true })).rejects.toBeInstanceOf(IoError);
    await writeFile(join(directory, 'plain'), '');
    await expect(write(join(directory, 'plain', 'x.npz'))).rejects.toBeInstanceOf(IoError);
    await expect(write(join(directory, 'plain', 'out/'))).rejects.toBeInstanceOf(IoError);
    await expect(write(join(directory, 'plain'))).rejects.toThrow(/not a directory/);
    await mkdir(join(directory, 'out'));
    await symlink(target, join(directory, 'out', '1.pb'));
    await expect(write(join(directory, 'out'))).rejects.toThrow(/symbolic link/);
    expect(await readFile(target, 'utf8')).toBe('old');
    expect((await readdir(directory)).sort()).toEqual(['hard.npz', 'link.npz', 'out', 'plain', 'x.npz']);
    expect(await readdir(join(directory, 'out'))).toEqual(['1.pb']);
  });

  test.each(['x.npz', 'x.jsonl', 'out/'])('missing folders are made for %s', async (name) => {
    await write(join(directory, 'none', 'inner', name));
    expect(await readdir(join(directory, 'none', 'inner'))).toEqual([name.replace('/', '')]);
  });

  test('an abort leaves the old file', async () => {
    const target = join(directory, 'x.npz');
    await writeFile(target, 'old');
    const controller = new AbortController();
    await using writer = await openWriter(target, { totalRows: 3, signal: controller.signal });
    await writer.write(BATCHES[0][1], 2);
    controller.abort(new Error('enough'));
    await expect(writer.write(BATCHES[1][1], 1)).rejects.toThrow('enough');
    await writer[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual(['x.npz']);
    expect(await readFile(target, 'utf8')).toBe('old');
  });
});

describe('a file system that fails', () => {
  const CASES: readonly [string, number | null][] = [
    ['x.npz', 3],
    ['x.safetensors', null],
    ['out', 3],
  ];

  async function assertWhole(target: string): Promise<void> {
    if (!target.endsWith('out')) expect(await readTensors(target)).toEqual(JOINED);
    else
      for (const name of await readdir(target))
        for (const [key, tensor] of await readTensors(join(target, name))) expect(tensor).toEqual(JOINED.get(key));
  }

  test.each(CASES)('%s: an error at any call leaves the old file or the whole new one', async (name, totalRows) => {
    for (const fault of ['ENOSPC', 'short', 'zero'] satisfies Fault[]) {
      for (let call = 1; ; call++) {
        const target = join(directory, `${fault}-${call}-${name}`);
        if (name !== 'out') await writeFile(target, 'old');
        const { fileSystem, calls } = faultyFileSystem(call, fault);
        const failure = await failureOf(write(target, BATCHES, { totalRows, fileSystem }));
        if (failure !== null && !(failure instanceof FeatxError)) throw failure;
        const isOld =
          name === 'out'
            ? !(await readdir(directory)).includes(basename(target))
            : (await readFile(target, 'utf8')) === 'old';
        if (failure === null) expect(isOld).toBe(false);
        if (!isOld) await assertWhole(target);
        if (call > calls.length) break;
        const isCleanup = calls.some((entry) => entry === 'unlink!');
        const left = (await readdir(directory)).filter((entry) => entry.endsWith('.tmp'));
        if (!isCleanup) expect([fault, call, calls.at(-1), left]).toEqual([fault, call, calls.at(-1), []]);
        await rm(directory, { recursive: true });
        await mkdir(directory);
      }
    }
  });
});
