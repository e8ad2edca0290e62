import { tensor, type AttributeSpec, type DataType } from '../model-spec.js';
import { type Attributes, isTensor, type Draft } from './draft.js';
import { partnerOf, type Step } from './elements.js';

/** Operators of `com.microsoft` that ONNX Runtime has kernels for on the CPU. */

const MICROSOFT = { domain: 'com.microsoft' };
const int = (number: number): AttributeSpec => ({ int: number });

function add(draft: Draft, op: string, inputs: readonly string[], outputs = 1, attributes: Attributes = {}): string[] {
  return draft.add(op, inputs, outputs, attributes, MICROSOFT);
}

const UNARY = 'Gelu QuickGelu FastGelu';
const unary =
  (op: string): Step =>
  (draft) =>
    void add(draft, op, [draft.pick(({ dtype }) => dtype === 'float32').name]);

/** Rows [B, S, H] of numbers. */
function rows(draft: Draft, size = 8): { name: string; dims: readonly number[] } {
  const there = draft.values.filter(
    (known) => known.dtype === 'float32' && isTensor(known) && known.dims.length === 3 && known.dims[2] === size,
  );
  if (there.length > 0 && draft.dice.chance(0.7)) return draft.dice.pick(there);
  const dims = [draft.dice.int(1, 2), draft.dice.int(1, 4), size];
  return { name: draft.shaped(dims), dims };
}

const biasGelu: Step = (draft) => {
  const { name, dims } = rows(draft);
  add(draft, 'BiasGelu', [name, draft.shaped(dims.slice(-1))]);
};

const skip: Step = (draft) => {
  const { dice } = draft;
  const { name, dims } = rows(draft);
  const op = dice.pick(['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization']);
  const operands = [name, draft.shaped(dims), draft.shaped([8])];
  if (dice.chance(0.5)) return void add(draft, op, operands);
  // The sum is output 3; those between are for training only.
  const [whole, sum] = [draft.model.names.fresh(), draft.model.names.fresh()];
  draft.add(op, operands, 1, {}, { ...MICROSOFT, outputs: [whole, '', '', sum] });
};

const simplified: Step = (draft) => {
  const { name } = rows(draft);
  draft.add('SimplifiedLayerNormalization', [name, draft.shaped([8])], 1, { axis: int(-1), stash_type: int(1) });
};

const embed: Step = (draft) => {
  const [batch, length] = draft.dice.dims(2, 4);
  const ids = (): string => draft.constant(tensor('', [batch, length], draft.dice.ints(batch * length, 0, 1), 'int32'));
  const tables = [5, 6, 2].map((count) => draft.shaped([count, 8]));
  add(
    draft,
    'EmbedLayerNormalization',
    [ids(), ids(), ...tables, draft.shaped([8]), draft.shaped([8])],
    draft.dice.pick([1, 2, 3]),
  );
};

const attention: Step = (draft) => {
  const { dice } = draft;
  const { name } = rows(draft);
  const sizes = dice.chance(0.3);
  const width = sizes ? 8 + 8 + 4 : 24;
  add(draft, 'Attention', [name, draft.shaped([8, width]), draft.shaped([width])], dice.int(1, 2), {
    num_heads: int(2),
    ...(sizes ? { qkv_hidden_sizes: { ints: [8, 8, 4] } } : {}),
  });
};

const multiHead: Step = (draft) => {
  const { dice } = draft;
  const { name, dims } = rows(draft);
  const keys = dice.int(1, 4);
  const others = [8, dice.pick([8, 4])].map((size) => draft.shaped([dims[0], keys, size]));
  add(draft, 'MultiHeadAttention', [name, ...others], dice.pick([1, 3]), { num_heads: int(2) });
};

const grouped: Step = (draft) => {
  const { dice } = draft;
  const batch = 1;
  const length = dice.int(1, 4);
  const isPacked = dice.chance(0.5);
  const size = 8;
  const [heads, shared] = [2, 1];
  const q = draft.shaped([batch, length, size * (isPacked ? heads + 2 * shared : heads)]);
  const kv = isPacked
    ? ['', '']
    : [draft.shaped([batch, length, size * shared]), draft.shaped([batch, length, size * shared])];
  const past = dice.chance(0.5)
    ? [draft.shaped([batch, shared, 2, size]), draft.shaped([batch, shared, 2, size])]
    : ['', ''];
  const before = past[0] === '' ? 0 : 2;
  const lengths = [
    draft.constant(tensor('', [batch], [before + length - 1], 'int32')),
    draft.constant(tensor('', [], [before + length], 'int32')),
  ];
  add(draft, 'GroupQueryAttention', [q, ...kv, ...past, ...lengths], 3, {
    num_heads: int(heads),
    kv_num_heads: int(shared),
  });
};

