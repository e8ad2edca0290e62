import type { TensorValue } from '../onnx/tensor-value.js';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { IoError, UsageError } from '../errors.js';
import { BufferPool } from '../processes/buffers.js';
import { globFiles } from '../wire/find-files.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { batches, batchSizeOf, type BatchingOptions, type InputBatch } from './batches.js';
import { parseInputSpec } from './input-files.js';
import { planInputs, type InputOptions, type ModelInput } from './input-plan.js';
import { npyHeader } from './npy.js';
import { valueBytes } from './tensor.js';
import { tensorProtoFile } from '../testing/tensor-proto.js';
import { openWriter } from './open-writer.js';

const fixtures = new URL('../../fixtures/tensors/', import.meta.url).pathname;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'featx-inputs-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const input: ModelInput = { name: 'x', dtype: 'float32', shape: ['batch', 2] };
const float = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

async function npy(name: string, tensor: TensorValue): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, Buffer.concat([npyHeader(tensor.dtype, tensor.shape, name), valueBytes(tensor)]));
  return path;
}

async function archive(name: string, tensors: readonly (readonly [string, TensorValue])[]): Promise<string> {
  const path = join(directory, name);
  const rows = tensors[0][1].shape[0];
  await using writer = await openWriter(path, { totalRows: rows });
  await writer.write(new Map(tensors), rows);
  await writer.finish();
  return path;
}

async function run(
  specs: readonly string[],
  inputs: readonly ModelInput[],
  options?: InputOptions,
  batching?: BatchingOptions,
): Promise<InputBatch[]> {
  const all: InputBatch[] = [];
  for await (const batch of batches(await planInputs(specs, inputs, options), batching)) all.push(batch);
  return all;
}

/** A square picture of one grey. */
function solid(value: number, side: number): Promise<Buffer> {
  const pixels = new Uint8Array(side * side * 3).fill(value);
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer();
}

const valuesOf = (all: readonly InputBatch[], name = 'x'): unknown[] =>
  all.map(({ feeds }) => [...(feeds.get(name)?.data ?? [])]);

describe('what --input names', () => {
  test('a name counts only where the model has that input', () => {
    expect(parseInputSpec('x=a.npy', ['x'])).toEqual({ input: 'x', path: 'a.npy' });
    expect(parseInputSpec('y=a.npy', ['x'])).toEqual({ input: null, path: 'y=a.npy' });
    expect(parseInputSpec('a=b=c', ['a', 'a=b'])).toEqual({ input: 'a=b', path: 'c' });
    expect(parseInputSpec('random:7', ['x'])).toEqual({ input: null, seed: 7 });
    expect(parseInputSpec('x=random', ['x'])).toEqual({ input: 'x', seed: 0 });
    expect(() => parseInputSpec('random:x', ['x'])).toThrow(/not a number/);
    expect(() => parseInputSpec('x=', ['x'])).toThrow(/names no file/);
  });

  test('patterns find files in order, not dot files, directories or what lies behind links', async () => {
    await mkdir(join(directory, 'sub', 'deep'), { recursive: true });
    await mkdir(join(directory, 'dir.npy'));
    for (const name of ['b.npy', 'a10.npy', 'a2.npy', 'sub/c.npy', 'sub/deep/d.npy', '.hidden.npy', 'e.txt'])
      await writeFile(join(directory, name), '');
    await symlink(directory, join(directory, 'sub', 'loop'));
    const names = async (pattern: string): Promise<string[]> =>
      (await globFiles(join(directory, pattern), { fs: nodeFileSystem, warn: () => undefined })).map((path) =>
        path.slice(directory.length + 1),
      );
    expect(await names('*.npy')).toEqual(['a10.npy', 'a2.npy', 'b.npy']);
    expect(await names('**/*.npy')).toEqual(['a10.npy', 'a2.npy', 'b.npy', 'sub/c.npy', 'sub/deep/d.npy']);
    expect(await names('s*/c.npy')).toEqual(['sub/c.npy']);
    expect(await names('.h*')).toEqual(['.hidden.npy']);
    expect(await names('nothing/*')).toEqual([]);
  });
});

