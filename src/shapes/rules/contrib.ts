import { DataType } from '../../onnx/schema.js';
import { RuleFault, type Rule } from '../call.js';
import type { Size } from '../formula.js';
import { isTensor, tensorInfo, type Info, type Shape } from '../info.js';
import { broadcast } from '../sizes.js';
import { broadcastingBase, sameAsInput } from './elementwise.js';
import { gemmShape, matmulShape } from './matmul.js';
import { reducedFrom } from './normal.js';
import { recurrentOutputs } from './recurrent.js';
import { convolution, globalPool, pool } from './windows.js';

/** Operators of `com.microsoft`. @see https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md */

/** The sum behind the statistics is what a next block adds to. */
const skipNormalization: Rule = (call) => {
  const shape = call.shape(0);
  const statistic = tensorInfo(DataType.float, reducedFrom(call, shape, -1));
  const whole = tensorInfo(call.elem(0), shape);
  return [whole, statistic, statistic, whole];
};

/** Ids [B, S] and words [V, H]: [B, S, H], a mask index [B], and the sum of the embeddings. */
const embedLayerNormalization: Rule = (call) => {
  const ids = call.shape(0) ?? call.unknowns(2);
  const whole = tensorInfo(call.elem(2), [...ids, call.shape(2)?.[1] ?? call.unknown()]);
  return [whole, tensorInfo(DataType.int32, [ids[0]]), whole];
};

/** [B, S, D] and weights [D, 3 * H]: [B, S, H] and keys and values so far. */
const attention: Rule = (call) => {
  const { algebra } = call;
  const [input, weights] = [call.shape(0), call.shape(1)];
  const sizes = call.ints('qkv_hidden_sizes');
  const hidden = sizes?.[2] ?? (weights === null ? null : algebra.quotient(weights[1], 3)) ?? call.unknown();
  const elem = call.elem(0);
  if (input === null) return [tensorInfo(elem, [...call.unknowns(2), hidden]), tensorInfo(elem, call.unknowns(5))];
  const heads = call.int('num_heads', 0);
  const past = call.has(4) ? (call.shape(4)?.[3] ?? call.unknown()) : 0;
  const size = heads === 0 ? call.unknown() : (algebra.quotient(hidden, heads) ?? call.unknown());
  const isShared = call.int('past_present_share_buffer', 0) !== 0;
  const total = isShared ? past : algebra.add(past, input[1]);
  return [
    tensorInfo(elem, [input[0], input[1], hidden]),
    tensorInfo(elem, [2, input[0], heads === 0 ? call.unknown() : heads, total, size]),
  ];
};

/**
 * The query may hold keys and values too, the key values: [B, S, heads, 3 or 2, size]; keys and values of another
 * sequence have four axes.
 */
const multiHeadAttention: Rule = (call) => {
  const { algebra } = call;
  const [query, key, value] = [call.shape(0), call.shape(1), call.shape(2)];
  const elem = call.elem(0);
  const heads = call.int('num_heads', 0);
  if (query === null) return [tensorInfo(elem, call.unknowns(3))];
  const isPacked = query.length === 5;
  const keySize = isPacked ? query[4] : (algebra.quotient(query[2], heads) ?? call.unknown());
  let own: Size = query[1];
  let hidden: Size = algebra.multiply(keySize, heads);
  if (!isPacked && key !== null) own = key.length === 4 ? key[2] : key[1];
  else if (!isPacked) own = call.unknown();
  if (value !== null) hidden = value.length === 4 ? algebra.multiply(value[3], heads) : value[2];
  const valueSize = algebra.quotient(hidden, heads) ?? call.unknown();
  const past = call.has(6) ? (call.shape(6)?.[2] ?? call.unknown()) : 0;
  const isShared = call.has(8);
  const total = isShared ? call.unknown() : algebra.add(past, own);
  return [
    tensorInfo(elem, [query[0], query[1], hidden]),
    tensorInfo(elem, [query[0], heads, total, keySize]),
    tensorInfo(elem, [query[0], heads, total, valueSize]),
  ];
};

/** Keys and values may be packed behind the query: [B, S, (heads + 2 * kv) * size]. */
const groupQueryAttention: Rule = (call) => {
  const { algebra } = call;
  const query = call.shape(0);
  const elem = call.elem(0);
  const [heads, shared] = [call.int('num_heads', 0), call.int('kv_num_heads', 0)];
  if (query === null) return [tensorInfo(elem, call.unknowns(3))];
  const isPacked = !call.has(1);
  const size = algebra.quotient(query[2], isPacked ? heads + 2 * shared : heads) ?? call.unknown();
  // The buffer of the past may be longer than what is in it.
  const total = call.value(6)?.[0] ?? null;
  const past = call.has(3) ? (call.shape(3)?.[2] ?? null) : 0;
  const length = total === null || past === null ? call.unknown() : algebra.max(total, past);
  const present = [query[0], shared, length, size];
  return [
    tensorInfo(elem, [query[0], query[1], algebra.multiply(size, heads)]),
    tensorInfo(call.has(3) ? call.elem(3) : elem, present),
    tensorInfo(call.has(4) ? call.elem(4) : elem, present),
  ];
};

