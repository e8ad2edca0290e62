import { DataType } from '../../onnx/schema.js';
import type { Call, Rule } from '../call.js';
import { isFloat, isInteger, tensorInfo, type Info, type Scalar, type TensorInfo } from '../info.js';
import { broadcast } from '../sizes.js';
import { BINARY, combinedValues, stored, UNARY } from './values.js';

/** Operators that treat every element alike. @see https://github.com/onnx/onnx/blob/main/docs/Operators.md */

/** Output 0 is what input 0 is. */
export const sameAsInput: Rule = (call) => [sameAs(call, 0)];

/** What an input is, with its values if the operator is known to keep or change them. */
function sameAs(call: Call, index: number): Info | null {
  const info = call.info(index);
  const input = call.tensor(index);
  if (input === null) return call.node.opType === 'Identity' ? info : null;
  if (input.value === undefined) return input;
  const operation = UNARY[call.node.opType];
  const value =
    operation === undefined
      ? null
      : input.value.map((scalar) =>
          scalar === null ? null : stored(operation(scalar, call.algebra, input.elemType), input.elemType),
        );
  return { ...tensorInfo(input.elemType, input.shape, value), kind: input.kind };
}

/** A dtype of its own, the shape of input 0. */
export const sameShape =
  (elemType: number): Rule =>
  (call) => [tensorInfo(elemType, call.shape(0))];

/** The first dtype that is known of the inputs from `from` on. */
function commonElem(call: Call, from = 0): number {
  for (let index = from; index < call.inputs.length; index++) if (call.elem(index) !== 0) return call.elem(index);
  return 0;
}

/** Before version 7 B was stretched to A, along an axis or from the end. */
function shapeOfBroadcast(call: Call): TensorInfo['shape'] {
  if (call.opset < 7 && call.inputs.length === 2 && call.attribute('broadcast') !== undefined)
    return call.int('broadcast', 0) === 1 ? call.shape(0) : (call.shape(0) ?? call.shape(1));
  return broadcast(
    call.inputs.map((_info, index) => call.shape(index)),
    call.algebra,
  );
}

/** Elements of several inputs, stretched to each other. */
export const broadcasting: Rule = (call) => [combined(call, commonElem(call))];

/** The dtype of input 0 alone. */
export const broadcastingBase: Rule = (call) => [combined(call, call.elem(0))];

/** Truth of elements of two inputs, stretched to each other. */
export const comparing: Rule = (call) => [combined(call, DataType.bool)];

function combined(call: Call, elemType: number): TensorInfo {
  const shape = shapeOfBroadcast(call);
  const first = call.tensor(0);
  // Most sums and products of a network are what their first input is.
  if (first !== null && first.value === undefined && first.kind === 'tensor')
    if (first.elemType === elemType && first.shape === shape && shape !== null) return first;
  const operation = BINARY[call.node.opType];
  if (operation === undefined) return tensorInfo(elemType, shape);
  const inputs = call.inputs.map((_info, index) => call.tensor(index));
  const operand = call.elem(0);
  if (call.node.opType === 'Mod' && call.int('fmod', 0) === 1) return tensorInfo(elemType, shape);
  const value = combinedValues(inputs, shape, ([first, ...others]) =>
    others.reduce<Scalar>(
      (result, scalar) =>
        result === null || scalar === null ? null : operation(result, scalar, call.algebra, operand),
      first,
    ),
  );
  return tensorInfo(elemType, shape, value);
}

/** Slopes of a larger shape are against the specification, but they are run. Before version 7 they are of channels. */
const prelu: Rule = (call) => (call.opset < 7 || call.shape(1) === null ? sameAsInput : broadcastingBase)(call);

const where: Rule = (call) => {
  const inputs = [0, 1, 2].map((index) => call.tensor(index));
  const shape = broadcast(
    inputs.map((input) => input?.shape ?? null),
    call.algebra,
  );
  const value = combinedValues(inputs, shape, ([condition, yes, no]) =>
    condition === 1 || yes === no ? yes : condition === 0 ? no : null,
  );
  return [tensorInfo(commonElem(call, 1), shape, value)];
};

