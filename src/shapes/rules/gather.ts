import { DataType } from '../../onnx/schema.js';
import { RuleFault, type Call, type Rule } from '../call.js';
import { boundsOf, type Size } from '../formula.js';
import { numbersOf, tensorInfo, type Scalar, type Shape } from '../info.js';
import { pickedValues } from './values.js';

/** Operators that pick elements by their positions, and those whose positions depend on the data. */

const gather: Rule = (call) => {
  const [data, indices] = [call.shape(0), call.shape(1)];
  const elem = call.elem(0);
  if (data === null || indices === null) return [tensorInfo(elem, null)];
  const axis = call.axis(call.int('axis', 0), data.length);
  const dims = [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)];
  const [picked, inner] = [call.value(1), numbersOf(indices)];
  const from = numbersOf(data);
  if (picked === null || inner === null || from === null) return [tensorInfo(elem, dims)];
  const value = pickedValues(call.tensor(0), dims, (position) => {
    const at = position.slice(axis, axis + inner.length).reduce((offset, part, on) => offset * inner[on] + part, 0);
    const index = picked[at];
    if (typeof index !== 'number') return null;
    const counted = index < 0 ? index + from[axis] : index;
    if (counted < 0 || counted >= from[axis]) return null;
    return [...position.slice(0, axis), counted, ...position.slice(axis + inner.length)];
  });
  return [tensorInfo(elem, dims, value)];
};

const gatherElements: Rule = (call) => [tensorInfo(call.elem(0), call.shape(1))];

const gatherND: Rule = (call) => {
  const [data, indices] = [call.shape(0), call.shape(1)];
  const elem = call.elem(0);
  const depth = indices?.at(-1);
  const batch = call.int('batch_dims', 0);
  if (data === null || indices === null || typeof depth !== 'number') return [tensorInfo(elem, null)];
  if (batch + depth > data.length) throw new RuleFault('indices are deeper than the data');
  const dims = [...indices.slice(0, -1), ...data.slice(batch + depth)];
  const picked = call.numbers(1);
  const lead = numbersOf(indices.slice(0, -1));
  const from = numbersOf(data);
  if (picked === null || lead === null || from === null || batch !== 0) return [tensorInfo(elem, dims)];
  const value = pickedValues(call.tensor(0), dims, (position) => {
    const row = position.slice(0, lead.length).reduce((offset, part, on) => offset * lead[on] + part, 0);
    const at = picked.slice(row * depth, (row + 1) * depth);
    return [...at.map((index, axis) => (index < 0 ? index + from[axis] : index)), ...position.slice(lead.length)];
  });
  return [tensorInfo(elem, dims, value)];
};

/** Data whose elements at some positions are replaced. */
const scatterND: Rule = (call) => {
  const data = call.tensor(0);
  const [indices, updates] = [call.numbers(1), call.value(2)];
  const dims = numbersOf(data?.shape);
  const depth = call.shape(1)?.at(-1);
  const plain = tensorInfo(call.elem(0), call.shape(0));
  if (data?.value === undefined || indices === null || updates === null || dims === null) return [plain];
  if (call.text('reduction', 'none') !== 'none' || depth !== dims.length) return [plain];
  const value: Scalar[] = [...data.value];
  updates.forEach((scalar, row) => {
    const at = indices.slice(row * depth, (row + 1) * depth);
    value[at.reduce((offset, index, axis) => offset * dims[axis] + (index < 0 ? index + dims[axis] : index), 0)] =
      scalar;
  });
  return [tensorInfo(plain.elemType, plain.shape, value)];
};

const oneHot: Rule = (call) => {
  const indices = call.shape(0);
  const elem = call.elem(2);
  if (indices === null) return [tensorInfo(elem, null)];
  const axis = call.axis(call.int('axis', -1), indices.length + 1);
  const depth = call.value(1)?.[0];
  const whole = typeof depth === 'number' ? Math.trunc(depth) : (depth ?? call.unknown());
  return [tensorInfo(elem, [...indices.slice(0, axis), whole, ...indices.slice(axis)])];
};

const topK: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null), tensorInfo(DataType.int64, null)];
  const axis = call.axis(call.int('axis', -1), shape.length);
  const k: Size = (call.opset < 10 ? call.int('k') : call.value(1)?.[0]) ?? call.unknown();
  const dims = shape.map((dim, at) => (at === axis ? k : dim));
  return [tensorInfo(elem, dims), tensorInfo(DataType.int64, dims)];
};

/** [rank, count]. */
const nonZero: Rule = (call) => {
  const rank = call.rank(0);
  const value = call.value(0);
  const known = value?.every((scalar) => scalar !== null && (typeof scalar === 'number' || boundsOf(scalar)[0] > 0));
  const count = known === true ? (value?.filter((scalar) => scalar !== 0).length ?? null) : null;
  return [tensorInfo(DataType.int64, [rank === null ? call.unknown() : Math.max(rank, 1), count ?? call.unknown()])];
};

const nonMaxSuppression: Rule = (call) => [tensorInfo(DataType.int64, [call.unknown(), 3])];

const compress: Rule = (call) => {
  const shape = call.shape(0);
  const axis = call.int('axis');
  if (axis === undefined) return [tensorInfo(call.elem(0), [call.unknown()])];
  if (shape === null) return [tensorInfo(call.elem(0), null)];
  const on = call.axis(axis, shape.length);
  return [
    tensorInfo(
      call.elem(0),
      shape.map((dim, at) => (at === on ? call.unknown() : dim)),
    ),
  ];
};

const unique: Rule = (call) => {
  const shape = call.shape(0);
  const axis = call.int('axis');
  const count = call.unknown();
  const list = tensorInfo(DataType.int64, [count]);
  const inverse = axis === undefined ? elementsOf(call, shape) : (shape?.[call.axis(axis, shape.length)] ?? null);
  const dims =
    axis === undefined
      ? [count]
      : (shape?.map((dim, at) => (at === call.axis(axis, shape.length) ? count : dim)) ?? null);
  return [tensorInfo(call.elem(0), dims), list, tensorInfo(DataType.int64, [inverse ?? call.unknown()]), list];
};

function elementsOf(call: Call, shape: Shape | null): Size | null {
  return shape === null ? null : call.algebra.product(shape);
}

/** Rules of picking elements. */
export const GATHERING: { readonly [opType: string]: Rule } = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterND: scatterND,
  OneHot: oneHot,
  TopK: topK,
  NonZero: nonZero,
  NonMaxSuppression: nonMaxSuppression,
  Compress: compress,
  Unique: unique,
};
