import type { TensorValue } from '../onnx/tensor-value.js';
import { readFile } from 'node:fs/promises';
import { ModelFormatError, PolicyError, UnsupportedModelError, type FeatxError } from '../errors.js';
import { BufferSource } from '../wire/source.js';
import { readTensors } from './array-file.js';
import { tensorProtoFile } from '../testing/tensor-proto.js';
import { decodeTensorProto } from './tensor-proto.js';

const fixture = (name: string): Promise<Uint8Array> =>
  readFile(new URL(`../../fixtures/tensors/${name}`, import.meta.url));
const decode = async (...bytes: number[]): Promise<TensorValue> =>
  (await decodeTensorProto(Uint8Array.from(bytes), 'a.pb')).tensor;

describe('TensorProto', () => {
  const cases: readonly [string, string, TensorValue][] = [
    ['raw-float32.pb', 'input', { dtype: 'float32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) }],
    ['strings.pb', 'words', { dtype: 'string', shape: [2], data: ['café', '\udcff'] }],
    ['typed-float32.pb', 'f', { dtype: 'float32', shape: [3], data: Float32Array.of(1.5, -2, 0) }],
    ['typed-int8.pb', 'i', { dtype: 'int8', shape: [3], data: Int8Array.of(-1, 0, 127) }],
    ['typed-int64.pb', 'l', { dtype: 'int64', shape: [3], data: BigInt64Array.of(-1n, 0n, 2n ** 63n - 1n) }],
    ['typed-uint64.pb', 'u', { dtype: 'uint64', shape: [2], data: BigUint64Array.of(2n ** 64n - 1n, 5n) }],
    ['typed-uint32.pb', 'u', { dtype: 'uint32', shape: [2], data: Uint32Array.of(2 ** 32 - 1, 5) }],
    ['typed-double.pb', 'd', { dtype: 'float64', shape: [2], data: Float64Array.of(0.1, -1e300) }],
    ['typed-int4.pb', 'q', { dtype: 'int4', shape: [3], data: Uint8Array.of(0x78, 0x01) }],
    ['typed-bfloat16.pb', 'b', { dtype: 'bfloat16', shape: [2], data: Uint16Array.of(0x3fc0, 0xc040) }],
  ];
  test.each(cases)('%s', async (file, name, tensor) => {
    const read = await decodeTensorProto(await fixture(file), file);
    expect(read.name).toBe(name);
    expect(read.tensor).toEqual(tensor);
    expect(await readTensors(new BufferSource(await fixture(file), file))).toEqual(new Map([[name, tensor]]));
  });

  test('float16 has the same bits in raw_data and in int32_data', async () => {
    const [typed, raw] = ['typed-float16.pb', 'raw-float16.pb'];
    expect((await decodeTensorProto(await fixture(typed), 'a')).tensor).toEqual(
      (await decodeTensorProto(await fixture(raw), 'b')).tensor,
    );
  });

  test.each(['raw-float32.pb', 'raw-float16.pb'])('%s is written byte for byte as onnx does', async (file) => {
    const golden = await fixture(file);
    const { name, tensor } = await decodeTensorProto(golden, file);
    expect(Buffer.from(tensorProtoFile(tensor, name)).equals(golden)).toBe(true);
  });

  test('dims may be packed, values may not be, and the last of repeated singular fields counts', async () => {
    expect(await decode(0x0a, 1, 2, 0x10, 6, 0x28, 5, 0x28, 7)).toEqual({
      dtype: 'int32',
      shape: [2],
      data: Int32Array.of(5, 7),
    });
    expect(await decode(0x08, 1, 0x10, 1, 0x10, 3, 0x4a, 1, 9, 0x4a, 1, 8)).toEqual({
      dtype: 'int8',
      shape: [1],
      data: Int8Array.of(8),
    });
    expect(await decode(0x10, 1, 0x25, 0, 0, 0x80, 0x3f)).toEqual({
      dtype: 'float32',
      shape: [],
      data: Float32Array.of(1),
    });
  });

  test.each([
    ['no data_type', [0x08, 1], /no data_type/],
    ['an unknown data_type', [0x10, 99], /99 is unknown/],
    ['values in the wrong field', [0x08, 1, 0x10, 1, 0x3a, 1, 5], /belongs in field 4/],
    ['values in two fields', [0x08, 1, 0x10, 3, 0x2a, 1, 5, 0x4a, 1, 5], /more than one field/],
    ['too few values', [0x08, 2, 0x10, 6, 0x2a, 1, 5], /1 values/],
    ['raw_data of another length', [0x08, 2, 0x10, 1, 0x4a, 1, 5], /raw_data has 1 bytes/],
    [
      'a huge shape',
      [
        0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40,
        0x10, 1,
      ],
      /outside what any tensor can have/,
    ],
    ['a negative dim', [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x10, 1], /not sizes/],
    ['a field that is cut off', [0x08, 2, 0x4a, 9, 1], /does not fit/],
    [
      'an endless varint in its values',
      [0x08, 1, 0x10, 6, 0x2a, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
      /longer than 64 bits/,
    ],
  ])('%s is malformed', async (_what, bytes, message) => {
    await expect(decode(...bytes)).rejects.toThrow(message);
    await expect(decode(...bytes)).rejects.toThrow(ModelFormatError);
  });

  test('a claim of a terabyte is over a limit and allocates nothing', async () => {
    await expect(decode(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x10, 1)).rejects.toThrow(PolicyError);
  });

  test('external data and complex values are refused', async () => {
    await expect(decode(0x08, 1, 0x10, 1, 0x70, 1)).rejects.toThrow(PolicyError);
    await expect(decode(0x08, 1, 0x10, 1, 0x6a, 0)).rejects.toThrow(PolicyError);
    await expect(decode(0x08, 1, 0x10, 14, 0x22, 8, 0, 0, 0, 0, 0, 0, 0, 0)).rejects.toThrow(UnsupportedModelError);
  });

  test('every truncation and changed byte is a tensor or an error of ours', async () => {
    for (const file of ['raw-float32.pb', 'typed-int64.pb', 'strings.pb']) {
      const golden = await fixture(file);
      for (let at = 0; at < golden.length; at++) {
        const changed = Uint8Array.from(golden);
        changed[at] ^= 0x81;
        for (const bytes of [golden.subarray(0, at), changed]) {
          try {
            await decodeTensorProto(bytes, file);
          } catch (error) {
            expect((error as FeatxError).code).toMatch(/^FEATX_/);
          }
        }
      }
    }
  });
});
