import { largestEigen } from './eigen.js';
import { centred, gram, transposed, type Matrix } from './matrix.js';

/** Principal components of a matrix whose rows are samples. */
export interface Components {
  /** How far each row lies along each component, `[rows, count]`. */
  readonly scores: Matrix;
  /** The share of the whole variance that each component explains. */
  readonly explained: readonly number[];
}

/**
 * The first principal components, the sign of each such that its largest score is positive.
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.decomposition.PCA.html
 */
export function principalComponents(matrix: Matrix, count: number): Components {
  const samples = centred(matrix);
  const { rows, columns, values } = samples;
  let total = 0;
  for (const value of values) total += value * value;
  const isWide = columns > rows;
  // Both have the same eigenvalues, and the scores follow from the vectors of either.
  const { values: squares, vectors } = largestEigen(
    gram(isWide ? samples : transposed(samples)),
    isWide ? rows : columns,
    count,
  );
  const found = squares.length;
  const scores = new Float64Array(rows * found);
  for (let component = 0; component < found; component++) {
    let largest = 0;
    for (let row = 0; row < rows; row++) {
      let score = 0;
      if (isWide) score = vectors[component * rows + row] * Math.sqrt(squares[component]);
      else
        for (let column = 0; column < columns; column++)
          score += values[row * columns + column] * vectors[component * columns + column];
      scores[row * found + component] = score;
      if (Math.abs(score) > Math.abs(largest)) largest = score;
    }
    if (largest < 0) for (let row = 0; row < rows; row++) scores[row * found + component] *= -1;
  }
  return {
    scores: { rows, columns: found, values: scores },
    explained: Array.from(squares, (square) => (total > 0 ? square / total : 0)),
  };
}
