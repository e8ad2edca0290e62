import { IoError, PolicyError, UsageError } from '../errors.js';
import { BufferSource, exactSource, type ByteSource } from './source.js';

const source = new BufferSource(Uint8Array.of(0, 1, 2, 3), 'memory.onnx');

test('reads exactly what was asked for, without a copy', async () => {
  expect([...(await source.read(1, 3))]).toEqual([1, 2]);
  expect(await source.read(4, 4)).toHaveLength(0);
  expect((await source.read(0, 4)).buffer).toBe((await source.read(1, 2)).buffer);
});

test.each([
  [-1, 2],
  [0, 5],
  [3, 2],
])('bytes %d to %d are not there', async (start, end) => {
  await expect(source.read(start, end)).rejects.toThrow(IoError);
});

describe("anybody's source", () => {
  const read = (start: number, end: number): Promise<Uint8Array> => source.read(start, end);
  const foreign = (read: (start: number, end: number) => unknown, size: unknown = 8): ByteSource =>
    exactSource({ size, path: 'remote.onnx', read } as unknown as ByteSource);

  test.each([
    ['nothing', null],
    ['a size of -1', { size: -1, read }],
    ['a size of 2^53', { size: 2 ** 53, read }],
    ['a size of 1.5', { size: 1.5, read }],
    ['no size', { read }],
    ['nothing to read with', { size: 4 }],
  ])('with %s is refused', (_what, made) => {
    expect(() => exactSource(made as unknown as ByteSource)).toThrow(UsageError);
  });

  test.each([
    ['too little', () => new Uint8Array(1), 'the source was asked for 3 bytes from byte 2 on and gave 1 bytes'],
    ['too much', () => new Uint8Array(9), 'the source was asked for 3 bytes from byte 2 on and gave 9 bytes'],
    ['null', () => null, 'the source was asked for 3 bytes from byte 2 on and gave null instead of bytes'],
    ['text', () => 'abc', 'the source was asked for 3 bytes from byte 2 on and gave abc instead of bytes'],
  ])('that gives %s is caught', async (_what, read, message) => {
    await expect(foreign(read).read(2, 5)).rejects.toMatchObject({
      name: 'IoError',
      path: 'remote.onnx',
      offset: 2,
      message,
    });
  });

  test('that fails is named, and our own errors and aborts pass', async () => {
    const throws = (error: unknown): Promise<Uint8Array> => foreign(() => Promise.reject(error)).read(2, 5);
    const cause = new Error('502 Bad Gateway');
    await expect(throws(cause)).rejects.toMatchObject({
      name: 'IoError',
      message: 'the source was asked for 3 bytes from byte 2 on and failed: 502 Bad Gateway',
      cause,
    });
    await expect(throws(null)).rejects.toThrow('failed: null');
    const own = new PolicyError('no');
    await expect(throws(own)).rejects.toBe(own);
    const abort = new DOMException('stop', 'AbortError');
    await expect(throws(abort)).rejects.toBe(abort);
  });

  test('that keeps its word is read', async () => {
    const bytes = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
    expect([...(await foreign((start, end) => bytes.subarray(start, end)).read(2, 5))]).toEqual([2, 3, 4]);
    expect(exactSource(source)).toBe(source);
  });
});
