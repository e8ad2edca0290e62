import { bfloat16ToFloat32 } from '../onnx/tensor-value.js';
import { float32ToBfloat16, float32ToHalf, float64ToHalf, halfToFloat32 } from './float16.js';

const ALL = Uint16Array.from({ length: 65_536 }, (_unused, bits) => bits);

/** The nearest of all float16 values, ties to the even significand, by search. */
function nearestHalf(value: number): number {
  const magnitude = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  let low = 0;
  let high = 0x7c00;
  const valueOf = (bits: number): number => (bits === 0x7c00 ? 65_536 : halfToFloat32(Uint16Array.of(bits))[0]);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (valueOf(middle) <= magnitude) low = middle;
    else high = middle;
  }
  const below = magnitude - valueOf(low);
  const above = valueOf(high) - magnitude;
  return sign | (below < above || (below === above && low % 2 === 0) ? low : high);
}

describe('float16', () => {
  test('every float16 survives the way to float32 and back', () => {
    const back = float32ToHalf(halfToFloat32(ALL));
    for (const bits of ALL) {
      const isNan = (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
      if (isNan) expect(back[bits] & 0x7e00).toBe(0x7e00);
      else if (back[bits] !== bits) throw new Error(`${bits} came back as ${back[bits]}`);
    }
  });

  test('rounds to nearest, ties to even, at every boundary between neighbours', () => {
    const values: number[] = [];
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const [low, high] = halfToFloat32(Uint16Array.of(bits, bits + 1));
      const middle = (low + high) / 2;
      values.push(low, middle, -middle, Math.fround(middle * (1 + 2 ** -20)), Math.fround(middle * (1 - 2 ** -20)));
    }
    values.push(65_504, 65_519, 65_520, 65_536, 1e30, -1e30, 2 ** -25, 2 ** -25 * 1.5, 2 ** -26, -0);
    const halves = float32ToHalf(Float32Array.from(values));
    for (const [index, value] of values.entries())
      if (halves[index] !== nearestHalf(value))
        throw new Error(`${value}: ${halves[index]}, expected ${nearestHalf(value)}`);
  });

  test('float64 is rounded once: just beside a tie is not a tie', () => {
    const tie = 1 + 2 ** -11;
    expect([
      ...float64ToHalf(Float64Array.of(tie, tie + 2 ** -40, tie - 2 ** -40, -tie - 2 ** -40, Infinity, 1e300, 0)),
    ]).toEqual([0x3c00, 0x3c01, 0x3c00, 0xbc01, 0x7c00, 0x7c00, 0]);
  });

  test('bfloat16 rounds to nearest even and keeps NaN', () => {
    expect([...float32ToBfloat16(Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -2.5, NaN, Infinity))]).toEqual([
      0x3f80, 0x3f80, 0x3f82, 0xc020, 0x7fc0, 0x7f80,
    ]);
    expect([...bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc020, 0x7f80))]).toEqual([1, -2.5, Infinity]);
  });
});
