import { DataType } from '../../onnx/schema.js';
import type { Call, Rule } from '../call.js';
import { countOf, MOST_VALUES, numbersOf, tensorInfo, type Scalar, type Shape, type TensorInfo } from '../info.js';
import { axesOf } from './movement.js';
import { BINARY, type BinaryOperation } from './values.js';

/** Operators that make one entry of an axis, or leave the axis out. */

const FOLDS: { readonly [opType: string]: BinaryOperation } = {
  ReduceSum: BINARY.Add,
  ReduceProd: BINARY.Mul,
  ReduceMax: BINARY.Max,
  ReduceMin: BINARY.Min,
};

/**
 * Axes are an input since 13 for ReduceSum and since 18 for the others; none are all, unless `noop_with_empty_axes`.
 */
const reduce: Rule = (call) => {
  const input = call.tensor(0);
  const shape = call.shape(0);
  const elem = call.elem(0);
  const axes = axesOf(call, call.node.opType === 'ReduceSum' ? 13 : 18);
  const keeps = call.int('keepdims', 1) !== 0;
  if (shape === null) return [tensorInfo(elem, axes == null && !keeps && axes === undefined ? [] : null)];
  if (axes === null) return [tensorInfo(elem, someReduced(call, shape, keeps))];
  const isEmpty = axes === undefined || axes.length === 0;
  if (isEmpty && call.int('noop_with_empty_axes', 0) !== 0) return [tensorInfo(elem, shape, input?.value)];
  const gone = new Set(isEmpty ? shape.keys() : axes.map((axis) => call.axis(axis, shape.length)));
  const dims = keeps
    ? shape.map((dim, axis) => (gone.has(axis) ? 1 : dim))
    : shape.filter((_dim, axis) => !gone.has(axis));
  return [tensorInfo(elem, dims, folded(call, input, gone))];
};

function someReduced(call: Call, shape: Shape, keeps: boolean): Shape | null {
  if (keeps) return shape.map((dim) => (dim === 1 ? 1 : call.unknown()));
  const count = call.shape(1)?.[0];
  if (typeof count !== 'number' || count === 0) return null;
  return count > shape.length ? null : call.unknowns(shape.length - count);
}

function folded(call: Call, input: TensorInfo | null, gone: ReadonlySet<number>): readonly Scalar[] | null {
  const fold = FOLDS[call.node.opType];
  const dims = numbersOf(input?.shape);
  if (fold === undefined || input?.value === undefined || dims === null || input.value.length === 0) return null;
  const results = new Map<number, Scalar>();
  input.value.forEach((scalar, position) => {
    let [rest, offset, stride] = [position, 0, 1];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      if (!gone.has(axis)) {
        offset += (rest % dims[axis]) * stride;
        stride *= dims[axis];
      }
      rest = Math.floor(rest / dims[axis]);
    }
    const before = results.get(offset);
    if (before === undefined) results.set(offset, scalar);
    else if (before !== null)
      results.set(offset, scalar === null ? null : fold(before, scalar, call.algebra, input.elemType));
  });
  return [...results].sort(([a], [b]) => a - b).map(([, scalar]) => scalar);
}

const arg: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null) return [tensorInfo(DataType.int64, null)];
  const axis = call.axis(call.int('axis', 0), shape.length);
  const keeps = call.int('keepdims', 1) !== 0;
  const dims = keeps ? shape.map((dim, at) => (at === axis ? 1 : dim)) : shape.filter((_dim, at) => at !== axis);
  return [tensorInfo(DataType.int64, dims)];
};

const cumSum: Rule = (call) => {
  const input = call.tensor(0);
  const count = countOf(call.shape(0));
  const isPlain = call.int('exclusive', 0) === 0 && call.int('reverse', 0) === 0;
  if (input?.value === undefined || !isPlain || input.shape?.length !== 1 || (count ?? Infinity) > MOST_VALUES)
    return [tensorInfo(call.elem(0), call.shape(0))];
  let sum: Scalar = 0;
  const value = input.value.map((scalar): Scalar => {
    sum = sum === null || scalar === null ? null : BINARY.Add(sum, scalar, call.algebra, input.elemType);
    return sum;
  });
  return [tensorInfo(input.elemType, input.shape, value)];
};

const REDUCING =
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare';

/** Rules of reductions. */
export const REDUCTIONS: { readonly [opType: string]: Rule } = {
  ...Object.fromEntries(REDUCING.split(' ').map((opType) => [opType, reduce])),
  ArgMax: arg,
  ArgMin: arg,
  CumSum: cumSum,
};
