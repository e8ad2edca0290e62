import type { TensorValue } from '../onnx/tensor-value.js';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { ModelFormatError, PolicyError, UnsupportedModelError, type FeatxError } from '../errors.js';
import { BufferSource } from '../wire/source.js';
import { readTensors } from './array-file.js';
import { wholeFile } from './faults.js';
import { DEFAULT_TENSOR_LIMITS } from './limits.js';
import { arrayOf, npyHeader, readNpyHeader } from './npy.js';
import { valueBytes } from './tensor.js';

const FIXTURES = new URL('../../fixtures/tensors/', import.meta.url);
const fixture = (name: string): Promise<Uint8Array> => readFile(new URL(name, FIXTURES));

async function read(bytes: Uint8Array): Promise<TensorValue> {
  const file = wholeFile(new BufferSource(bytes, 'a.npy'));
  const header = await readNpyHeader(file, DEFAULT_TENSOR_LIMITS);
  return arrayOf(header, await file.source.read(file.start + header.dataOffset, file.end), file.name);
}

function withHeader(header: string, data = 0): Uint8Array {
  const bytes = new Uint8Array(10 + header.length + data);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 0xff, header.length >> 8]);
  for (let index = 0; index < header.length; index++) bytes[10 + index] = header.charCodeAt(index);
  return bytes;
}

describe('reading .npy', () => {
  const cases: readonly [string, string, readonly number[], readonly (number | bigint)[]][] = [
    [
      'float32.npy',
      'float32',
      [2, 3, 4],
      Array.from({ length: 24 }, (_unused, index) => Math.fround(Math.fround(index) / Math.fround(7))),
    ],
    ['float64-big-endian.npy', 'float64', [2, 3], [0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3]],
    ['int32-fortran.npy', 'int32', [2, 3, 4], Array.from({ length: 24 }, (_unused, index) => index)],
    ['uint16-fortran-big-endian.npy', 'uint16', [2, 3], [0, 1, 2, 3, 4, 5]],
    [
      'float16.npy',
      'float16',
      [2, 6],
      [0, 0x3c00, 0xc100, 0x7bff, 1, 0x7c00, 0x7e00, 0x8000, 0x2e66, 0x3555, 1, 0xfc00],
    ],
    ['bool.npy', 'bool', [3], [1, 0, 1]],
    ['int64-scalar.npy', 'int64', [], [-9007199254740993n]],
    ['uint64.npy', 'uint64', [2], [18446744073709551615n, 0n]],
    ['int8-empty.npy', 'int8', [2, 0, 3], []],
    ['float32-v2.npy', 'float32', [3], [0, 1, 2]],
    ['float32-v3.npy', 'float32', [3], [0, 1, 2]],
  ];
  test.each(cases)('%s', async (name, dtype, shape, values) => {
    const tensor = await read(await fixture(name));
    expect(tensor.dtype).toBe(dtype);
    expect(tensor.shape).toEqual(shape);
    expect([...tensor.data]).toEqual(values);
  });

  test.each(['float32.npy', 'float16.npy', 'bool.npy', 'int64-scalar.npy', 'uint64.npy', 'int8-empty.npy'])(
    '%s is written byte for byte as numpy does',
    async (name) => {
      const golden = await fixture(name);
      const tensor = await read(golden);
      expect(Buffer.concat([npyHeader(tensor.dtype, tensor.shape, name), valueBytes(tensor)]).equals(golden)).toBe(
        true,
      );
    },
  );

  test.each([
    ['objects.npy', /pickled Python objects/],
    ['complex64.npy', /complex/],
    ['records.npy', /records of several fields/],
  ])('%s is refused', async (name, message) => {
    const failure = read(await fixture(name));
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(UnsupportedModelError);
  });

  test.each([
    ['a huge shape', "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }"],
    ['more than the file', "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"],
    ['a negative size', "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"],
    ['a repeated key', "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"],
    ['a missing key', "{'descr': '<f4', 'shape': (1,), }"],
    ['an expression', "{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os'),), }"],
    ['a call', "__import__('os').system('true')"],
    ['text after the dictionary', "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } 7"],
    ['nothing', ''],
  ])('a header with %s is malformed', async (_what, header) => {
    await expect(read(withHeader(header, 4))).rejects.toBeInstanceOf(ModelFormatError);
  });

  test('a header longer than numpy writes is over a limit before it is read', async () => {
    const bytes = new Uint8Array(64);
    bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 0xff, 0xff, 0xff, 0xff]);
    await expect(read(bytes)).rejects.toBeInstanceOf(PolicyError);
  });

  test('every truncation and any added byte is an error', async () => {
    const golden = await fixture('int32-fortran.npy');
    for (let length = 0; length < golden.length; length++)
      await expect(read(golden.subarray(0, length))).rejects.toBeInstanceOf(ModelFormatError);
    await expect(read(Buffer.concat([golden, Buffer.from([0])]))).rejects.toThrow(/1 bytes follow/);
  });

  test('changed header bytes give an array or an error of ours', async () => {
    const golden = await fixture('float32.npy');
    await fc.assert(
      fc.asyncProperty(fc.nat(127), fc.nat(255), async (at, byte) => {
        const bytes = Uint8Array.from(golden);
        bytes[at] = byte;
        await read(bytes).catch((error: FeatxError) => expect(error.code).toMatch(/^FEATX_/));
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  test('rows are read from where they lie', async () => {
    const { openArrayFile } = await import('./array-file.js');
    const [array] = (await openArrayFile(new BufferSource(await fixture('float32.npy')))).arrays;
    const whole = (await readTensors(new BufferSource(await fixture('float32.npy')))).get('');
    const rows = await array.read({ start: 1, end: 2 });
    expect(rows.shape).toEqual([1, 3, 4]);
    expect([...rows.data]).toEqual([...(whole?.data ?? [])].slice(12));
  });
});
