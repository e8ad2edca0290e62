import { CONTRIBUTED_RULES } from './batch-contributed.js';
import { MOVEMENT_RULES } from './batch-movement.js';
import { axesOf, product, required, softmax, type BatchRule } from './batch-rule.js';
import type { Entries, Visit } from './batch-visit.js';

/** What operators do with the axis that counts entries; those without a rule are refused. */

/** Values are made one by one, of values in the same places. */
const elementwise: BatchRule = (visit: Visit) => {
  const rank = visit.out().length;
  let found: Entries = null;
  for (const input of visit.given()) {
    const own = visit.entries(input);
    if (own === null) continue;
    const axis = own.axis + rank - visit.rank(input);
    if (found !== null && (found.axis !== axis || found.factor !== own.factor))
      visit.refuse('its inputs count entries on different axes');
    found = { axis, factor: own.factor };
  }
  if (found === null) return null;
  for (const input of visit.given()) if (visit.entries(input) === null) assertNeutral(visit, input, found.axis, rank);
  if (visit.out()[found.axis] !== found.factor * visit.batch) visit.refuse('it spreads one entry over others');
  return found;
};

/** What is the same for all entries must not have one value for each of those that there were. */
function assertNeutral(visit: Visit, input: number, axis: number, rank: number): void {
  const dims = visit.dims(input);
  if (dims === null) visit.refuse(`the rank of '${visit.node.inputs[input]}' is not known`);
  const size = dims[axis - (rank - dims.length)];
  if (size !== undefined && size !== 1)
    visit.refuse(
      `the constant '${visit.node.inputs[input]}' has ${size ?? 'an unknown size'} where entries are counted`,
    );
}

/** The entries lie on axis 0 of the first input, and the others are the same for all. */
const firstAxis =
  (...alsoEntries: readonly number[]): BatchRule =>
  (visit: Visit) => {
    const own = visit.entries(0);
    for (const input of visit.given()) {
      const other = visit.entries(input);
      if (input === 0 || other === null) continue;
      if (!alsoEntries.includes(input) || other.axis !== 0 || other.factor !== own?.factor) visit.fixed(input);
    }
    if (own === null) visit.refuse('only a further input is another for each entry');
    if (own.axis !== 0) visit.refuse(`entries lie on axis ${own.axis} of its input, not on axis 0`);
    for (const input of alsoEntries)
      if (visit.has(input) && visit.entries(input) === null)
        visit.refuse(`its input '${visit.node.inputs[input]}' is one for all entries`);
    return own;
  };

const pool: BatchRule = (visit: Visit) => {
  if ((visit.node.outputs[1] ?? '') !== '') visit.refuse('its indices count through all entries');
  return firstAxis()(visit);
};

const batchNorm: BatchRule = (visit: Visit) => {
  if (visit.int('training_mode', 0) !== 0 || visit.node.outputs.length > 1)
    visit.mixes('it takes means over all entries');
  return firstAxis()(visit);
};

/** Works along one axis, which must not be that of the entries. */
const along =
  (standard: number): BatchRule =>
  (visit: Visit) => {
    visit.fixed(...visit.given().filter((input) => input > 0));
    const own = required(visit, 0);
    const axis = visit.axis(visit.int('axis', standard), visit.rank(0));
    if (axis === own.axis) visit.mixes('it works along the axis that counts entries');
    return own;
  };

/** All axes from one on. */
const layerNorm: BatchRule = (visit: Visit) => {
  visit.fixed(...visit.given().filter((input) => input > 0));
  const own = required(visit, 0);
  if (own.axis >= visit.axis(visit.int('axis', -1), visit.rank(0)))
    visit.mixes('it takes means along the axis that counts entries');
  return own;
};

/** Products of matrices, of two of the inputs; what else there is is the same for all. */
const matMul =
  (left = 0, right = 1): BatchRule =>
  (visit: Visit) => {
    visit.fixed(...visit.given().filter((input) => input !== left && input !== right));
    const ranks = [visit.rank(left), visit.rank(right)] as const;
    const rank = Math.max(2, ...ranks);
    const [a, b] = [visit.entries(left), visit.entries(right)];
    const isTurned = ['transA', 'transB', 'transBatchA', 'transBatchB'].some((name) => visit.int(name, 0) !== 0);
    if (
      isTurned &&
      ((a !== null && a.axis >= ranks[0] - 2) ||
        (b !== null && b.axis >= ranks[1] - 2) ||
        visit.int('transBatchA', 0) + visit.int('transBatchB', 0) !== 0)
    )
      visit.refuse('it turns the axis that counts entries');
    if (ranks[0] < 2 || ranks[1] < 2) visit.refuse('it multiplies with a vector');
    if (a !== null && a.axis === ranks[0] - 1) visit.mixes('it sums over entries');
    if (b !== null && b.axis === ranks[1] - 2) visit.mixes('it sums over entries');
    const places = [a, b].map((own, input) => (own === null ? null : { ...own, axis: own.axis + rank - ranks[input] }));
    const [first, second] = places;
    if (first !== null && second !== null) {
      if (first.axis !== second.axis || first.factor !== second.factor || first.axis >= rank - 2)
        visit.refuse('its inputs count entries on different axes');
      return first;
    }
    const own = first ?? second;
    if (own === null) return null;
    const other = first === null ? left : right;
    if (own.axis < rank - 2) assertNeutral(visit, other, own.axis, rank);
    // Rows of a product with matrices of its own stay rows.
    return own;
  };

