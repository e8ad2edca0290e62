import type { TensorValue } from '../onnx/tensor-value.js';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeArrays, readArrays, readPictures, writeArrays } from './in-memory.js';
import { planInputs } from './input-plan.js';
import { batches } from './batches.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'featx-memory-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const one: TensorValue = { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
const half: TensorValue = { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0x4000) };
const PICTURE = join(process.cwd(), 'fixtures', 'pictures', 'chelsea.png');
const INPUT = { name: 'x', dtype: 'float32', shape: ['N', 3, 64, 48] };

test.each([
  ['npz', { a: one, 'b/c': half }],
  ['safetensors', { a: one, b: half }],
  ['npy', { a: one }],
  ['pb', { a: one }],
] as const)('%s bytes are those of the file, and are read back', async (format, arrays) => {
  const given = new Map<string, TensorValue>(Object.entries(arrays));
  const bytes = encodeArrays(given, format);
  const path = join(folder, `f.${format}`);
  await writeArrays(path, given);
  expect(Buffer.from(bytes).equals(readFileSync(path))).toBe(true);
  const expected = [...given.values()];
  for (const read of [await readArrays(path), await readArrays(bytes, { name: `memory.${format}` })])
    expect([...read.values()]).toEqual(expected);
});

test('what a format cannot hold is refused, with what can', () => {
  expect(() =>
    encodeArrays(
      new Map([
        ['a', one],
        ['b', one],
      ]),
      'npy',
    ),
  ).toThrow('a .npy holds one array, and there are 2');
  expect(() => encodeArrays(new Map(), 'npz')).toThrow('there is no feature to write');
  const odd: TensorValue = { dtype: 'bfloat16', shape: [1], data: Uint16Array.of(0) };
  expect(() => encodeArrays(new Map([['a', odd]]), 'npz')).toThrow('a npz cannot hold a (bfloat16)');
});

test('pictures, as paths and as bytes, are what run makes of them', async () => {
  const plan = await planInputs([PICTURE, PICTURE], [INPUT]);
  const { value: batch } = await batches(plan, { batchSize: 2 })[Symbol.asyncIterator]().next();
  const pictures = await readPictures([PICTURE, readFileSync(PICTURE)], INPUT);
  expect(pictures).toEqual(batch?.feeds.get('x'));
  expect(pictures.shape).toEqual([2, 3, 64, 48]);
});

test('an input without a batch axis gets one picture', async () => {
  const input = { name: 'x', dtype: 'uint8', shape: ['h', 'w', 3] };
  expect((await readPictures([PICTURE], input)).shape).toEqual([300, 451, 3]);
  await expect(readPictures([PICTURE, PICTURE], input)).rejects.toThrow('input x takes one picture at a time, not 2');
});

test('what is not a picture is named', async () => {
  await expect(readPictures([PICTURE, Uint8Array.of(1)], INPUT)).rejects.toThrow('picture 2 cannot be decoded');
  await expect(readPictures([], INPUT)).rejects.toThrow('no picture is given');
  await expect(readPictures([join(folder, 'none.png')], INPUT)).rejects.toMatchObject({ code: 'FEATX_IO_NOT_FOUND' });
});
