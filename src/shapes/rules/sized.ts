import { DataType } from '../../onnx/schema.js';
import { RuleFault, type Call, type Rule } from '../call.js';
import { isExact, type Size } from '../formula.js';
import {
  filled,
  countOf,
  isFloat,
  MOST_VALUES,
  numbersOf,
  tensorInfo,
  type Scalar,
  type Shape,
  type TensorInfo,
} from '../info.js';

/** Operators whose shape is written in a value, and those that make values of shapes. */

const constant: Rule = (call) => [constantInfo(call)];

function constantInfo(call: Call): TensorInfo {
  const tensor = call.attribute('value')?.tensors[0];
  if (tensor !== undefined) return call.constant(tensor);
  const sparse = call.attribute('sparse_value')?.sparseTensors[0];
  if (sparse?.values != null) return tensorInfo(sparse.values.dataType, sparse.dims);
  const ints = call.ints('value_ints');
  if (ints !== undefined) return tensorInfo(DataType.int64, [ints.length], ints);
  const floats = call.floats('value_floats');
  if (floats !== undefined) return tensorInfo(DataType.float, [floats.length], floats);
  const strings = call.attribute('value_strings')?.strings;
  if (strings !== undefined)
    return tensorInfo(DataType.string, strings.length < MOST_VALUES ? [strings.length] : [call.unknown()]);
  const int = call.int('value_int');
  if (int !== undefined) return tensorInfo(DataType.int64, [], [int]);
  const float = call.attribute('value_float')?.f;
  if (float != null) return tensorInfo(DataType.float, [], [Math.fround(float)]);
  if (call.attribute('value_string') !== undefined) return tensorInfo(DataType.string, []);
  throw new RuleFault('a constant without a value');
}

const constantOfShape: Rule = (call) => {
  const fill = call.attribute('value')?.tensors[0];
  const filling = fill === undefined ? tensorInfo(DataType.float, [1], [0]) : call.constant(fill);
  const wanted = call.value(0);
  const rank = wanted?.length ?? call.shape(0)?.[0];
  if (typeof rank !== 'number' || rank > 64) return [tensorInfo(filling.elemType, null)];
  const dims = wanted?.map((dim) => dim ?? call.unknown()) ?? call.unknowns(rank);
  const count = countOf(dims);
  const scalar = filling.value?.[0] ?? null;
  const value = count !== null && count <= MOST_VALUES ? filled<Scalar>(count, scalar) : null;
  return [tensorInfo(filling.elemType, dims, value)];
};

const shape: Rule = (call) => {
  const dims = call.shape(0);
  if (dims === null) return [tensorInfo(DataType.int64, [call.unknown()])];
  const clamped = (axis: number): number => Math.min(dims.length, Math.max(0, axis < 0 ? axis + dims.length : axis));
  const taken = dims.slice(clamped(call.int('start', 0)), clamped(call.int('end', dims.length)));
  return [tensorInfo(DataType.int64, [taken.length], taken)];
};

const size: Rule = (call) => {
  const dims = call.shape(0);
  return [tensorInfo(DataType.int64, [], dims === null ? null : [call.algebra.product(dims)])];
};

/** max(ceil((limit - start) / delta), 0) numbers. */
const range: Rule = (call) => {
  const { algebra } = call;
  const [start, limit, delta] = [0, 1, 2].map((index) => call.value(index)?.[0] ?? null);
  const elem = call.elem(0);
  if (start === null || limit === null || delta === null || delta === 0) return [tensorInfo(elem, [call.unknown()])];
  const isMixed = [start, limit, delta].some((scalar) => typeof scalar !== 'number');
  if (isMixed && ![start, limit, delta].every(isExact)) return [tensorInfo(elem, [call.unknown()])];
  const count = rangeCount(call, algebra.subtract(limit, start), delta);
  const value =
    typeof count === 'number' && count <= MOST_VALUES && !isFloat(elem)
      ? Array.from({ length: count }, (_empty, at) => algebra.add(start, algebra.multiply(delta, at)))
      : null;
  return [tensorInfo(elem, [count], value)];
};

function rangeCount(call: Call, length: Size, delta: Size): Size {
  const { algebra } = call;
  if (typeof delta !== 'number') return call.unknown();
  if (typeof length === 'number') return Math.max(0, Math.ceil(length / delta));
  const quotient = algebra.quotient(length, delta);
  return quotient === null ? call.unknown() : algebra.max(algebra.ceil(quotient), 0);
}