const fusedMatMul: Step = (draft) => {
  const { dice } = draft;
  const [a, b] = [dice.int(0, 1), dice.int(0, 1)];
  const { name, dims } = draft.pick(({ dtype, dims: all }) => dtype === 'float32' && all.length > 1 && all.length < 4);
  const shared = dims[dims.length - (a === 1 ? 2 : 1)];
  const other = draft.shaped(b === 1 ? [3, shared] : [shared, 3]);
  add(draft, 'FusedMatMul', [name, other], 1, { transA: int(a), transB: int(b), alpha: { float: 0.5 } });
};

const fusedConv: Step = (draft) => {
  const { dice } = draft;
  const channels = dice.int(1, 3);
  const pads = { pads: { ints: dice.ints(4, 0, 1) } };
  add(draft, 'FusedConv', [draft.shaped([1, channels, 5, 6]), draft.shaped([2, channels, 2, 3])], 1, {
    ...pads,
    activation: { string: 'Relu' },
  });
};

const fusedGemm: Step = (draft) => {
  const { name, dims } = draft.pick(({ dtype, dims: all }) => dtype === 'float32' && all.length === 2);
  add(draft, 'FusedGemm', [name, draft.shaped([dims[1], 3]), draft.shaped([3])], 1, { activation: { string: 'Relu' } });
};

const bits: Step = (draft) => {
  const { dice } = draft;
  const columns = dice.int(1, 5);
  const codes = draft.constant(tensor('', [columns, 2, 8], dice.ints(columns * 16, 0, 255), 'uint8'));
  const { name } = rows(draft, 32);
  const attributes = { K: int(32), N: int(columns), bits: int(4), block_size: int(16) };
  add(draft, 'MatMulNBits', [name, codes, draft.weight([columns * 2], 'float32')], 1, attributes);
};

const scaled = (draft: Draft, type: DataType): string[] => [
  draft.constant(tensor('', [], [0.25])),
  draft.constant(tensor('', [], [1], type)),
];

const linearBinary: Step = (draft) => {
  const first = draft.pick(({ dtype }) => dtype === 'uint8' || dtype === 'int8');
  const type = first.dtype ?? 'uint8';
  const op = draft.dice.pick(['QLinearAdd', 'QLinearMul']);
  add(draft, op, [
    first.name,
    ...scaled(draft, type),
    partnerOf(draft, first),
    ...scaled(draft, type),
    ...scaled(draft, type),
  ]);
};

const linearUnary: Step = (draft) => {
  const { dice } = draft;
  const { name, dtype } = draft.pick((known) => known.dtype === 'uint8' || known.dtype === 'int8');
  const op = dice.pick(['QLinearSigmoid', 'QLinearLeakyRelu', 'QLinearSoftmax']);
  const type = dtype ?? 'uint8';
  const more: Attributes = op === 'QLinearSoftmax' ? { opset: int(13), axis: int(-1) } : {};
  add(draft, op, [name, ...scaled(draft, type), ...scaled(draft, type)], 1, more);
};

const linearConcat: Step = (draft) => {
  const { name, dims, dtype } = draft.pick(
    (known) => (known.dtype === 'uint8' || known.dtype === 'int8') && known.dims.length > 0,
  );
  const type = dtype ?? 'uint8';
  const parts = Array.from({ length: draft.dice.int(1, 3) }, () => [name, ...scaled(draft, type)]).flat();
  add(draft, 'QLinearConcat', [...scaled(draft, type), ...parts], 1, { axis: int(draft.dice.int(0, dims.length - 1)) });
};

const linearPool: Step = (draft) => {
  const { dice } = draft;
  const isLast = dice.chance(0.5);
  const name = draft.shaped(isLast ? [1, 5, 6, 3] : [1, 3, 5, 6], 'uint8');
  const last = { channels_last: int(isLast ? 1 : 0) };
  const operands = [name, ...scaled(draft, 'uint8'), ...scaled(draft, 'uint8')];
  if (dice.chance(0.5)) return void add(draft, 'QLinearGlobalAveragePool', operands, 1, last);
  add(draft, 'QLinearAveragePool', operands, 1, { ...last, kernel_shape: { ints: [2, 3] }, strides: { ints: [2, 1] } });
};

