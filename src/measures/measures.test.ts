import { DistanceSum, linearCka } from './compare.js';
import { largestEigen } from './eigen.js';
import { cellNorms, channelNumbers, featureMap, histogram, pooled } from './maps.js';
import type { Matrix } from './matrix.js';
import { principalComponents } from './pca.js';

/** The same numbers as numpy's below. */
function numbers(count: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

function matrix(rows: number, columns: number, values = numbers(rows * columns)): Matrix {
  return { rows, columns, values };
}

/** Columns whose spread falls, as that of features does. */
function falling(rows: number, columns: number): Matrix {
  return matrix(
    rows,
    columns,
    numbers(rows * columns).map((value, at) => value / Math.sqrt(1 + (at % columns))),
  );
}

// numpy 2: U, S, V = svd(X - X.mean(0)); scores U * S, explained S**2 / sum(S**2).
test.each([
  [
    60,
    20,
    [
      0.28687572606273903, 0.11551535323809682, 0.013025324405491484, 0.3015389805540721, 0.3693320409809932,
      0.16372140419382766,
    ],
    [0.27534548155162214, 0.16607570621499693, 0.11319780150629075],
  ],
  [
    20,
    70,
    [
      -0.18387474310956017, -0.044045498681976505, -0.09907475307147336, 0.033888887788423916, 0.17003923184903771,
      -0.060620235511707456,
    ],
    [0.2319789763563352, 0.14222658731550525, 0.12055224349123692],
  ],
  [
    120,
    90,
    [
      -0.229825464810835, -0.06334960276515958, -0.042267137117227085, 0.5095729175622868, 0.2177292021114932,
      -0.03780755121499726,
    ],
    [0.20796833243345833, 0.09671142644228234, 0.06816817418605749],
  ],
])("principal components of %i samples of %i numbers are numpy's", (rows, columns, scores, explained) => {
  const found = principalComponents(falling(rows, columns), 3);
  explained.forEach((share, at) => expect(found.explained[at]).toBeCloseTo(share, 9));
  scores.forEach((score, at) => expect(found.scores.values[at]).toBeCloseTo(score, 7));
});

test('constant samples have no components', () => {
  const found = principalComponents(matrix(5, 3, new Float64Array(15).fill(2)), 3);
  expect(found.explained).toEqual([0, 0, 0]);
  expect(found.scores.values.every((score) => score === 0)).toBe(true);
});

test('the eigenvalues of a diagonal matrix are its entries', () => {
  const size = 90;
  const diagonal = new Float64Array(size * size);
  for (let at = 0; at < size; at++) diagonal[at * size + at] = at + 1;
  largestEigen(diagonal, size, 4).values.forEach((value, at) => expect(value).toBeCloseTo(size - at, 6));
});

// numpy: |Y'X|^2 / (|X'X| |Y'Y|), Frobenius, columns centred.
test("linear CKA is numpy's, for many samples and for few", () => {
  const [a, c] = [matrix(30, 8), matrix(6, 50)];
  const b = matrix(
    30,
    5,
    Float64Array.from({ length: 150 }, (_, at) => Math.tanh(2 * a.values[Math.floor(at / 5) * 8 + (at % 5)])),
  );
  const d = matrix(
    6,
    20,
    Float64Array.from({ length: 120 }, (_, at) => c.values[Math.floor(at / 20) * 50 + (at % 20)] ** 2),
  );
  expect(linearCka(a, b)).toBeCloseTo(0.8205750657381101, 9);
  expect(linearCka(c, d)).toBeCloseTo(0.9359880294744092, 9);
  expect(
    linearCka(
      a,
      matrix(
        30,
        8,
        Float64Array.from(a.values, (value) => -3 * value),
      ),
    ),
  ).toBeCloseTo(1, 12);
  expect(linearCka(a, matrix(30, 1, new Float64Array(30)))).toBeNull();
});

test('distances', () => {
  const sum = new DistanceSum();
  sum.add([3, 0], [3, 0]);
  sum.add([4], [0]);
  expect(sum.result()).toEqual({ cosine: 9 / (5 * 3), relativeError: 4 / 5, largestDifference: 4 });
  expect(new DistanceSum().result()).toEqual({ cosine: null, relativeError: null, largestDifference: 0 });
  const broken = new DistanceSum();
  broken.add([Number.NaN, 1], [0, 1]);
  expect(broken.result().largestDifference).toBeNaN();
});

describe('features as maps', () => {
  const values = Float32Array.from({ length: 24 }, (_, at) => at);

  test.each([
    ['NCHW', [1, 2, 3, 4], 0, [3, 4], [0, 12]],
    ['NHWC', [1, 3, 4, 2], 0, [3, 4], [0, 1]],
    ['NLC', [1, 12, 2], 3, [3, 3], [6, 7]],
    ['NCL', [1, 2, 12], 3, [3, 3], [3, 15]],
    ['NLC', [1, 12, 2], 0, [1, 12], [0, 1]],
    [null, [1, 24], 0, [1, 1], [0, 1]],
  ] as const)('%s %j without %i tokens', (layout, shape, prefixTokens, [height, width], first) => {
    const map = featureMap(values, shape, { layout, prefixTokens });
    expect([map.height, map.width]).toEqual([height, width]);
    expect(Array.from(map.cells.values.slice(0, 2))).toEqual(first);
  });

  test('pooling takes means, of whole cells where they divide', () => {
    const map = featureMap(values, [1, 1, 4, 6], { layout: 'NCHW' });
    const small = pooled(map, 2);
    expect([small.height, small.width, ...small.cells.values]).toEqual([2, 2, 4, 7, 16, 19]);
    expect(pooled(map, 10)).toEqual(map);
    expect(pooled(map, 4).cells.rows).toBe(16);
  });

  test('norms, channels and histograms', () => {
    const map = featureMap(Float32Array.of(3, 0, 4, 0, 7, 7), [1, 3, 2, 1], { layout: 'NCHW' });
    expect([...cellNorms(map)]).toEqual([Math.hypot(3, 4, 7), 7]);
    expect(channelNumbers(map)).toEqual([
      { mean: 1.5, std: 1.5, isSilent: false },
      { mean: 2, std: 2, isSilent: false },
      { mean: 7, std: 0, isSilent: true },
    ]);
    expect(histogram([0, 0, 1, 2, 4, Number.NaN, Infinity], 4)).toEqual({
      least: 0,
      most: 4,
      counts: [2, 1, 1, 1],
      zeros: 2,
      total: 5,
    });
    expect(histogram([], 2)).toEqual({ least: 0, most: 0, counts: [0, 0], zeros: 0, total: 0 });
    expect(histogram([5, 5], 2).counts).toEqual([2, 0]);
  });
});
