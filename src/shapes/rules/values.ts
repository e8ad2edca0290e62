import { DataType } from '../../onnx/schema.js';
import type { Algebra } from '../algebra.js';
import { boundsOf, isBinary, isExact, isWhole, type Size } from '../formula.js';
import {
  countOf,
  isFloat,
  MOST_VALUES,
  numbersOf,
  rangeOf,
  type Scalar,
  type Shape,
  type TensorInfo,
} from '../info.js';

/** Arithmetic on the elements of small tensors: what makes shapes out of shapes. */

/** What an operator makes of two elements; null if it cannot be said. */
export type BinaryOperation = (a: Size, b: Size, algebra: Algebra, elemType: number) => Scalar;
/** What an operator makes of one element; null if it cannot be said. */
export type UnaryOperation = (a: Size, algebra: Algebra, elemType: number) => Scalar;

/** A value as its dtype holds it; null if it could leave the range of the dtype, or is not exact in it. */
export function stored(value: Scalar, elemType: number): Scalar {
  if (value === null) return null;
  const [low, high] = rangeOf(elemType);
  const [least, most] = boundsOf(value);
  // No tensor is so long that its dims, or their differences, need more than 31 bits.
  if (typeof value !== 'number')
    return high >= 2 ** 31 - 1 && (low < 0 || least >= 0) ? value : least >= low && most <= high ? value : null;
  if (elemType === DataType.float) return Math.fround(value);
  if (!isFloat(elemType) && !Number.isSafeInteger(value)) return null;
  return elemType === DataType.double || (Number.isInteger(value) && least >= low && most <= high) ? value : null;
}

const exactly =
  (calculate: (a: Size, b: Size, algebra: Algebra) => Scalar): BinaryOperation =>
  (a, b, algebra, elemType) => {
    if (typeof a !== typeof b && (!isExact(a) || !isExact(b))) return null;
    if (isFloat(elemType) && !(isBinary(a) && isBinary(b))) return null;
    return stored(calculate(a, b, algebra), elemType);
  };

function divided(a: Size, b: Size, algebra: Algebra, elemType: number): Scalar {
  if (b === 0) return null;
  if (!isFloat(elemType)) return stored(algebra.truncDivide(a, b), elemType);
  if (typeof a !== typeof b && (!isExact(a) || !isExact(b))) return null;
  if (!(isBinary(a) && isBinary(b))) return null;
  return stored(algebra.quotient(a, b), elemType);
}

/** The rest with the sign of the divisor. */
function modulo(a: Size, b: Size, algebra: Algebra, elemType: number): Scalar {
  if (b === 0 || isFloat(elemType)) return null;
  return stored(algebra.subtract(a, algebra.multiply(b, algebra.floorDivide(a, b))), elemType);
}

function power(a: Size, b: Size, algebra: Algebra, elemType: number): Scalar {
  if (typeof b !== 'number') return null;
  if (typeof a === 'number') return stored(a ** b, elemType);
  return Number.isInteger(b) && b >= 0 && b <= 4 && isBinary(a)
    ? stored(algebra.product(Array.from({ length: b }, () => a)), elemType)
    : null;
}

/** Arithmetic on two elements, by operator. */
export const BINARY: { readonly [opType: string]: BinaryOperation } = {
  Add: exactly((a, b, algebra) => algebra.add(a, b)),
  Sub: exactly((a, b, algebra) => algebra.subtract(a, b)),
  Mul: exactly((a, b, algebra) => algebra.multiply(a, b)),
  Div: divided,
  Mod: modulo,
  Pow: power,
  Max: exactly((a, b, algebra) => algebra.max(a, b)),
  Min: exactly((a, b, algebra) => algebra.min(a, b)),
  Equal: (a, b, algebra) => (a === b ? 1 : excludes(algebra.subtract(a, b)) ? 0 : null),
  Less: (a, b, algebra) => isBelow(a, b, algebra),
  Greater: (a, b, algebra) => isBelow(b, a, algebra),
  LessOrEqual: (a, b, algebra) => not(isBelow(b, a, algebra)),
  GreaterOrEqual: (a, b, algebra) => not(isBelow(a, b, algebra)),
  And: (a, b) => (a === 0 || b === 0 ? 0 : a === 1 && b === 1 ? 1 : null),
  Or: (a, b) => (a === 1 || b === 1 ? 1 : a === 0 && b === 0 ? 0 : null),
  Xor: (a, b) => (typeof a === 'number' && typeof b === 'number' ? Number(a !== b) : null),
};