describe('planning inputs', () => {
  test('files of one input stack in order, and batches cut across them', async () => {
    const paths = [
      await npy('a.npy', float([3, 2], 1, 2, 3, 4, 5, 6)),
      await npy('b.npy', float([2], 7, 8)),
      await npy('c.npy', float([1, 2], 9, 10)),
    ];
    const plan = await planInputs(paths, [input]);
    expect(plan).toMatchObject({ rows: 5, fixedBatch: null, files: paths, warnings: [] });
    const all = await run(paths, [input], {}, { batchSize: 2 });
    expect(valuesOf(all)).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10],
    ]);
    expect(all.map(({ index, start, rows, size }) => [index, start, rows, size])).toEqual([
      [0, 0, 2, 2],
      [1, 2, 2, 2],
      [2, 4, 1, 1],
    ]);
  });

  test('a model with a fixed batch gets full batches, the last padded with its last entry', async () => {
    const path = await npy('a.npy', float([3, 2], 1, 2, 3, 4, 5, 6));
    const all = await run([path], [{ ...input, shape: [2, 2] }]);
    expect(valuesOf(all)).toEqual([
      [1, 2, 3, 4],
      [5, 6, 5, 6],
    ]);
    expect(all.map(({ rows, size }) => [rows, size])).toEqual([
      [2, 2],
      [1, 2],
    ]);
    const plan = await planInputs([path], [{ ...input, shape: [2, 2] }]);
    expect(() => batchSizeOf(plan, 4)).toThrow(/batches of 2, not 4/);
  });

  test('arrays of an archive go to the inputs of their names; others warn', async () => {
    const inputs = [input, { name: 'mask', dtype: 'bool', shape: ['batch'] }];
    const path = await archive('a.npz', [
      ['mask', { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) }],
      ['x', float([2, 2], 1, 2, 3, 4)],
      ['extra', float([2], 0, 0)],
    ]);
    const plan = await planInputs([path], inputs);
    expect(plan.warnings).toEqual([expect.stringContaining('extra is not an input')]);
    const [batch] = await run([path], inputs);
    expect([...(batch.feeds.get('mask')?.data ?? [])]).toEqual([1, 0]);
    const single = await archive('b.safetensors', [['whatever', float([1, 2], 5, 6)]]);
    expect(valuesOf(await run([single], [input]))).toEqual([[5, 6]]);
    await expect(
      planInputs(
        [
          await archive('c.npz', [
            ['p', float([1], 1)],
            ['q', float([1], 1)],
          ]),
        ],
        [input],
      ),
    ).rejects.toThrow(/p, q, and none is named/);
  });

  test('a TensorProto goes to the input of its name', async () => {
    const path = join(directory, 'mask.pb');
    await writeFile(path, tensorProtoFile(float([1, 2], 3, 4), 'second'));
    const inputs = [input, { ...input, name: 'second' }];
    const all = await run([path, `x=${await npy('a.npy', float([1, 2], 1, 2))}`], inputs);
    expect(valuesOf(all, 'second')).toEqual([[3, 4]]);
    expect(valuesOf(all, 'x')).toEqual([[1, 2]]);
  });

  test('pictures become entries of the size and dtype of their input', async () => {
    const image: ModelInput = { name: 'image', dtype: 'float16', shape: [null, 3, 8, 8] };
    const planned = await planInputs([join(fixtures, 'picture.?pg'), join(fixtures, 'picture.png')], [image]);
    expect(planned.inputs[0].items.filter(({ picture }) => picture !== null)).toHaveLength(2);
    const all = await run(
      [join(fixtures, 'picture-*.png'), join(fixtures, 'picture.webp')],
      [image],
      {},
      { batchSize: 3 },
    );
    expect(all.map(({ feeds }) => feeds.get('image')?.shape)).toEqual([
      [3, 3, 8, 8],
      [2, 3, 8, 8],
    ]);
    expect(all[0].feeds.get('image')?.data).toBeInstanceOf(Uint16Array);
  });

  test('pictures of open sizes get those of the network, and give way to a size that is asked for', async () => {
    const image: ModelInput = { name: 'image', dtype: 'float32', shape: ['n', null, 'h', 'w'] };
    const shapes = new Map([['image', [1, 3, 64, 48]]]);
    const picture = join(fixtures, 'picture.png');
    const shapeWith = async (options: InputOptions): Promise<readonly number[] | undefined> =>
      (await run([picture], [image], { shapes, ...options }))[0].feeds.get('image')?.shape;
    expect(await shapeWith({})).toEqual([1, 3, 64, 48]);
    expect(await shapeWith({ image: { size: 32 } })).toEqual([1, 3, 32, 32]);
    await expect(shapeWith({ image: { size: 32 }, given: new Set(['image']) })).rejects.toThrow('64 x 48, not 32 x 32');
  });

  test('without a batch axis each picture is a batch of its own, at its own size', async () => {
    const inputs: ModelInput[] = [
      { name: 'image', dtype: 'uint8', shape: [3, 'h', 'w'] },
      { name: 'threshold', dtype: 'float32', shape: [1] },
    ];
    const pictures = [join(fixtures, 'picture.png'), join(fixtures, '../pictures/chelsea.png')];
    const specs = [...pictures, `threshold=${await npy('t.npy', float([1], 0.5))}`];
    const plan = await planInputs(specs, inputs);
    expect(plan).toMatchObject({ rows: 2, fixedBatch: 1 });
    expect([...plan.preprocessing]).toEqual([['image', expect.objectContaining({ layout: 'CHW', mean: null })]]);
    const all = await run(specs, inputs);
    expect(all.map(({ feeds }) => feeds.get('image')?.shape)).toEqual([
      [3, 19, 29],
      [3, 300, 451],
    ]);
    expect(valuesOf(all, 'threshold')).toEqual([[0.5], [0.5]]);
    expect(() => batchSizeOf(plan, 2)).toThrow(/batches of 1, not 2/);
  });

  test('with a batch axis pictures of their own sizes run one by one, unless they are to be one batch', async () => {
    const image: ModelInput = { name: 'image', dtype: 'uint8', shape: ['n', 'h', 'w', 3] };
    const pictures = [join(fixtures, 'picture.png'), join(fixtures, '../pictures/chelsea.png')];
    const shapes = (all: readonly InputBatch[]): unknown => all.map(({ feeds }) => feeds.get('image')?.shape);
    expect(shapes(await run(pictures, [image]))).toEqual([
      [1, 19, 29, 3],
      [1, 300, 451, 3],
    ]);
    expect(shapes(await run([pictures[0], pictures[0]], [image], {}, { batchSize: 2 }))).toEqual([[2, 19, 29, 3]]);
    expect(shapes(await run(pictures, [image], { image: { size: 8 } }))).toEqual([[2, 8, 8, 3]]);
    const sizes = new Map([['image', [1, 8, 8, 3]]]);
    expect(shapes(await run(pictures.slice(0, 1), [image], { shapes: sizes }))).toEqual([[1, 19, 29, 3]]);
    expect(shapes(await run(pictures, [image], { shapes: sizes, given: new Set(['image']) }))).toEqual([[2, 8, 8, 3]]);
    await expect(run(pictures, [image], {}, { batchSize: 2 })).rejects.toThrow(
      /several sizes cannot be one batch of input image: \[19, 29, 3\], \[300, 451, 3\]/,
    );
    await expect(
      planInputs(
        [pictures[0], await npy('p.npy', { dtype: 'uint8', shape: [1, 2, 2, 3], data: new Uint8Array(12) })],
        [image],
      ),
    ).rejects.toThrow(/of shape \[2, 2, 3\].*of shape \[\?, \?, 3\]/);
  });

  test('a picture goes to the input of four axes where another has three', async () => {
    const inputs: ModelInput[] = [
      { name: 'camera', dtype: 'float32', shape: [1, 3, 3] },
      { name: 'image', dtype: 'float32', shape: [1, 3, 8, 8] },
    ];
    const plan = await planInputs([join(fixtures, 'picture.png'), 'random'], inputs);
    expect([...plan.preprocessing.keys()]).toEqual(['image']);
  });

  test('float arrays are converted with a warning where that rounds, other dtypes refused', async () => {
    const path = await npy('a.npy', float([1, 2], 1, -2.5));
    const half = { ...input, dtype: 'float16' };
    expect((await planInputs([path], [half])).warnings).toEqual([expect.stringContaining('rounded to float16')]);
    expect(valuesOf(await run([path], [half]))).toEqual([[0x3c00, 0xc100]]);
    await expect(
      planInputs([await npy('b.npy', { dtype: 'uint8', shape: [1, 2], data: Uint8Array.of(1, 2) })], [input]),
    ).rejects.toThrow(/is uint8, and input x takes float32/);
  });

  test('inputs that fix what others leave open go whole into every batch', async () => {
    const inputs: ModelInput[] = [
      input,
      { name: 'sizes', dtype: 'float32', shape: [3] },
      { name: 'scale', dtype: 'float32', shape: [] },
    ];
    const specs = [
      `x=${await npy('a.npy', float([2, 2], 1, 2, 3, 4))}`,
      `sizes=${await npy('s.npy', float([3], 7, 8, 9))}`,
      `scale=${await npy('k.npy', float([], 5))}`,
    ];
    const all = await run(specs, inputs, {}, { batchSize: 1 });
    expect(valuesOf(all, 'sizes')).toEqual([
      [7, 8, 9],
      [7, 8, 9],
    ]);
    expect(all[1].feeds.get('scale')).toEqual(float([], 5));
    await expect(
      planInputs([specs[0], `sizes=${await npy('t.npy', float([2], 7, 8))}`, specs[2]], inputs),
    ).rejects.toThrow(/takes 3 entries, and its files have 2/);
  });

  test('random values fill what nothing else does, as many as the others, whatever the batch size', async () => {
    const inputs = [input, { ...input, name: 'y' }];
    const specs = [`x=${await npy('a.npy', float([3, 2], 1, 2, 3, 4, 5, 6))}`, 'random:5'];
    const shapes = new Map([['y', [1, 2]]]);
    const whole = valuesOf(await run(specs, inputs, { shapes }), 'y').flat();
    expect(whole).toHaveLength(6);
    expect(valuesOf(await run(specs, inputs, { shapes }, { batchSize: 1 }), 'y').flat()).toEqual(whole);
    const [shaped] = await run(['random'], [{ ...input, shape: ['n', 's'] }], { shapes: new Map([['x', [4, 7]]]) });
    expect(shaped.feeds.get('x')?.shape).toEqual([4, 7]);
    const open: ModelInput[] = [
      { ...input, shape: ['n', 2] },
      { ...input, name: 'z', shape: null },
    ];
    await expect(planInputs(['random'], open)).rejects.toMatchObject({
      message: expect.stringMatching(/ x \(float32 \[n, 2\]\), z \(of unknown rank\)$/),
      hint: expect.stringContaining('`inputShapes: {"x":[1,2],"z":[1,3,224,224]}`'),
    });
    await expect(planInputs(['random', 'x=random'], [input], { shapes: new Map([['x', [1, 2]]]) })).rejects.toThrow(
      /something else|no input left/,
    );
  });

  test('every bad file is named in one error', async () => {
    await writeFile(join(directory, 'bad.npy'), '\x93NUMPY and no more');
    await writeFile(join(directory, 'text.txt'), 'hello');
    const good = await npy('good.npy', float([1, 2], 1, 2));
    const failure = planInputs(
      [
        good,
        join(directory, 'bad.npy'),
        join(directory, 'text.txt'),
        join(directory, 'none.npy'),
        join(directory, '*.gif'),
      ],
      [input],
    );
    await expect(failure).rejects.toBeInstanceOf(UsageError);
    for (const name of ['bad.npy', 'text.txt', 'none.npy', '*.gif']) await expect(failure).rejects.toThrow(name);
    await expect(failure).rejects.toThrow(/^[^\n]*; [^\n]*$/);
    const missing = planInputs([join(directory, 'p.npy'), join(directory, 'q.npy')], [input]);
    await expect(missing).rejects.toBeInstanceOf(IoError);
    const shapes = planInputs(
      [await npy('w.npy', float([1, 3], 1, 2, 3)), await npy('v.npy', float([1, 4], 1, 2, 3, 4))],
      [input],
    );
    for (const name of ['w.npy', 'v.npy']) await expect(shapes).rejects.toThrow(name);
  });

  test('what is missing or left over is said', async () => {
    const path = await npy('a.npy', float([1, 2], 1, 2));
    await expect(planInputs([path], [input, { ...input, name: 'y' }])).rejects.toThrow(/2 inputs \(x, y\)/);
    await expect(planInputs([`x=${path}`], [input, { ...input, name: 'y' }])).rejects.toThrow(/no `inputs` for y/);
    await expect(planInputs([`z=${path}`], [input])).rejects.toThrow(/there is no input z/);
    await expect(planInputs([await npy('e.npy', float([0, 2]))], [input])).rejects.toThrow(/no entries/);
    const other = await npy('b.npy', float([2, 2], 1, 2, 3, 4));
    await expect(planInputs([`x=${path}`, `y=${other}`], [input, { ...input, name: 'y' }])).rejects.toThrow(/x 1, y 2/);
    await expect(
      planInputs([path, await npy('c.npy', float([1, 3], 1, 2, 3))], [{ ...input, shape: [null, null] }]),
    ).rejects.toThrow(/cannot be stacked/);
    await mkdir(join(directory, 'empty'));
    await expect(planInputs([join(directory, 'empty')], [input])).rejects.toThrow(/has no input files/);
  });

  test('a directory gives its input files in order and says how many it left out', async () => {
    await npy('2.npy', float([1, 2], 3, 4));
    await npy('1.npy', float([1, 2], 1, 2));
    await writeFile(join(directory, 'readme.md'), '');
    expect((await planInputs([directory], [input])).warnings).toEqual([
      expect.stringContaining('1 of 3 entries is not an input file and is left out'),
    ]);
    expect(valuesOf(await run([directory], [input]))).toEqual([[1, 2, 3, 4]]);
  });
});

