import { DATA_TYPES, tensor, type DataType } from '../model-spec.js';
import { EXOTIC } from './oracle.js';
import { INPUT_TYPES } from './values.js';
import { type Attributes, isTensor, type Draft, type Known } from './draft.js';

/** Steps of elements: of one tensor, of several, from dtype to dtype. ONNX Runtime says which are possible. */

/** Adds nodes to a draft. */
export type Step = (draft: Draft) => void;

const UNARY =
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax ' +
  'Identity LeakyRelu Log LogSoftmax LpNormalization Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin ' +
  'Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu IsNaN IsInf BitwiseNot Trilu EyeLike Size ' +
  'NonZero GlobalAveragePool GlobalMaxPool GlobalLpPool MeanVarianceNormalization Flatten Transpose Squeeze Det ' +
  'Clip Dropout Unique DynamicQuantizeLinear LRN Scatter Binarizer Shape Bernoulli RandomNormalLike RandomUniformLike';
const BINARY =
  'Add Sub Mul Div Pow Mod And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual Max Min Mean Sum PRelu ' +
  'BitwiseAnd BitwiseOr BitwiseXor MatMul StringConcat';

/** Attributes that an operator needs or changes its shapes by. */
const NEEDED: { readonly [op: string]: (draft: Draft) => Attributes } = {
  LRN: () => ({ size: { int: 3 } }),
  Bernoulli: ({ dice }) => ({
    seed: { float: 3 },
    ...(dice.chance(0.5) ? { dtype: { int: dice.pick([1, 7, 9, 11]) } } : {}),
  }),
  RandomNormalLike: ({ dice }) => ({
    seed: { float: 3 },
    ...(dice.chance(0.5) ? { dtype: { int: dice.pick([1, 11]) } } : {}),
  }),
  RandomUniformLike: () => ({ seed: { float: 3 } }),
  EyeLike: ({ dice }) => (dice.chance(0.5) ? { dtype: { int: dice.pick([1, 7, 9, 11]) } } : {}),
  Softmax: (draft) => axisSometimes(draft),
  LogSoftmax: (draft) => axisSometimes(draft),
  Hardmax: (draft) => axisSometimes(draft),
  Flatten: (draft) => axisSometimes(draft),
  LpNormalization: (draft) => axisSometimes(draft),
  Unique: (draft) => axisSometimes(draft),
  Shape: ({ dice, opset }) =>
    opset >= 15 && dice.chance(0.5) ? { start: { int: dice.int(-3, 3) }, end: { int: dice.int(-3, 3) } } : {},
  GlobalLpPool: () => ({ p: { int: 2 } }),
};

const OUTPUTS: { readonly [op: string]: number } = { Dropout: 2, Unique: 4, DynamicQuantizeLinear: 3 };

function axisSometimes({ dice }: Draft): Attributes {
  return dice.chance(0.6) ? { axis: { int: dice.int(-3, 3) } } : {};
}

const unary =
  (op: string): Step =>
  (draft) => {
    const most = OUTPUTS[op] ?? 1;
    draft.add(op, [draft.pick().name], draft.dice.int(1, most), NEEDED[op]?.(draft) ?? {});
  };

/** Whether numpy would stretch two shapes to each other. */
function stretches(a: readonly number[], b: readonly number[]): boolean {
  const [long, short] = a.length < b.length ? [b, a] : [a, b];
  return short.every((dim, at) => {
    const other = long[at + long.length - short.length];
    return dim === other || dim === 1 || other === 1;
  });
}

/** A tensor that goes with another; a weight if there is none. */
export function partnerOf(draft: Draft, { name, dtype, dims }: Known): string {
  const { dice } = draft;
  const partners = draft.values.filter(
    (known) => known.name !== name && known.dtype === dtype && isTensor(known) && stretches(known.dims, dims),
  );
  if (partners.length > 0 && dice.chance(0.6)) return dice.pick(partners).name;
  const short = dims.slice(dice.int(0, dims.length)).map((dim) => (dice.chance(0.3) ? 1 : dim));
  return draft.shaped(short, dtype ?? 'float32');
}

const binary =
  (op: string): Step =>
  (draft) => {
    const first = draft.pick();
    const operands = [first.name, partnerOf(draft, first)];
    if (draft.dice.chance(0.3)) operands.reverse();
    const more = 'Max Min Mean Sum'.includes(op) && draft.dice.chance(0.3) ? [partnerOf(draft, first)] : [];
    draft.add(op, [...operands, ...more], 1, op === 'Mod' && draft.dice.chance(0.5) ? { fmod: { int: 1 } } : {});
  };

