import type { TensorValue } from '../onnx/tensor-value.js';
import { runsAround } from './joining.js';

/** Two runs of one tensor, and how many entries each had. */
export interface TwoSizes {
  readonly small: TensorValue;
  readonly large: TensorValue;
  readonly sizes: readonly [small: number, large: number];
}

/**
 * The axis of a tensor that has the same whole number of parts for each entry at two batch sizes; `'none'` if its
 * shape is the same at both, null if no axis or several grow, or not in proportion.
 */
export function axisThatGrows({ small, large, sizes: [few, many] }: TwoSizes): number | 'none' | null {
  if (small.shape.length !== large.shape.length) return null;
  const grown = small.shape.flatMap((dim, axis) => (dim === large.shape[axis] ? [] : [axis]));
  if (grown.length === 0) return 'none';
  const [axis] = grown;
  const parts = small.shape[axis] / few;
  return grown.length === 1 && Number.isInteger(parts) && large.shape[axis] === parts * many ? axis : null;
}

/**
 * The axes along which only the parts of one entry of a batch differ between two runs; all of them if nothing differs
 * at all.
 */
export function axesOfEntry(
  before: TensorValue,
  after: TensorValue,
  { size, entry }: { readonly size: number; readonly entry: number },
): readonly number[] {
  const { shape } = before;
  if (String(shape) !== String(after.shape)) return [];
  const differing = differences(before, after);
  return shape.flatMap((dim, axis) => {
    const parts = dim / size;
    if (!Number.isInteger(parts) || parts === 0) return [];
    const { length, inner } = runsAround(shape, axis);
    const isOnly = differing.every((at) => Math.floor((Math.floor(at / inner) % length) / parts) === entry);
    return isOnly ? [axis] : [];
  });
}

/** Positions of the values that two tensors of one shape do not share, bit by bit. */
export function differences({ data: a }: TensorValue, { data: b }: TensorValue): readonly number[] {
  const found: number[] = [];
  for (let at = 0; at < a.length; at++) if (!Object.is(a[at], b[at])) found.push(at);
  return found;
}