const gemm: BatchRule = (visit: Visit) => {
  const [a, b, c] = [visit.entries(0), visit.entries(1), visit.entries(2)];
  if (a === null || b !== null) visit.refuse('its second factor is another for each entry');
  if (a.axis !== (visit.int('transA', 0) === 0 ? 0 : 1)) visit.mixes('it sums over entries');
  if (c === null) {
    if (visit.has(2)) assertNeutral(visit, 2, 0, 2);
  } else if (c.axis !== 0 || c.factor !== a.factor || visit.rank(2) !== 2)
    visit.refuse('its inputs count entries on different axes');
  return { axis: 0, factor: a.factor };
};

const einsum: BatchRule = (visit: Visit) => {
  const equation = (visit.attribute('equation')?.s ?? '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  if (right === undefined || equation.includes('.')) visit.refuse(`no rule says what it does with '${equation}'`);
  const terms = left.split(',');
  const labels = new Set(terms.flatMap((term, input) => term[visit.entries(input)?.axis ?? -1] ?? []));
  const [label] = labels;
  if (labels.size !== 1) visit.refuse('its inputs count entries on different axes');
  const axis = right.indexOf(label);
  if (axis < 0) visit.mixes('it sums over entries');
  const factors = new Set<number>();
  terms.forEach((term, input) => {
    const own = visit.entries(input);
    if (own !== null) factors.add(own.factor);
    else if (term.includes(label))
      visit.refuse(`'${visit.node.inputs[input]}' has one value for each of the entries that there were`);
  });
  const [factor] = factors;
  if (factors.size !== 1) visit.refuse('its inputs count entries on different axes');
  return { axis, factor };
};

const reduce: BatchRule = (visit: Visit) => {
  visit.fixed(1);
  const own = required(visit, 0);
  const rank = visit.rank(0);
  const axes = axesOf(visit, 1, rank);
  const all = axes === null || axes.length === 0 ? (visit.int('noop_with_empty_axes', 0) === 1 ? [] : null) : axes;
  if (all === null || all.includes(own.axis)) visit.mixes('it works along the axis that counts entries');
  return visit.int('keepdims', 1) === 1
    ? own
    : { ...own, axis: own.axis - all.filter((axis) => axis < own.axis).length };
};

const argMax: BatchRule = (visit: Visit) => {
  const own = required(visit, 0);
  const axis = visit.axis(visit.int('axis', 0), visit.rank(0));
  if (axis === own.axis) visit.mixes('it works along the axis that counts entries');
  return visit.int('keepdims', 1) === 1 || axis > own.axis ? own : { ...own, axis: own.axis - 1 };
};

const cumSum: BatchRule = (visit: Visit) => {
  visit.fixed(1);
  const own = required(visit, 0);
  if (visit.axis(visit.numbers(1)[0], visit.rank(0)) === own.axis) visit.mixes('it sums over entries');
  return own;
};

const expand: BatchRule = (visit: Visit) => {
  visit.fixed(1);
  const own = required(visit, 0);
  const out = visit.out();
  const axis = own.axis + out.length - visit.rank(0);
  if (out[axis] !== own.factor * visit.batch) visit.refuse('it spreads one entry over others');
  const target = visit.value(1);
  const asked = target === null ? null : target[axis - (out.length - target.length)];
  if (asked !== 1 && asked !== undefined) {
    if (target === null) visit.refuse(`'${visit.node.inputs[1]}' is not a constant`);
    visit.changes.push({ kind: 'element', input: 1, at: axis - (out.length - target.length), number: 1 });
  }
  return { ...own, axis };
};

const tile: BatchRule = (visit: Visit) => {
  visit.fixed(1);
  const own = required(visit, 0);
  if (visit.numbers(1)[own.axis] !== 1) visit.refuse('it repeats entries');
  return own;
};

const resize: BatchRule = (visit: Visit) => {
  visit.fixed(...visit.given().filter((input) => input > 0));
  const own = required(visit, 0);
  const axes = visit.ints('axes')?.map((axis) => visit.axis(axis, visit.rank(0)));
  const at = axes === undefined ? own.axis : axes.indexOf(own.axis);
  if (at >= 0 && visit.has(3)) visit.changes.push({ kind: 'size', input: 3, at, of: 0, axis: own.axis });
  const scales = visit.opset < 11 ? 1 : 2;
  if (at >= 0 && visit.has(scales) && !visit.has(3)) {
    const scale = visit.value(scales)?.[at];
    if (scale !== undefined && scale !== 1) visit.refuse('it scales the axis that counts entries');
  }
  if (visit.out()[own.axis] !== own.factor * visit.batch) visit.refuse('it scales the axis that counts entries');
  return own;
};

const recurrent: BatchRule = (visit: Visit) => {
  const own = required(visit, 0);
  if (visit.int('layout', 0) !== 0 || own.axis !== 1 || own.factor !== 1)
    visit.refuse('entries do not lie on the axis that it takes for them');
  visit.fixed(1, 2, 3, 7);
  if (visit.has(4) && visit.entries(4) === null) visit.refuse('lengths are given for the entries that there were');
  for (const input of [5, 6]) {
    if (!visit.has(input)) continue;
    const state = visit.entries(input);
    if (state !== null && state.axis !== 1) visit.refuse('its inputs count entries on different axes');
    if (state !== null) continue;
    const from = visit.oneEntry(input, 1) ?? visit.refuse('a state is given for the entries that there were');
    visit.changes.push({ kind: 'expand', input, axis: 1, from });
  }
  return [
    { axis: 2, factor: 1 },
    { axis: 1, factor: 1 },
    { axis: 1, factor: 1 },
  ];
};

const oneHot: BatchRule = (visit: Visit) => {
  visit.fixed(1, 2);
  const own = required(visit, 0);
  const axis = visit.axis(visit.int('axis', -1), visit.out().length);
  return axis <= own.axis ? { ...own, axis: own.axis + 1 } : own;
};

const quantize: BatchRule = (visit: Visit) => {
  visit.fixed(1, 2);
  const own = required(visit, 0);
  const scales = product(visit.dims(1) ?? [null]);
  if (scales !== 1 && visit.axis(visit.int('axis', 1), visit.rank(0)) === own.axis)
    visit.refuse('it has one scale for each of the entries that there were');
  return own;
};

const ranges: BatchRule = (visit: Visit) => visit.mixes('it finds the range of its values over all entries');

const shape: BatchRule = () => null;

function named(rule: BatchRule, names: string): readonly (readonly [string, BatchRule])[] {
  return names.split(/\s+/).map((name) => [name, rule] as const);
}

/** Rules of operators, by `domain:type`; the default domain is empty. */
export const BATCH_RULES: ReadonlyMap<string, BatchRule> = new Map(
  [
    ...Object.entries(MOVEMENT_RULES),
    ...Object.entries(CONTRIBUTED_RULES),
    ...named(
      elementwise,
      `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike
      Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish
      Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu
      Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor`,
    ),
    ...named(
      firstAxis(),
      `Conv ConvTranspose ConvInteger QLinearConv AveragePool GlobalAveragePool GlobalMaxPool GlobalLpPool LpPool
      InstanceNormalization GroupNormalization LRN DepthToSpace SpaceToDepth Col2Im DeformConv`,
    ),
    ...named(pool, 'MaxPool'),
    ...named(batchNorm, 'BatchNormalization'),
    ...named(firstAxis(1), 'GridSample'),
    ...named((visit) => softmax(visit, visit.opset, 1), 'Softmax LogSoftmax Hardmax'),
    ...named(along(-1), 'LpNormalization TopK'),
    ...named(layerNorm, 'LayerNormalization RMSNormalization SimplifiedLayerNormalization'),
    ...named(matMul(), 'MatMul MatMulInteger com.microsoft:FusedMatMul'),
    ...named(matMul(0, 3), 'QLinearMatMul'),
    ...named(gemm, 'Gemm com.microsoft:FusedGemm'),
    ...named(einsum, 'Einsum'),
    ...named(
      reduce,
      `ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
      ReduceSumSquare`,
    ),
    ...named(argMax, 'ArgMax ArgMin'),
    ...named(cumSum, 'CumSum'),
    ...named(expand, 'Expand'),
    ...named(tile, 'Tile'),
    ...named(resize, 'Resize Upsample'),
    ...named(recurrent, 'LSTM GRU RNN'),
    ...named(oneHot, 'OneHot'),
    ...named(quantize, 'QuantizeLinear DequantizeLinear'),
    ...named(ranges, 'DynamicQuantizeLinear com.microsoft:DynamicQuantizeMatMul com.microsoft:DynamicQuantizeLSTM'),
    ...named(shape, 'Shape Size'),
    ...named(
      elementwise,
      `com.microsoft:Gelu com.microsoft:BiasGelu com.microsoft:FastGelu com.microsoft:QuickGelu com.microsoft:QLinearAdd
      com.microsoft:QLinearMul com.microsoft:QLinearSigmoid com.microsoft:QLinearLeakyRelu`,
    ),
    ...named(firstAxis(), 'com.microsoft:QLinearAveragePool com.microsoft:QLinearGlobalAveragePool'),
    ...named(firstAxis(3), 'com.microsoft:FusedConv'),
  ].map(([name, rule]) => [name.includes(':') ? name : `:${name}`, rule] as const),
);