/** Upsample before version 9 says its scales in attributes. */
const upsample: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null) return [tensorInfo(call.elem(0), null)];
  const old = [1, 1, call.float('height_scale', 1), call.float('width_scale', 1)];
  const scales = call.opset < 7 ? old : call.opset < 9 ? (call.floats('scales') ?? null) : call.numbers(1);
  return [tensorInfo(call.elem(0), scaled(call, shape, scales))];
};

/**
 * Scales are input 1 in version 10, input 2 since 11, where input 3 may say the sizes. @see
 * https://onnx.ai/onnx/operators/onnx__Resize.html
 */
const resize: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null)];
  if (call.opset < 11) return [tensorInfo(elem, scaled(call, shape, call.numbers(1)))];
  const axes = call.ints('axes')?.map((axis) => call.axis(axis, shape.length)) ?? [...shape.keys()];
  const dims = [...shape];
  const put = (sizes: readonly Size[]): readonly [TensorInfo] => {
    axes.forEach((axis, at) => (dims[axis] = sizes[at]));
    return [tensorInfo(elem, dims)];
  };
  const touched = axes.map((axis) => shape[axis]);
  if (!call.has(3)) return put(scaled(call, touched, call.numbers(2)));
  const sizes = call.value(3);
  if (sizes === null) return put(call.unknowns(axes.length));
  if (sizes.length !== axes.length) throw new RuleFault('sizes do not fit the axes');
  const policy = call.text('keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return put(sizes.map((dim) => dim ?? call.unknown()));
  return put(keptAspect(call, touched, sizes, policy));
};

/** Sizes that keep the ratio: the smallest scale, or the largest, for all. */
function keptAspect(call: Call, shape: Shape, sizes: readonly Scalar[], policy: string): Shape {
  const [from, to] = [numbersOf(shape), numbersOf(sizes)];
  if (from === null || to === null) return call.unknowns(shape.length);
  const scales = to.map((dim, at) => Math.fround(dim / from[at]));
  const [extreme, start] = policy === 'not_larger' ? [Math.min, Infinity] : [Math.max, -Infinity];
  const scale = scales.reduce((a, b) => extreme(a, b), start);
  return from.map((dim) => Math.floor(Math.fround(scale * dim) + 0.5));
}

/** Dims times scales, rounded down, as ONNX Runtime multiplies: in float32. */
function scaled(call: Call, shape: Shape, scales: readonly number[] | null): Shape {
  if (scales === null || scales.length === 0) return call.unknowns(shape.length);
  if (scales.length !== shape.length) throw new RuleFault('scales do not fit the rank');
  return shape.map((dim, axis) => {
    const scale = Math.fround(scales[axis]);
    if (typeof dim === 'number') return Math.floor(Math.fround(dim * scale));
    return isExact(scale) ? call.algebra.floor(call.algebra.multiply(dim, scale)) : call.unknown();
  });
}

/** theta [N, …] and size [N, C, …]: a grid [N, …, axes]. */
const affineGrid: Rule = (call) => {
  const wanted = call.value(1);
  const rank = wanted?.length ?? call.shape(1)?.[0];
  if (typeof rank !== 'number' || rank < 3) return [tensorInfo(call.elem(0), null)];
  const dims = wanted?.map((dim) => dim ?? call.unknown()) ?? call.unknowns(rank);
  return [tensorInfo(call.elem(0), [dims[0], ...dims.slice(2), rank - 2])];
};

/** Random tensors of a shape of their own. */
const random: Rule = (call) => [tensorInfo(call.int('dtype', DataType.float), call.ints('shape') ?? null)];

const randomLike: Rule = (call) => [tensorInfo(call.int('dtype') ?? call.elem(0), call.shape(0))];

const multinomial: Rule = (call) => [
  tensorInfo(call.int('dtype', DataType.int32), [call.shape(0)?.[0] ?? call.unknown(), call.int('sample_size', 1)]),
];

/** Rules of what is shaped by a value. */
export const SIZED: { readonly [opType: string]: Rule } = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shape,
  Size: size,
  Range: range,
  Upsample: upsample,
  Resize: resize,
  AffineGrid: affineGrid,
  RandomNormal: random,
  RandomUniform: random,
  RandomNormalLike: randomLike,
  RandomUniformLike: randomLike,
  Bernoulli: randomLike,
  EyeLike: randomLike,
  Multinomial: multinomial,
};