/** Whether a size is never 0. */
function excludes(difference: Size): boolean {
  const [low, high] = boundsOf(difference);
  return low > 0 || high < 0;
}

function isBelow(a: Size, b: Size, algebra: Algebra): Scalar {
  if (typeof a === 'number' && typeof b === 'number') return Number(a < b);
  const [low, high] = boundsOf(algebra.subtract(a, b));
  return high < 0 ? 1 : low >= 0 ? 0 : null;
}

function not(a: Scalar): Scalar {
  return typeof a === 'number' ? 1 - a : null;
}

const ofNumber =
  (calculate: (value: number) => number): UnaryOperation =>
  (a, _algebra, elemType) =>
    typeof a === 'number' ? stored(calculate(a), elemType) : null;

/** Arithmetic on one element, by operator. */
export const UNARY: { readonly [opType: string]: UnaryOperation } = {
  Identity: (a) => a,
  Neg: (a, algebra) => algebra.multiply(a, -1),
  Abs: (a, algebra) =>
    boundsOf(a)[0] >= 0 ? a : boundsOf(a)[1] <= 0 ? algebra.multiply(a, -1) : algebra.max(a, algebra.multiply(a, -1)),
  Floor: (a, algebra) => algebra.floor(a),
  Ceil: (a, algebra) => algebra.ceil(a),
  Round: (a) => (typeof a === 'number' ? roundedToEven(a) : isWhole(a) ? a : null),
  Not: not,
  Sign: (a) => {
    if (typeof a === 'number') return Math.sign(a);
    const [low, high] = boundsOf(a);
    return low > 0 ? 1 : high < 0 ? -1 : null;
  },
  Relu: (a, algebra) => algebra.max(a, 0),
  Sqrt: ofNumber(Math.sqrt),
  Reciprocal: ofNumber((value) => 1 / value),
  Exp: ofNumber(Math.exp),
  Log: ofNumber(Math.log),
};

function roundedToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest === 0.5 ? (floor % 2 === 0 ? floor : floor + 1) : Math.round(value);
}

/** Elements of a broadcast of tensors; null if they are too many or unknown. */
export function combinedValues(
  inputs: readonly (TensorInfo | null)[],
  shape: Shape | null,
  combine: (scalars: readonly Scalar[]) => Scalar,
): readonly Scalar[] | null {
  const count = countOf(shape);
  const dims = numbersOf(shape);
  if (dims === null || count === null || count > MOST_VALUES) return null;
  const readers = inputs.map((input) => readerOf(input, dims));
  if (readers.some((reader) => reader === null)) return null;
  return Array.from({ length: count }, (_empty, at) => combine(readers.map((reader) => reader?.(at) ?? null)));
}

type Reader = (at: number) => Scalar;

/** Where the element of a broadcast comes from. */
function readerOf(input: TensorInfo | null, dims: readonly number[]): Reader | null {
  const value = input?.value;
  const own = numbersOf(input?.shape);
  if (value === undefined || own === null) return null;
  if (value.length === 1) return () => value[0];
  const offset = dims.length - own.length;
  if (offset === 0 && own.every((dim, axis) => dim === dims[axis])) return (at) => value[at];
  return (at) => {
    let [rest, index, stride] = [at, 0, 1];
    for (let axis = dims.length - 1; axis >= offset; axis--) {
      const position = rest % dims[axis];
      rest = Math.floor(rest / dims[axis]);
      if (own[axis - offset] !== 1) index += position * stride;
      stride *= own[axis - offset];
    }
    return value[index];
  };
}

/** Elements of a tensor picked by position: `pick` gives, for each position in the result, the one in the tensor. */
export function pickedValues(
  input: TensorInfo | null,
  shape: Shape | null,
  pick: (position: readonly number[]) => readonly number[] | null,
): readonly Scalar[] | null {
  const value = input?.value;
  const from = numbersOf(input?.shape);
  const to = numbersOf(shape);
  const count = countOf(shape);
  if (value === undefined || from === null || to === null || count === null || count > MOST_VALUES) return null;
  const picked: Scalar[] = [];
  const position = to.map(() => 0);
  for (let at = 0; at < count; at++) {
    const source = pick(position);
    picked.push(source === null ? null : (value[offsetOf(source, from)] ?? null));
    for (let axis = to.length - 1; axis >= 0 && ++position[axis] === to[axis]; axis--) position[axis] = 0;
  }
  return picked;
}

function offsetOf(position: readonly number[], dims: readonly number[]): number {
  let offset = 0;
  for (let axis = 0; axis < dims.length; axis++) offset = offset * dims[axis] + position[axis];
  return offset;
}