/** Weights in blocks of few bits: [..., K] to [..., N]. */
const matMulNBits: Rule = (call) => {
  const shape = call.shape(0);
  const columns = call.int('N');
  return [tensorInfo(call.elem(0), shape === null ? null : [...shape.slice(0, -1), columns ?? call.unknown()])];
};

/** transA, transB and the batch variants of MatMul. */
const fusedMatMul: Rule = (call) => {
  const swapped = (shape: Shape | null, name: string): Shape | null =>
    shape === null || shape.length < 2 || call.int(name, 0) === 0
      ? shape
      : [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]];
  if (call.int('transBatchA', 0) !== 0 || call.int('transBatchB', 0) !== 0) return [tensorInfo(call.elem(0), null)];
  return [
    tensorInfo(call.elem(0), matmulShape(call, swapped(call.shape(0), 'transA'), swapped(call.shape(1), 'transB'))),
  ];
};

const fusedGemm: Rule = (call) => [tensorInfo(call.elem(0), gemmShape(call, call.shape(0), call.shape(1)))];

const floatMatMul: Rule = (call) => [tensorInfo(DataType.float, matmulShape(call, call.shape(0), call.shape(1)))];

/** A float without a scale for the output. */
const qGemm: Rule = (call) => [
  tensorInfo(
    call.has(7) ? call.elem(8) || call.elem(0) : DataType.float,
    gemmShape(call, call.shape(0), call.shape(3)),
  ),
];

/** Operands with their scales and zero points in between. */
const qLinearBinary: Rule = (call) => [
  tensorInfo(call.elem(0), broadcast([call.shape(0), call.shape(3)], call.algebra)),
];

const qLinearConcat: Rule = (call) => {
  const parts = call.inputs.filter((_info, index) => index >= 2 && (index - 2) % 3 === 0);
  const shapes = parts.map((info) => (isTensor(info) ? info.shape : null));
  const [first] = shapes;
  const elem = isTensor(parts[0]) ? parts[0].elemType : 0;
  if (first == null) return [tensorInfo(elem, null)];
  const axis = call.axis(call.int('axis', 0), first.length);
  const along = call.algebra.sum(shapes.map((shape) => shape?.[axis] ?? call.unknown()));
  return [
    tensorInfo(
      elem,
      first.map((dim, at) => (at === axis ? along : dim)),
    ),
  ];
};

const qLinearGlobalAveragePool: Rule = (call) => {
  const shape = call.shape(0);
  const isLast = call.int('channels_last', 0) !== 0;
  const keeps = (axis: number, rank: number): boolean => axis === 0 || axis === (isLast ? rank - 1 : 1);
  return [tensorInfo(call.elem(0), shape?.map((dim, axis) => (keeps(axis, shape.length) ? dim : 1)) ?? null)];
};

/** A rule for [N, C, …] for tensors [N, …, C]. */
const channelsLast =
  (rule: Rule): Rule =>
  (call) => {
    const moved = (info: Info | null, from: 'first' | 'last'): Info | null => {
      if (!isTensor(info) || info.shape === null || info.shape.length < 3) return info;
      const [batch, ...rest] = info.shape;
      const dims =
        from === 'last' ? [batch, ...rest.slice(-1), ...rest.slice(0, -1)] : [batch, ...rest.slice(1), rest[0]];
      return tensorInfo(info.elemType, dims);
    };
    const inputs = call.inputs.map((info, index) => (index === 0 ? moved(info, 'last') : info));
    return rule(call.withInputs(inputs)).map((info) => moved(info, 'first'));
  };

const qLinearAveragePool: Rule = (call) => {
  const [pooled] = (call.int('channels_last', 0) === 0 ? pool : channelsLast(pool))(call);
  return [pooled];
};

const quantize: Rule = (call) => [tensorInfo(call.has(2) ? call.elem(2) : DataType.uint8, call.shape(0))];

const dequantize: Rule = (call) => [tensorInfo(call.elem(1), call.shape(0))];

const dynamicQuantizeLstm: Rule = (call) =>
  recurrentOutputs(call, call.int('hidden_size') ?? call.shape(2)?.[1] ?? call.unknown(), 2);

/** Rows of quantized data; bytes of 4 bits hold two values each along the last axis. */
const gatherBlockQuantized: Rule = (call) => {
  const [data, indices] = [call.shape(0), call.shape(1)];
  if (data === null || indices === null) return [tensorInfo(call.elem(2), null)];
  const axis = call.axis(call.int('gather_axis', 0), data.length);
  const isPacked = call.elem(0) === DataType.uint8 && call.int('bits', 4) === 4;
  const whole = data.map((dim, at) => (isPacked && at === data.length - 1 ? call.algebra.multiply(dim, 2) : dim));
  return [tensorInfo(call.elem(2), [...whole.slice(0, axis), ...indices, ...whole.slice(axis + 1)])];
};

