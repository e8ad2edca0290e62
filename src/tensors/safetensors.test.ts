import type { TensorValue } from '../onnx/tensor-value.js';
import { readFile } from 'node:fs/promises';
import { ModelFormatError, PolicyError, UnsupportedModelError, type FeatxError } from '../errors.js';
import { BufferSource } from '../wire/source.js';
import { readTensors } from './array-file.js';
import { wholeFile } from './faults.js';
import { readSafetensorsHeader, safetensorsLayout } from './safetensors.js';
import { valueBytes } from './tensor.js';

const fixture = (name: string): Promise<Uint8Array> =>
  readFile(new URL(`../../fixtures/tensors/${name}`, import.meta.url));

function fileOf(header: unknown, data: number, raw?: string): Uint8Array {
  const json = Buffer.from(raw ?? JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(data)]);
}

const headerOf = (
  bytes: Uint8Array,
  limits?: Parameters<typeof readSafetensorsHeader>[1],
): ReturnType<typeof readSafetensorsHeader> =>
  readSafetensorsHeader(wholeFile(new BufferSource(bytes, 'a.safetensors')), limits);

function write(
  tensors: readonly (readonly [string, TensorValue])[],
  metadata?: ReadonlyMap<string, string>,
): Uint8Array {
  const layout = safetensorsLayout(
    tensors.map(([key, { dtype, shape }]) => ({ key, dtype, shape })),
    metadata,
  );
  const bytes = new Uint8Array(layout.size);
  for (const [index, [, tensor]] of tensors.entries()) bytes.set(valueBytes(tensor), layout.offsets[index]);
  for (const { position, bytes: part } of layout.frame([])) bytes.set(part, position);
  return bytes;
}

describe('safetensors', () => {
  test('reads every dtype of the reference file', async () => {
    const tensors = await readTensors(new BufferSource(await fixture('mixed.safetensors')));
    expect(tensors.get('a')).toEqual({ dtype: 'int64', shape: [2], data: BigInt64Array.of(0n, 1n) });
    expect(tensors.get('b')).toEqual({ dtype: 'float32', shape: [3], data: Float32Array.of(0, 1, 2) });
    expect(tensors.get('c')).toEqual({ dtype: 'bool', shape: [3], data: new Uint8Array(3) });
    expect(tensors.get('d')).toEqual({ dtype: 'uint8', shape: [2], data: Uint8Array.of(0, 1) });
    expect(tensors.get('e')).toEqual({ dtype: 'float64', shape: [2, 0], data: new Float64Array(0) });
    expect(tensors.get('s')).toEqual({ dtype: 'float64', shape: [], data: Float64Array.of(0) });
    expect(tensors.get('z')).toEqual({ dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0x3c00) });
    expect(tensors.get('"ü/\n')).toEqual({ dtype: 'int32', shape: [1], data: Int32Array.of(0) });
  });

  test('writes byte for byte what the reference library writes, whatever the order of the tensors', async () => {
    const golden = await fixture('mixed.safetensors');
    const tensors = [...(await readTensors(new BufferSource(golden)))];
    for (const order of [tensors, tensors.toReversed()]) expect(Buffer.from(write(order)).equals(golden)).toBe(true);
    const metadata = await fixture('metadata.safetensors');
    const kept = [...(await readTensors(new BufferSource(metadata)))];
    expect(
      Buffer.from(
        write(
          kept,
          new Map([
            ['format', 'np'],
            ['a', 'ü'],
          ]),
        ),
      ).equals(metadata),
    ).toBe(true);
  });

  test('names of the prototype are names', async () => {
    const tensor = { dtype: 'uint8', shape: [1], data: Uint8Array.of(7) };
    const back = await readTensors(
      new BufferSource(
        write([
          ['__proto__', tensor],
          ['constructor', tensor],
        ]),
      ),
    );
    expect([...back.keys()].sort()).toEqual(['__proto__', 'constructor']);
  });

  const float = (start: number, end: number, shape: readonly number[] = [(end - start) / 4]): object => ({
    dtype: 'F32',
    shape,
    data_offsets: [start, end],
  });
  test.each([
    ['an overlap', fileOf({ a: float(0, 8), b: float(4, 12) }, 12), /overlaps/],
    ['a gap', fileOf({ a: float(0, 4), b: float(8, 12) }, 12), /gap/],
    ['bytes that belong to no tensor', fileOf({ a: float(0, 4) }, 12), /12 follow/],
    ['offsets beyond the end', fileOf({ a: float(0, 400) }, 12), /follow the header/],
    ['offsets that do not fit the shape', fileOf({ a: float(0, 8, [3]) }, 8), /takes 12 bytes/],
    ['an overflowing shape', fileOf({ a: float(0, 8, [2 ** 40, 2 ** 40]) }, 8), /uncountable/],
    ['offsets in the wrong order', fileOf({ a: float(8, 0, []) }, 8), /takes 4 bytes/],
    ['negative sizes', fileOf({ a: float(0, 4, [-1]) }, 4), /lacks/],
    ['a fraction', fileOf({ a: float(0, 4, [0.5]) }, 4), /lacks/],
    ['an unknown dtype', fileOf({ a: { dtype: 'F99', shape: [1], data_offsets: [0, 4] } }, 4), /unknown dtype/],
    [
      'a name twice',
      fileOf(
        null,
        8,
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
      ),
      /twice/,
    ],
    ['a list', fileOf([], 0), /not a JSON object/],
    ['no JSON', fileOf(null, 0, '{"a":'), /not JSON/],
    ['too few bytes', Uint8Array.of(1, 2, 3), /too few/],
    [
      'a header beyond the end',
      Buffer.concat([Buffer.from([200, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]),
      /does not fit/,
    ],
  ])('%s is malformed', async (_what, bytes, message) => {
    const failure = headerOf(bytes);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(ModelFormatError);
  });

  test('a header above 100 MB is over a limit, whatever the size of the file', async () => {
    await expect(
      headerOf(Buffer.concat([Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]), Buffer.from('{}')])),
    ).rejects.toBeInstanceOf(PolicyError);
  });

  test('a dtype that featx does not read is unsupported', async () => {
    await expect(headerOf(fileOf({ a: { dtype: 'C64', shape: [1], data_offsets: [0, 8] } }, 8))).rejects.toBeInstanceOf(
      UnsupportedModelError,
    );
  });

  test('every truncation and every changed byte of the header is an array file or an error of ours', async () => {
    const golden = await fixture('mixed.safetensors');
    for (let length = 0; length < golden.length; length++)
      await expect(headerOf(golden.subarray(0, length))).rejects.toBeInstanceOf(ModelFormatError);
    for (let at = 0; at < golden.length; at++) {
      const bytes = Uint8Array.from(golden);
      bytes[at] ^= 0x15;
      await headerOf(bytes).catch((error: FeatxError) => expect(error.code).toMatch(/^FEATX_/));
    }
  });
});
