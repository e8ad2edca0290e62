import { IoError } from '../errors.js';
import { BufferSource } from './source.js';

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