describe('batches', () => {
  test('the next batch is read while the caller works, and no more than that', async () => {
    const path = await npy('a.npy', float([6, 2], ...Array.from({ length: 12 }, (_unused, index) => index)));
    let reads = 0;
    const counting: FileSystem = {
      ...nodeFileSystem,
      async open(...args) {
        reads++;
        return nodeFileSystem.open(...args);
      },
    };
    const plan = await planInputs([path], [input], { fileSystem: counting });
    reads = 0;
    const seen: number[] = [];
    for await (const _batch of batches(plan, { batchSize: 1 })) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen.push(reads);
    }
    expect(seen).toEqual([2, 3, 4, 5, 6, 6]);
  });

  test('stopping early, an abort and a file that changes end it', async () => {
    const path = await npy('a.npy', float([3, 2], 1, 2, 3, 4, 5, 6));
    const plan = await planInputs([path], [input]);
    for await (const batch of batches(plan, { batchSize: 1 })) {
      expect(batch.index).toBe(0);
      break;
    }
    const controller = new AbortController();
    const aborted = async (): Promise<void> => {
      for await (const _batch of batches(plan, { batchSize: 1, signal: controller.signal }))
        controller.abort(new Error('enough'));
    };
    await expect(aborted()).rejects.toThrow('enough');
    await utimes(path, 1, 1);
    await expect(batches(plan).next()).rejects.toMatchObject({ code: 'FEATX_IO_CHANGED' });
  });

  test('memory that is given back holds the batches that follow, and never one that is in use', async () => {
    for (const at of [0, 1, 2, 3, 4, 5, 6]) await writeFile(join(directory, `${at}.png`), await solid(at * 30, 8));
    const square: ModelInput = { name: 'x', dtype: 'float32', shape: [null, 3, 8, 8] };
    const plan = await planInputs([directory], [square], { image: { preprocess: 'raw' } });
    const memory = new BufferPool();
    const buffers = new Set<unknown>();
    const seen: number[][] = [];
    for await (const { feeds } of batches(plan, { batchSize: 1, memory })) {
      const { data } = feeds.get('x') ?? { data: [] };
      await new Promise((resolve) => setImmediate(resolve));
      seen.push([...new Set<unknown>(data)].map(Number));
      if (!ArrayBuffer.isView(data)) throw new Error('a picture is numbers');
      buffers.add(data.buffer);
      memory.give(data);
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6].map((at) => [at * 30]));
    expect(buffers.size).toBeLessThan(4);
    const pairs = await run([directory], [square], { image: { preprocess: 'raw' } }, { batchSize: 2, memory });
    expect(pairs.map(({ feeds }) => [...new Set<unknown>(feeds.get('x')?.data)])).toEqual([
      [0, 30],
      [60, 90],
      [120, 150],
      [180],
    ]);
  });

  test('pictures of a batch that cannot be decoded are all named', async () => {
    for (const name of ['a.png', 'b.png'])
      await writeFile(join(directory, name), Buffer.from('\x89PNG\r\n\x1a\nrubbish', 'latin1'));
    const failure = run([directory], [{ name: 'image', dtype: 'float32', shape: [null, 3, 8, 8] }]);
    for (const name of ['a.png', 'b.png']) await expect(failure).rejects.toThrow(name);
  });
});