const qGemm: Step = (draft) => {
  const { dice } = draft;
  const name = draft.shaped([dice.int(1, 3), 4], 'uint8');
  const output = dice.chance(0.5) ? ['', ...scaled(draft, 'uint8')] : [];
  add(draft, 'QGemm', [
    name,
    ...scaled(draft, 'uint8'),
    draft.shaped([4, 3], 'uint8'),
    ...scaled(draft, 'uint8'),
    ...output,
  ]);
};

const toFloat: Step = (draft) => {
  const { dice } = draft;
  const scale = (): string => draft.constant(tensor('', [], [0.5]));
  if (dice.chance(0.5)) {
    const { name, dims } = draft.pick((known) => known.dtype === 'float32' && isTensor(known) && known.dims.length > 1);
    const weights = draft.shaped([dims[dims.length - 1], 3], dice.pick<DataType>(['uint8', 'int8']));
    return void add(draft, 'DynamicQuantizeMatMul', [name, weights, scale()]);
  }
  const { name, dims } = draft.pick((known) => known.dtype === 'uint8' && isTensor(known) && known.dims.length > 1);
  add(draft, 'MatMulIntegerToFloat', [name, draft.shaped([dims[dims.length - 1], 3], 'uint8'), scale(), scale()]);
};

const dynamicLstm: Step = (draft) => {
  const { dice } = draft;
  const [length, batch] = dice.dims(2, 4);
  const weights = (rowsOf: number): string =>
    draft.constant(tensor('', [1, rowsOf, 8], dice.ints(rowsOf * 8, 0, 7), 'uint8'));
  const scale = (): string => draft.constant(tensor('', [1], [0.1]));
  const zero = (): string => draft.constant(tensor('', [1], [3], 'uint8'));
  const operands = [
    draft.shaped([length, batch, 3]),
    weights(3),
    weights(2),
    '',
    '',
    '',
    '',
    '',
    scale(),
    zero(),
    scale(),
    zero(),
  ];
  add(draft, 'DynamicQuantizeLSTM', operands, 3, { hidden_size: int(2) });
};

const blocks: Step = (draft) => {
  const { dice } = draft;
  const codes = draft.constant(tensor('', [3, 16], dice.ints(48, 0, 255), 'uint8'));
  const indices = draft.constant(tensor('', [2], [0, 2], 'int64'));
  add(draft, 'GatherBlockQuantized', [codes, indices, draft.weight([3, 2], 'float32')], 1, {
    block_size: int(16),
    bits: int(4),
    quantize_axis: int(1),
    gather_axis: int(0),
  });
};

const rotary: Step = (draft) => {
  const { name, dims } = rows(draft);
  const ids = draft.constant(tensor('', [1], [0], 'int64'));
  if (dims[1] > 6) return;
  add(draft, 'RotaryEmbedding', [name, ids, draft.shaped([6, 4]), draft.shaped([6, 4])]);
};

const quantize: Step = (draft) => {
  const { name } = draft.pick(({ dtype }) => dtype === 'float32');
  const type = draft.dice.pick<DataType>(['uint8', 'int8', 'int16', 'uint16']);
  const [scale, zero] = [draft.constant(tensor('', [], [0.25])), draft.constant(tensor('', [], [0], type))];
  const [codes] = add(draft, 'QuantizeLinear', [name, scale, zero]);
  add(draft, 'DequantizeLinear', [codes, scale, zero]);
};

/** Steps of contributed operators, by operator. */
export const CONTRIBUTED: { readonly [op: string]: Step } = {
  ...Object.fromEntries(UNARY.split(' ').map((op) => [op, unary(op)])),
  BiasGelu: biasGelu,
  Skip: skip,
  SimplifiedLayerNormalization: simplified,
  EmbedLayerNormalization: embed,
  Attention: attention,
  MultiHeadAttention: multiHead,
  GroupQueryAttention: grouped,
  FusedMatMul: fusedMatMul,
  FusedConv: fusedConv,
  FusedGemm: fusedGemm,
  MatMulNBits: bits,
  QLinearBinary: linearBinary,
  QLinearUnary: linearUnary,
  QLinearConcat: linearConcat,
  QLinearPool: linearPool,
  QGemm: qGemm,
  ToFloat: toFloat,
  DynamicQuantizeLSTM: dynamicLstm,
  GatherBlockQuantized: blocks,
  RotaryEmbedding: rotary,
  QuantizeLinear: quantize,
};
