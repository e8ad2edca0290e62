import type { TensorValue } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import type { Projecting } from '../options/steps.js';
import { option } from '../options/words.js';
import type { Projection } from '../rewrite/steps.js';
import { conversionOf, toFloat32 } from './convert.js';
import { describe } from './tensor.js';

/** Gives the one array of a file. */
export type ReadArray = (path: string) => Promise<TensorValue>;

/** The files of a projection. */
export function projectionFiles(project: Projecting | undefined): readonly string[] {
  return typeof project === 'string' ? project.split(',').map((path) => path.trim()) : [];
}

/**
 * A projection whose arrays are read: a matrix [channels, width], and a mean of as many numbers as it has rows.
 * @throws UsageError for other shapes and dtypes; what `read` throws
 */
export async function readProjection(project: Projecting | undefined, read: ReadArray): Promise<Projection | null> {
  if (project === undefined) return null;
  const files = projectionFiles(project);
  if (files.length > 2 || files.includes(''))
    throw new UsageError(`${option('project')} takes one or two files with a comma between them`, {
      code: 'FEATX_USAGE_PROJECT',
      hint: 'a path with a comma cannot be said here: rename the file',
    });
  const [weights, mean] =
    typeof project === 'string'
      ? await Promise.all(files.map((path) => read(path)))
      : [project.weights as TensorValue, project.mean as TensorValue | undefined];
  const [rows, columns] = weights.shape;
  if (weights.shape.length !== 2 || weights.shape.includes(0))
    throw wrong(`the matrix of ${option('project')} is ${describe(weights)}; it has two axes, [channels, width]`);
  if (mean !== undefined && (mean.shape.length !== 1 || mean.shape[0] !== rows))
    throw wrong(
      `the mean of ${option('project')} is ${describe(mean)}; the matrix has ${rows} rows, and it as many numbers`,
    );
  return { rows, columns, weights: floats(weights), mean: mean === undefined ? null : floats(mean) };
}

function floats(array: TensorValue): Float32Array {
  if (array.dtype !== 'float32' && conversionOf(array.dtype, 'float32') === null)
    throw wrong(`an array of ${option('project')} is of ${array.dtype}; it takes numbers that float32 can hold`);
  const values = toFloat32(array);
  if (values.length !== array.shape.reduce((product, dim) => product * dim, 1))
    throw wrong(
      `an array of ${option('project')} has ${values.length} values and the shape [${array.shape.join(', ')}]`,
    );
  return values;
}

function wrong(message: string): UsageError {
  return new UsageError(message, { code: 'FEATX_USAGE_PROJECT' });
}
