import { readFile } from 'node:fs/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import { ModelFormatError, PolicyError, UnsupportedModelError, type FeatxError } from '../errors.js';
import { concat } from '../wire/pieces.js';
import { BufferSource } from '../wire/source.js';
import { openArrayFile, readTensors } from './array-file.js';
import { checksum } from './checksum.js';
import { npyHeader } from './npy.js';
import { valueBytes } from './tensor.js';
import { npzLayout } from './zip-layout.js';

const fixture = (name: string): Promise<Uint8Array> =>
  readFile(new URL(`../../fixtures/tensors/${name}`, import.meta.url));
const open = (bytes: Uint8Array, limits = {}): ReturnType<typeof openArrayFile> =>
  openArrayFile(new BufferSource(bytes, 'a.npz'), { limits });

interface Forged {
  readonly name: string;
  readonly content: Uint8Array;
  readonly method?: number;
  readonly size?: number;
  readonly checksum?: number;
  readonly flags?: number;
  /** Where the directory says its local header is. */
  readonly offset?: number;
}

/** An archive whose directory says whatever the test wants. */
function forge(entries: readonly Forged[]): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const {
    name,
    content,
    method = 0,
    size = content.length,
    checksum = crc32(content),
    flags = 0,
    offset,
  } of entries) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(name.length, 26);
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt16LE(flags, 8);
    record.writeUInt16LE(method, 10);
    record.writeUInt32LE(checksum, 16);
    record.writeUInt32LE(content.length, 20);
    record.writeUInt32LE(size, 24);
    record.writeUInt16LE(name.length, 28);
    record.writeUInt32LE(offset ?? at, 42);
    directory.push(record, Buffer.from(name));
    parts.push(local, Buffer.from(name), Buffer.from(content));
    at += 30 + name.length + content.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(
    directory.reduce((sum, { length }) => sum + length, 0),
    12,
  );
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

function npy(dtype: string, shape: readonly number[], bytes: number): Uint8Array {
  return concat([npyHeader(dtype, shape, 'x'), new Uint8Array(bytes)]);
}

