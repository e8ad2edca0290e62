import { centred, gram, transposed, type Matrix } from './matrix.js';

/** How far two results of the same shape are apart. */
export interface Distance {
  /** Cosine of the angle between both as vectors; null if one is zero. */
  readonly cosine: number | null;
  /** Length of the difference over the length of the first; null if that is zero. */
  readonly relativeError: number | null;
  readonly largestDifference: number;
}

/** Adds up what `Distance` needs, part by part. */
export class DistanceSum {
  private ab = 0;
  private aa = 0;
  private bb = 0;
  private dd = 0;
  private largest = 0;

  add(a: ArrayLike<number>, b: ArrayLike<number>): void {
    for (let at = 0; at < a.length; at++) {
      const [x, y] = [a[at], b[at]];
      const difference = Math.abs(x - y);
      this.ab += x * y;
      this.aa += x * x;
      this.bb += y * y;
      this.dd += difference * difference;
      if (difference > this.largest || Number.isNaN(difference)) this.largest = difference;
    }
  }

  result(): Distance {
    const length = Math.sqrt(this.aa) * Math.sqrt(this.bb);
    return {
      cosine: length > 0 ? this.ab / length : null,
      relativeError: this.aa > 0 ? Math.sqrt(this.dd / this.aa) : null,
      largestDifference: this.largest,
    };
  }
}

/**
 * Linear centred kernel alignment of two matrices with the same samples as rows, whatever their columns: 1 where one is
 * the other turned and scaled, 0 where they have nothing in common; null if one is constant.
 * @see https://arxiv.org/abs/1905.00414
 */
export function linearCka(a: Matrix, b: Matrix): number | null {
  const [x, y] = [centred(a), centred(b)];
  const { rows } = x;
  if (rows < x.columns + y.columns) {
    // Of few samples the products of rows are the smaller matrices.
    const [k, l] = [gram(x), gram(y)];
    return ratio(inner(k, l), inner(k, k), inner(l, l));
  }
  const [p, q] = [transposed(x), transposed(y)];
  return ratio(crossSquares(p, q), crossSquares(p, p), crossSquares(q, q));
}

function ratio(ab: number, aa: number, bb: number): number | null {
  return aa > 0 && bb > 0 ? ab / (Math.sqrt(aa) * Math.sqrt(bb)) : null;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at];
  return sum;
}

/** The sum of the squared products of all rows of one with all rows of the other. */
function crossSquares(a: Matrix, b: Matrix): number {
  let sum = 0;
  for (let row = 0; row < a.rows; row++)
    for (let other = 0; other < b.rows; other++) {
      let product = 0;
      for (let at = 0; at < a.columns; at++)
        product += a.values[row * a.columns + at] * b.values[other * b.columns + at];
      sum += product * product;
    }
  return sum;
}
