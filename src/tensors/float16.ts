/**
 * float16 and bfloat16 as bits in a Uint16Array: Node 20 and 22 have no Float16Array, and ONNX Runtime speaks bits
 * there. Narrowing rounds to nearest, ties to even, as numpy and the hardware do.
 */

const view = new DataView(new ArrayBuffer(4));

let halfTable: Float32Array | null = null;

/** The values of all 65,536 float16 bit patterns. */
function halfValues(): Float32Array {
  if (halfTable !== null) return halfTable;
  const table = new Float32Array(65_536);
  for (let bits = 0; bits < 65_536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >>> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) table[bits] = fraction === 0 ? sign * Infinity : NaN;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  halfTable = table;
  return table;
}

/** The values of float16 bits. */
export function halfToFloat32(bits: Uint16Array): Float32Array {
  const table = halfValues();
  const values = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) values[index] = table[bits[index]];
  return values;
}

/** float16 bits nearest to the values. */
export function float32ToHalf(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(words.length);
  for (let index = 0; index < words.length; index++) bits[index] = halfOfWord(words[index]);
  return bits;
}

/** float16 bits of the bits of a float32. */
function halfOfWord(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // 65520 is half way from the largest float16 to the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
  if (magnitude <= 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept);
}

/** float16 bits nearest to float64 values, rounded once. */
export function float64ToHalf(values: Float64Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < values.length; index++) bits[index] = halfOfWord(oddFloat32(values[index]));
  return bits;
}

/** Bits of a float32 that still tells which side of any float16 tie the float64 was on (rounding to odd). */
function oddFloat32(value: number): number {
  view.setFloat32(0, value);
  const word = view.getUint32(0);
  const single = view.getFloat32(0);
  if (single === value || !Number.isFinite(single)) return word;
  const towardsZero = Math.abs(single) > Math.abs(value) ? word - 1 : word;
  return towardsZero | 1;
}

/** bfloat16 bits nearest to the values. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(words.length);
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    bits[index] =
      (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}
