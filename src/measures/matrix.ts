/** A matrix of numbers, row by row: of a feature, a row is a cell of the map and a column is a channel. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array | Float64Array;
}

/** The mean of each column. */
function columnMeans({ rows, columns, values }: Matrix): Float64Array {
  const means = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) means[column] += values[at++];
  for (let column = 0; column < columns; column++) means[column] /= Math.max(1, rows);
  return means;
}

/** The matrix with the mean of each column taken away. */
export function centred(matrix: Matrix): Matrix {
  const { rows, columns, values } = matrix;
  const means = columnMeans(matrix);
  const result = new Float64Array(values.length);
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, at++) result[at] = values[at] - means[column];
  return { rows, columns, values: result };
}

/** Products of all pairs of rows: the matrix times its transpose, `[rows, rows]`. */
export function gram({ rows, columns, values }: Matrix): Float64Array {
  const products = new Float64Array(rows * rows);
  for (let a = 0; a < rows; a++)
    for (let b = a; b < rows; b++) {
      let sum = 0;
      for (let at = a * columns, other = b * columns, end = at + columns; at < end; at++, other++)
        sum += values[at] * values[other];
      products[a * rows + b] = products[b * rows + a] = sum;
    }
  return products;
}

/** The matrix on its side. */
export function transposed({ rows, columns, values }: Matrix): Matrix {
  const result = new Float64Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) result[column * rows + row] = values[row * columns + column];
  return { rows: columns, columns: rows, values: result };
}
