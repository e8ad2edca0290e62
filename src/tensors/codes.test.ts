import { dequantized, unblocked } from './codes.js';

test('codes become numbers as DequantizeLinear makes them, per tensor and per channel', () => {
  const codes = { dtype: 'uint8', shape: [1, 2, 1, 2], data: Uint8Array.of(0, 128, 255, 130) };
  expect([...dequantized(codes, { scale: 0.5, zero_point: 128 }).data]).toEqual([-64, 0, 63.5, 1]);
  expect([...dequantized(codes, { scale: [1, 2], zero_point: [0, 130] }).data]).toEqual([0, 128, 250, 0]);
  const third = Math.fround(1 / 3);
  expect(dequantized(codes, { scale: third, zero_point: 0 }).data[2]).toBe(Math.fround(255 * third));
});

test('codes whose scale is not known stay codes', () => {
  const codes = { dtype: 'int8', shape: [2], data: Int8Array.of(-1, 1) };
  expect(dequantized(codes, { scale: null, zero_point: 0 })).toBe(codes);
});

test('blocks of channels become a map, what fills the last block left out', () => {
  // [N, C / 4, H, W, 4]: six channels at two places, in two blocks of four.
  const blocks = [0, 10, 20, 30, 1, 11, 21, 31, 40, 50, -1, -1, 41, 51, -1, -1];
  const map = { dtype: 'float32', shape: [1, 8, 1, 2], data: Float32Array.from(blocks) };
  expect(unblocked(map, 4, 6)).toEqual({
    dtype: 'float32',
    shape: [1, 6, 1, 2],
    data: Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51),
  });
  expect(unblocked(map, 16, 6)).toBeNull();
  expect(unblocked({ ...map, shape: [8, 2] }, 4, 6)).toBeNull();
});
