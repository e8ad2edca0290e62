/** The largest eigenvalues of a symmetric matrix, falling, and their vectors, `[count, size]`. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

const MOST_ROUNDS = 300;
/** How still the first values must stand, which are numbers that people read, and those behind them. */
const PRECISION = 1e-12;
const ROUGH_PRECISION = 1e-6;
const PRECISE = 4;
const SWEEPS = 60;

/**
 * The largest eigenvalues of a symmetric, positive matrix `[size, size]`: all by rotations if it is small, else by
 * iteration of a subspace, which begins in the same place every time.
 */
export function largestEigen(matrix: Float64Array, size: number, count: number): Eigen {
  const wanted = Math.min(count, size);
  if (size <= 2 * wanted + 8) return first(jacobi(matrix, size), size, wanted);
  const width = Math.min(size, wanted + 8);
  let basis = orthonormal(seeded(width * size), width, size);
  let before: Float64Array = new Float64Array(width);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const image = times(basis, matrix, width, size);
    const small = new Float64Array(width * width);
    for (let a = 0; a < width; a++)
      for (let b = 0; b < width; b++) small[a * width + b] = dot(basis, a, image, b, size);
    const rotation = jacobi(small, width);
    // The best vectors of the subspace, one step further.
    basis = orthonormal(combined(rotation.vectors, image, width, size), width, size);
    const largest = Math.max(rotation.values[0], Number.MIN_VALUE);
    const isStill = rotation.values.every(
      (value, at) =>
        at >= wanted || Math.abs(value - before[at]) <= (at < PRECISE ? PRECISION : ROUGH_PRECISION) * largest,
    );
    before = rotation.values;
    if (isStill && round > 2) break;
  }
  const image = times(basis, matrix, width, size);
  const small = new Float64Array(width * width);
  for (let a = 0; a < width; a++) for (let b = 0; b < width; b++) small[a * width + b] = dot(basis, a, image, b, size);
  const rotation = jacobi(small, width);
  return first({ values: rotation.values, vectors: combined(rotation.vectors, basis, width, size) }, size, wanted);
}

function first({ values, vectors }: Eigen, size: number, count: number): Eigen {
  return { values: values.slice(0, count).map((value) => Math.max(0, value)), vectors: vectors.slice(0, count * size) };
}

function dot(a: Float64Array, rowA: number, b: Float64Array, rowB: number, size: number): number {
  let sum = 0;
  for (let at = 0; at < size; at++) sum += a[rowA * size + at] * b[rowB * size + at];
  return sum;
}

/** Rows times a symmetric matrix. */
function times(rows: Float64Array, matrix: Float64Array, count: number, size: number): Float64Array {
  const result = new Float64Array(count * size);
  for (let row = 0; row < count; row++)
    for (let at = 0; at < size; at++) result[row * size + at] = dot(rows, row, matrix, at, size);
  return result;
}

function combined(weights: Float64Array, rows: Float64Array, count: number, size: number): Float64Array {
  const result = new Float64Array(count * size);
  for (let to = 0; to < count; to++)
    for (let from = 0; from < count; from++) {
      const weight = weights[to * count + from];
      if (weight !== 0) for (let at = 0; at < size; at++) result[to * size + at] += weight * rows[from * size + at];
    }
  return result;
}

/** Gram and Schmidt, twice, so that nothing is left of what was taken away; a row that vanishes becomes zeros. */
function orthonormal(rows: Float64Array, count: number, size: number): Float64Array {
  for (let row = 0; row < count; row++) {
    for (let pass = 0; pass < 2; pass++)
      for (let other = 0; other < row; other++) {
        const share = dot(rows, row, rows, other, size);
        for (let at = 0; at < size; at++) rows[row * size + at] -= share * rows[other * size + at];
      }
    const length = Math.sqrt(dot(rows, row, rows, row, size));
    for (let at = 0; at < size; at++) rows[row * size + at] = length > 1e-150 ? rows[row * size + at] / length : 0;
  }
  return rows;
}

/** Values in [-0.5, 0.5), the same every time. */
function seeded(count: number): Float64Array {
  const values = new Float64Array(count);
  let state = 1;
  for (let at = 0; at < count; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[at] = state / 2 ** 32 - 0.5;
  }
  return values;
}

/** All eigenvalues of a small symmetric matrix by Jacobi's rotations. */
function jacobi(matrix: Float64Array, size: number): Eigen {
  const a = Float64Array.from(matrix);
  const vectors = new Float64Array(size * size);
  for (let at = 0; at < size; at++) vectors[at * size + at] = 1;
  const total = Math.sqrt(a.reduce((sum, entry) => sum + entry * entry, 0));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let off = 0;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) off += a[p * size + q] ** 2;
    if (Math.sqrt(off) <= 1e-15 * total) break;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(a, vectors, p, q, size);
  }
  const order = Array.from({ length: size }, (_, at) => at).sort((p, q) => a[q * size + q] - a[p * size + p]);
  const sorted = new Float64Array(size * size);
  order.forEach((from, to) => sorted.set(vectors.subarray(from * size, (from + 1) * size), to * size));
  return { values: Float64Array.from(order, (at) => a[at * size + at]), vectors: sorted };
}

/** Makes one pair of entries zero; `vectors` holds a vector in each row. */
function rotate(a: Float64Array, vectors: Float64Array, p: number, q: number, size: number): void {
  const entry = a[p * size + q];
  if (entry === 0) return;
  const theta = (a[q * size + q] - a[p * size + p]) / (2 * entry);
  const tangent = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const cosine = 1 / Math.sqrt(tangent * tangent + 1);
  const sine = tangent * cosine;
  for (let at = 0; at < size; at++) {
    const [x, y] = [a[at * size + p], a[at * size + q]];
    a[at * size + p] = cosine * x - sine * y;
    a[at * size + q] = sine * x + cosine * y;
  }
  for (let at = 0; at < size; at++) {
    const [x, y] = [a[p * size + at], a[q * size + at]];
    a[p * size + at] = cosine * x - sine * y;
    a[q * size + at] = sine * x + cosine * y;
    const [u, v] = [vectors[p * size + at], vectors[q * size + at]];
    vectors[p * size + at] = cosine * u - sine * v;
    vectors[q * size + at] = sine * u + cosine * v;
  }
}