/** Logical [N, C, H, W]: channels are padded in memory only. */
const nchwc =
  (rule: Rule): Rule =>
  (call) => {
    const [made] = rule(call);
    const channels = call.int('channels');
    if (channels === undefined || !isTensor(made) || made.shape === null) return [made];
    return [tensorInfo(made.elemType, [made.shape[0], channels, ...made.shape.slice(2)])];
  };

const nchwcUpsample: Rule = (call) => {
  const scales = call.ints('scales') ?? [];
  return [
    tensorInfo(call.elem(0), call.shape(0)?.map((dim, axis) => call.algebra.multiply(dim, scales[axis] ?? 1)) ?? null),
  ];
};

const reorderInput: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null || call.int('channels_last', 0) === 0) return [tensorInfo(call.elem(0), shape)];
  if (shape.length < 3) throw new RuleFault('too few axes');
  return [tensorInfo(call.elem(0), [shape[0], shape[shape.length - 1], ...shape.slice(1, -1)])];
};

const reorderOutput: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null) return [tensorInfo(call.elem(0), null)];
  const channels = call.int('channels') ?? shape[1];
  const spatial = shape.slice(2);
  const isLast = call.int('channels_last', 0) !== 0;
  return [tensorInfo(call.elem(0), isLast ? [shape[0], ...spatial, channels] : [shape[0], channels, ...spatial])];
};

/** Half of the last axis gates the other. */
const biasSplitGelu: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null) return [tensorInfo(call.elem(0), null)];
  const last = call.algebra.quotient(shape[shape.length - 1], 2) ?? call.unknown();
  return [tensorInfo(call.elem(0), [...shape.slice(0, -1), last])];
};

const qAttention: Rule = (call) => {
  const { algebra } = call;
  const [input, weights] = [call.shape(0), call.shape(1)];
  const hidden = weights === null ? call.unknown() : (algebra.quotient(weights[1], 3) ?? call.unknown());
  const elem = call.elem(3);
  const heads = call.int('num_heads', 0);
  const size = heads === 0 ? call.unknown() : (algebra.quotient(hidden, heads) ?? call.unknown());
  const past = call.has(8) ? (call.shape(8)?.[3] ?? call.unknown()) : 0;
  if (input === null) return [tensorInfo(elem, [...call.unknowns(2), hidden])];
  return [
    tensorInfo(elem, [input[0], input[1], hidden]),
    tensorInfo(elem, [2, input[0], heads, algebra.add(past, input[1]), size]),
  ];
};

const SAME =
  'BiasAdd BiasDropout BiasGelu BiasSoftmax DynamicTimeWarping FastGelu Gelu GroupNorm Inverse MoE NGramRepeatBlock ' +
  'QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QMoE QuickGelu RotaryEmbedding Trilu';

/** Rules of `com.microsoft`. */
export const CONTRIB: { readonly [opType: string]: Rule } = {
  ...Object.fromEntries(SAME.split(' ').map((opType) => [opType, sameAsInput])),
  BiasGelu: broadcastingBase,
  FusedConv: convolution((call) => call.elem(0), 1),
  NhwcConv: channelsLast(convolution((call) => call.elem(0), 1)),
  NhwcMaxPool: channelsLast((call) => pool(call).slice(0, 1)),
  SkipLayerNormalization: skipNormalization,
  SkipSimplifiedLayerNormalization: skipNormalization,
  EmbedLayerNormalization: embedLayerNormalization,
  Attention: attention,
  QAttention: qAttention,
  MultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: groupQueryAttention,
  MatMulNBits: matMulNBits,
  MatMulBnb4: matMulNBits,
  FusedMatMul: fusedMatMul,
  TransposeMatMul: fusedMatMul,
  FusedGemm: fusedGemm,
  DynamicQuantizeMatMul: floatMatMul,
  MatMulIntegerToFloat: floatMatMul,
  QGemm: qGemm,
  QLinearAdd: qLinearBinary,
  QLinearMul: qLinearBinary,
  QLinearConcat: qLinearConcat,
  QLinearGlobalAveragePool: qLinearGlobalAveragePool,
  QLinearAveragePool: qLinearAveragePool,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLSTM: dynamicQuantizeLstm,
  GatherBlockQuantized: gatherBlockQuantized,
  BiasSplitGelu: biasSplitGelu,
};

/** Operators of `com.microsoft.nchwc`, which ONNX Runtime writes into optimised models for one processor. */
export const NCHWC: { readonly [opType: string]: Rule } = {
  Conv: convolution((call) => call.elem(0), 1),
  MaxPool: nchwc((call) => pool(call).slice(0, 1)),
  AveragePool: nchwc((call) => pool(call).slice(0, 1)),
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  Upsample: nchwcUpsample,
  ReorderInput: reorderInput,
  ReorderOutput: reorderOutput,
};