const cast: Step = (draft) => {
  const { dice, opset } = draft;
  const from = draft.pick();
  const to: DataType = dice.chance(0.25) && opset >= 13 ? dice.pick(EXOTIC) : dice.pick(INPUT_TYPES);
  const [made] = draft.add('Cast', [from.name], 1, { to: { int: DATA_TYPES[to] } });
  if (EXOTIC.includes(to) && dice.chance(0.7)) {
    const moved = dice.chance(0.5) ? draft.add(dice.pick(['Identity', 'Transpose', 'Flatten']), [made])[0] : made;
    draft.add('Cast', [moved], 1, { to: { int: DATA_TYPES.float32 } });
  }
};

const castLike: Step = (draft) => void draft.add('CastLike', [draft.pick().name, draft.pick().name]);

const where: Step = (draft) => {
  const condition = draft.pick(({ dtype }) => dtype === 'bool');
  const yes = draft.pick((known) => isTensor(known) && stretches(known.dims, condition.dims));
  draft.add('Where', [condition.name, yes.name, partnerOf(draft, yes)]);
};

const clip: Step = (draft) => {
  const { name, dtype } = draft.pick();
  if (draft.opset < 11) return void draft.add('Clip', [name], 1, { min: { float: -0.5 }, max: { float: 1 } });
  const limit = (number: number): string =>
    draft.dice.chance(0.5) ? '' : draft.constant(tensor('', [], [number], dtype ?? 'float32'));
  draft.add('Clip', [name, limit(0), limit(1)]);
};

const dropout: Step = (draft) => {
  const { name } = draft.pick();
  const { dice, opset } = draft;
  if (opset < 12) return void draft.add('Dropout', [name], dice.int(1, 2), { ratio: { float: 0.25 } });
  const ratio = draft.constant(tensor('', [], [0.25]));
  const trains = dice.chance(0.3) ? [draft.constant(tensor('', [], [1], 'bool'))] : [];
  draft.add('Dropout', [name, ratio, ...trains], dice.int(1, 2), { seed: { int: 5 } });
};

const quantized: Step = (draft) => {
  const { dice, opset } = draft;
  const { name, dims } = draft.pick(({ dtype }) => dtype === 'float32');
  const types: readonly DataType[] =
    opset >= 21
      ? ['uint8', 'int8', 'int16', 'uint16', 'int4', 'uint4']
      : opset >= 19
        ? ['uint8', 'int8', 'float8e4m3fn', 'float8e5m2']
        : ['uint8', 'int8'];
  const type = dice.pick(types);
  const scale = draft.constant(tensor('', [], [0.25]));
  const isShort = opset >= 21 && dice.chance(0.3);
  const zero = isShort ? '' : zeroOf(draft, type);
  const [codes] = draft.add(
    'QuantizeLinear',
    [name, scale, ...(zero === '' ? [] : [zero])],
    1,
    isShort ? { output_dtype: { int: DATA_TYPES[type] } } : {},
  );
  if (dims.length > 0 && dice.chance(0.3)) draft.add('Flatten', [codes]);
  if (dice.chance(0.8)) draft.add('DequantizeLinear', [codes, scale, ...(zero === '' ? [] : [zero])]);
};

function zeroOf(draft: Draft, type: DataType): string {
  if (!EXOTIC.includes(type)) return draft.constant(tensor('', [], [0], type));
  const float = draft.constant(tensor('', [], [0]));
  return draft.add('Cast', [float], 1, { to: { int: DATA_TYPES[type] } })[0];
}

const bitShift: Step = (draft) => {
  const first = draft.pick(({ dtype }) => dtype?.startsWith('uint') === true);
  draft.add('BitShift', [first.name, partnerOf(draft, first)], 1, {
    direction: { string: draft.dice.pick(['LEFT', 'RIGHT']) },
  });
};

/** Steps of elements, by operator. */
export const ELEMENTS: { readonly [op: string]: Step } = {
  ...Object.fromEntries(UNARY.split(' ').map((op) => [op, unary(op)])),
  ...Object.fromEntries(BINARY.split(' ').map((op) => [op, binary(op)])),
  Cast: cast,
  CastLike: castLike,
  Where: where,
  Clip: clip,
  Dropout: dropout,
  QuantizeLinear: quantized,
  BitShift: bitShift,
};