const cast: Rule = (call) => {
  const to = call.node.opType === 'CastLike' ? call.elem(1) : (call.int('to') ?? castByWord(call));
  return [castTo(call, to)];
};

/** Before version 6 the dtype was written as a word. */
function castByWord(call: Call): number {
  const word = call.text('to', '').toLowerCase();
  return word in DataType ? DataType[word as keyof typeof DataType] : 0;
}

function castTo(call: Call, to: number): TensorInfo {
  const input = call.tensor(0);
  if (input === null) return tensorInfo(to, null);
  return tensorInfo(to, input.shape, input.value?.map((scalar) => converted(scalar, to, call)) ?? null);
}

function converted(scalar: Scalar, to: number, { algebra }: Call): Scalar {
  if (scalar === null) return null;
  if (to === DataType.bool) return typeof scalar === 'number' ? Number(scalar !== 0) : scalar.bounds[0] > 0 ? 1 : null;
  if (isInteger(to)) {
    if (typeof scalar === 'number') return stored(Math.trunc(scalar), to);
    return stored(scalar.bounds[0] >= 0 ? algebra.floor(scalar) : scalar.denominator === 1 ? scalar : null, to);
  }
  return isFloat(to) ? stored(scalar, to) : null;
}

const clip: Rule = (call) => {
  const input = call.tensor(0);
  if (input === null) return [null];
  const limit = (index: number, name: string): Scalar | undefined => {
    if (call.opset < 11) return call.attribute(name)?.f ?? undefined;
    return call.has(index) ? (call.value(index)?.[0] ?? null) : undefined;
  };
  const [low, high] = [limit(1, 'min'), limit(2, 'max')];
  const value = input.value?.map((scalar) => {
    if (scalar === null || low === null || high === null) return null;
    const raised = low === undefined ? scalar : call.algebra.max(scalar, low);
    return high === undefined ? raised : call.algebra.min(raised, high);
  });
  return [tensorInfo(input.elemType, input.shape, value)];
};

const bitCast: Rule = (call) => [tensorInfo(call.int('to', 0), call.shape(0))];

const SAME_AS_INPUT =
  'Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Cos Cosh CumProd CumSum Elu Erf Exp Floor Gelu ' +
  'GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax ' +
  'LpNormalization MeanVarianceNormalization Mish Neg Not Reciprocal Relu ReverseSequence RMSNormalization ' +
  'RotaryEmbedding Round Scatter ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus ' +
  'Softsign Sqrt SwiGLU Swish Tan Tanh TensorScatter ThresholdedRelu Trilu Crop ImageScaler ParametricSoftplus ScaledTanh ' +
  'Affine Scale';
const BROADCASTING = 'Add And BitwiseAnd BitwiseOr BitwiseXor BitShift Div Max Mean Min Mod Mul Or Sub Sum Xor';
const COMPARING = 'Equal Greater GreaterOrEqual Less LessOrEqual';

/** Rules of elementwise operators. */
export const ELEMENTWISE: { readonly [opType: string]: Rule } = {
  ...Object.fromEntries(SAME_AS_INPUT.split(' ').map((opType) => [opType, sameAsInput])),
  ...Object.fromEntries(BROADCASTING.split(' ').map((opType) => [opType, broadcasting])),
  ...Object.fromEntries(COMPARING.split(' ').map((opType) => [opType, comparing])),
  Pow: broadcastingBase,
  PRelu: prelu,
  Where: where,
  Cast: cast,
  CastLike: cast,
  Clip: clip,
  BitCast: bitCast,
  IsNaN: sameShape(DataType.bool),
  IsInf: sameShape(DataType.bool),
  RegexFullMatch: sameShape(DataType.bool),
  StringConcat: broadcasting,
};