describe('reading .npz', () => {
  test.each(['stored.npz', 'deflated.npz'])('%s', async (name) => {
    const tensors = await readTensors(new BufferSource(await fixture(name)));
    expect([...tensors.keys()]).toEqual(
      name === 'stored.npz' ? ['x', 'größe', 'a/b', 'flag'] : ['x', 'größe', 'a/b', 'flag', 'big'],
    );
    expect(tensors.get('x')).toEqual({ dtype: 'float32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
    expect(tensors.get('größe')).toEqual({ dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, 2n) });
    expect(tensors.get('a/b')).toEqual({ dtype: 'float16', shape: [0, 4], data: new Uint16Array(0) });
    expect(tensors.get('flag')).toEqual({ dtype: 'bool', shape: [], data: Uint8Array.of(1) });
    if (name === 'deflated.npz')
      expect(tensors.get('big')).toEqual({ dtype: 'float32', shape: [64, 64], data: new Float32Array(4096) });
  });

  test('rows of a deflated array equal rows of a stored one', async () => {
    for (const name of ['stored.npz', 'deflated.npz']) {
      const { arrays } = await open(await fixture(name));
      expect([...(await arrays[0].read({ start: 1, end: 2 })).data]).toEqual([3, 4, 5]);
    }
  });

  test('entries that are no arrays are left out with a warning', async () => {
    const { arrays, warnings } = await open(
      forge([
        { name: 'notes.txt', content: Buffer.from('hello') },
        { name: 'x.npy', content: npy('float32', [1], 4) },
      ]),
    );
    expect(arrays.map(({ key }) => key)).toEqual(['x']);
    expect(warnings).toEqual([expect.stringContaining('notes.txt')]);
  });

  test('a bomb is refused before anything is inflated', async () => {
    const content = concat([npyHeader('uint8', [2 ** 31], 'x'), new Uint8Array(2 ** 20)]);
    const bomb = { name: 'x.npy', content: deflateRawSync(content), method: 8, checksum: 0 };
    await expect(open(forge([{ ...bomb, size: 0xfffffffe }]))).rejects.toThrow(/cannot hold/);
    const within = forge([{ ...bomb, content: deflateRawSync(new Uint8Array(2 ** 22)), size: 2 ** 22 }]);
    await expect(open(within, { arrayBytes: 2 ** 20 })).rejects.toBeInstanceOf(PolicyError);
  });

  test('an entry that inflates to more or less than it claims is an error', async () => {
    const content = npy('uint8', [1000], 1000);
    const longer = deflateRawSync(concat([content, new Uint8Array(5_000_000)]));
    const shorter = deflateRawSync(content.subarray(0, 800));
    for (const bytes of [longer, shorter]) {
      const { arrays } = await open(
        forge([{ name: 'x.npy', content: bytes, method: 8, size: content.length, checksum: crc32(content) }]),
      );
      await expect(arrays[0].read()).rejects.toThrow(/inflates to/);
    }
  });

  test.each([4, 60])('an entry that ends inside its own header, after %i bytes, is malformed', async (length) => {
    const content = npy('uint8', [1000], 1000);
    const archive = forge([
      { name: 'x.npy', content: deflateRawSync(content.subarray(0, length)), method: 8, size: content.length },
    ]);
    await expect(open(archive)).rejects.toThrow(
      expect.objectContaining({
        code: 'FEATX_TENSOR_FORMAT',
        message: expect.stringContaining(`inflates to ${length} bytes, not the ${content.length} it claims`),
      }),
    );
  });

  test.each([0, 8])('a wrong checksum is an error (method %i), also where rows are read one by one', async (method) => {
    const content = npy('uint8', [3, 2], 6);
    const stored = method === 0 ? content : deflateRawSync(content);
    const { arrays } = await open(
      forge([{ name: 'x.npy', content: stored, method, size: content.length, checksum: 1 }]),
    );
    await expect(arrays[0].read()).rejects.toThrow(/checksum/);
    const byRow = async (): Promise<void> => {
      for (let row = 0; row < 3; row++) await arrays[0].read({ start: row, end: row + 1 });
    };
    await expect(byRow()).rejects.toThrow(/checksum/);
  });

  test('overlapping entries, doubled names, encryption and other methods are refused', async () => {
    const content = npy('float32', [1], 4);
    await expect(
      open(
        forge([
          { name: 'x.npy', content },
          { name: 'y.npy', content, offset: 0 },
        ]),
      ),
    ).rejects.toThrow(/overlap/);
    await expect(
      open(
        forge([
          { name: 'x.npy', content },
          { name: 'x.npy', content },
        ]),
      ),
    ).rejects.toThrow(/two entries/);
    await expect(open(forge([{ name: 'x.npy', content, flags: 1, size: content.length - 12 }]))).rejects.toBeInstanceOf(
      UnsupportedModelError,
    );
    await expect(open(forge([{ name: 'x.npy', content, method: 12 }]))).rejects.toBeInstanceOf(UnsupportedModelError);
    await expect(open(forge([{ name: 'x.npy', content: await fixture('objects.npy') }]))).rejects.toThrow(/pickled/);
  });

  test('too many entries are over a limit', async () => {
    await expect(open(await fixture('stored.npz'), { arrays: 3 })).rejects.toBeInstanceOf(PolicyError);
  });

  test('every truncation is an error of ours', async () => {
    const golden = await fixture('deflated.npz');
    for (let length = 1; length < golden.length; length += 3) {
      await expect(open(golden.subarray(0, length))).rejects.toMatchObject({ code: expect.stringMatching(/^FEATX_/) });
    }
  });

  test('changed bytes give arrays or an error of ours', async () => {
    const golden = await fixture('deflated.npz');
    for (let at = 0; at < golden.length; at += 6) {
      const bytes = Uint8Array.from(golden);
      bytes[at] ^= 0x41;
      await readTensors(new BufferSource(bytes, 'a.npz')).catch((error: FeatxError) =>
        expect(error.code).toMatch(/^FEATX_/),
      );
    }
  });
});

describe('laying out .npz', () => {
  test('the archive is byte for byte what numpy.savez writes', async () => {
    const golden = await fixture('stored.npz');
    const tensors = [...(await readTensors(new BufferSource(golden)))];
    const layout = npzLayout(tensors.map(([key, { dtype, shape }]) => ({ key, dtype, shape })));
    const bytes = new Uint8Array(layout.size);
    const checksums = tensors.map(([, tensor], index) => checksum(valueBytes(tensor), layout.checksumSeeds?.[index]));
    for (const [index, [, tensor]] of tensors.entries()) bytes.set(valueBytes(tensor), layout.offsets[index]);
    for (const { position, bytes: part } of layout.frame(checksums)) bytes.set(part, position);
    expect(Buffer.from(bytes).equals(golden)).toBe(true);
  });

  test('arrays beyond 4 GiB are found again through zip64', async () => {
    const specs = [
      { key: 'a', dtype: 'uint8', shape: [5 * 2 ** 30] },
      { key: 'b', dtype: 'uint8', shape: [3] },
      { key: 'c', dtype: 'uint8', shape: [1] },
    ];
    const layout = npzLayout(specs);
    const frame = layout.frame([0, crc32(Uint8Array.of(7, 8, 9), layout.checksumSeeds?.[1]), 0]);
    const values = { position: layout.offsets[1], bytes: Uint8Array.of(7, 8, 9) };
    const sparse = {
      size: layout.size,
      async read(start: number, end: number): Promise<Uint8Array> {
        const bytes = new Uint8Array(end - start);
        for (const { position, bytes: part } of [...frame, values]) {
          const from = Math.max(start, position);
          const to = Math.min(end, position + part.length);
          if (from < to) bytes.set(part.subarray(from - position, to - position), from - start);
        }
        return bytes;
      },
    };
    const { arrays } = await openArrayFile(sparse);
    expect(arrays.map(({ key, shape }) => [key, shape])).toEqual(specs.map(({ key, shape }) => [key, shape]));
    expect([...(await arrays[1].read()).data]).toEqual([7, 8, 9]);
    expect((await arrays[0].read({ start: 5 * 2 ** 30 - 2, end: 5 * 2 ** 30 })).shape).toEqual([2]);
  });

  test('an archive cut inside its directory is malformed', async () => {
    const golden = await fixture('stored.npz');
    await expect(open(golden.subarray(0, golden.length - 30))).rejects.toBeInstanceOf(ModelFormatError);
  });
});
