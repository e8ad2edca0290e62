import { tensor, type AttributeSpec, type DataType } from '../model-spec.js';
import { type Attributes, isTensor, type Draft, type Known } from './draft.js';
import type { Step } from './elements.js';

/** Layers of networks: windows, matrices, normalisations, recurrences, attention, quantized ones. */

const int = (number: number): AttributeSpec => ({ int: number });
const ints = (numbers: readonly number[]): AttributeSpec => ({ ints: numbers });
const one = (draft: Draft, number: number, type: DataType = 'float32'): string =>
  draft.constant(tensor('', [], [number], type));

/** Maps [N, C, …]: one that is there, or a new one. */
function maps(draft: Draft, dtype: DataType = draft.model.real): Known {
  const { dice } = draft;
  const there = draft.values.filter(
    (known) => known.dtype === dtype && isTensor(known) && known.dims.length > 2 && known.dims.length < 5,
  );
  if (there.length > 0 && dice.chance(0.7)) return dice.pick(there);
  const dims = [dice.int(1, 2), dice.int(1, 4), ...dice.ints(dice.int(1, 2), 4, 9)];
  return { name: draft.shaped(dims, dtype), dtype, dims };
}

function windowed({ dice }: Draft, axes: number, hasCeil: boolean): [number[], Attributes] {
  const kernel = dice.ints(axes, 1, 3);
  const attributes: Record<string, AttributeSpec> = {};
  if (dice.chance(0.6)) attributes['strides'] = ints(dice.ints(axes, 1, 3));
  const auto = dice.pick(['NOTSET', 'NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']);
  if (auto !== 'NOTSET') attributes['auto_pad'] = { string: auto };
  else if (dice.chance(0.6)) attributes['pads'] = ints([...kernel, ...kernel].map((size) => dice.int(0, size - 1)));
  if (dice.chance(0.3) && auto === 'NOTSET') attributes['dilations'] = ints(dice.ints(axes, 1, 2));
  if (hasCeil && dice.chance(0.3)) attributes['ceil_mode'] = int(1);
  return [kernel, attributes];
}

const conv: Step = (draft) => {
  const { name, dims } = maps(draft);
  const { dice } = draft;
  const [kernel, attributes] = windowed(draft, dims.length - 2, false);
  const isDepthwise = dice.chance(0.3);
  const channels = isDepthwise ? dims[1] * dice.int(1, 2) : dice.int(1, 24);
  const weights = draft.shaped([channels, isDepthwise ? 1 : dims[1], ...kernel]);
  const bias = dice.chance(0.5) ? [draft.shaped([channels])] : [];
  const group = isDepthwise ? { group: int(dims[1]) } : {};
  const shape = dice.chance(0.5) ? { kernel_shape: ints(kernel) } : {};
  draft.add('Conv', [name, weights, ...bias], 1, { ...attributes, ...group, ...shape });
};

const convTranspose: Step = (draft) => {
  const { name, dims } = maps(draft);
  const [kernel, attributes] = windowed(draft, dims.length - 2, false);
  const more = draft.dice.chance(0.2) ? { output_padding: ints(kernel.map(() => draft.dice.int(0, 1))) } : {};
  draft.add('ConvTranspose', [name, draft.shaped([dims[1], draft.dice.int(1, 3), ...kernel])], 1, {
    ...attributes,
    ...more,
  });
};

const pool: Step = (draft) => {
  const { dice } = draft;
  const op = dice.pick(['MaxPool', 'AveragePool', 'LpPool']);
  const { name, dims } = maps(draft);
  const [kernel, attributes] = windowed(draft, dims.length - 2, op !== 'LpPool');
  const count = op === 'MaxPool' ? dice.int(1, 2) : 1;
  draft.add(op, [name], count, { ...attributes, kernel_shape: ints(kernel) });
};

const unpool: Step = (draft) => {
  const { dice } = draft;
  const name = draft.shaped([1, dice.int(1, 2), 4, 6]);
  const window = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
  const [pooled, places] = draft.add('MaxPool', [name], 2, window);
  draft.add('MaxUnpool', [pooled, places], 1, window);
};

const gemm: Step = (draft) => {
  const { dice } = draft;
  const { name, dims, dtype } = draft.pick((known) => isTensor(known) && known.dims.length === 2);
  const [transA, transB] = [dice.int(0, 1), dice.int(0, 1)];
  const [shared, columns] = [dims[transA === 1 ? 0 : 1], dice.int(1, 5)];
  const other = draft.shaped(transB === 1 ? [columns, shared] : [shared, columns], dtype ?? 'float32');
  const bias = draft.opset < 11 || dice.chance(0.5) ? [draft.shaped([columns], dtype ?? 'float32')] : [];
  draft.add('Gemm', [name, other, ...bias], 1, { transA: int(transA), transB: int(transB) });
};

const matMul: Step = (draft) => {
  const { name, dims, dtype } = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  const { dice } = draft;
  const last = dims[dims.length - 1];
  // Weights above 1 KiB, which are stored in files of their own, are among them.
  const other = dice.chance(0.8) ? [last, dice.chance(0.2) ? 300 : dice.int(1, 6)] : [last];
  draft.add('MatMul', [name, draft.shaped(other, dtype ?? 'float32')]);
};

const batchNormalization: Step = (draft) => {
  const { name, dims } = maps(draft);
  const type = draft.model.real;
  const [scale, bias, mean] = [1, 2, 3].map(() => draft.weight([dims[1]], type));
  const ones = Array.from({ length: dims[1] }, () => 1);
  const variance = draft.constant(tensor('', [dims[1]], ones, type));
  const trains = draft.opset >= 14 && draft.dice.chance(0.2);
  const training = trains ? { training_mode: int(1) } : {};
  draft.add('BatchNormalization', [name, scale, bias, mean, variance], trains ? 3 : 1, training);
};

const instanceNormalization: Step = (draft) => {
  const { name, dims } = maps(draft);
  draft.add('InstanceNormalization', [name, draft.shaped([dims[1]]), draft.shaped([dims[1]])]);
};

const layerNormalization: Step = (draft) => {
  const { dice } = draft;
  const { name, dims, dtype } = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  const axis = dice.int(0, dims.length - 1);
  const scale = draft.shaped(dims.slice(axis), dtype ?? 'float32');
  draft.add('LayerNormalization', [name, scale], dice.int(1, 3), {
    axis: int(axis - (dice.chance(0.5) ? dims.length : 0)),
  });
};

const rmsNormalization: Step = (draft) => {
  const { name, dims, dtype } = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  draft.add('RMSNormalization', [name, draft.shaped(dims.slice(-1), dtype ?? 'float32')], 1, { axis: int(-1) });
};

const groupNormalization: Step = (draft) => {
  const name = draft.shaped([2, 4, 3]);
  const size = draft.opset >= 21 ? 4 : 2;
  draft.add('GroupNormalization', [name, draft.shaped([size]), draft.shaped([size])], 1, { num_groups: int(2) });
};

const recurrent: Step = (draft) => {
  const { dice, opset } = draft;
  const op = dice.pick(['LSTM', 'GRU', 'RNN']);
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op] ?? 1;
  const [length, batch, size, hidden] = dice.dims(4, 4);
  const direction = dice.pick(['forward', 'reverse', 'bidirectional']);
  const count = direction === 'bidirectional' ? 2 : 1;
  const isBatchFirst = opset >= 14 && op === 'RNN' && dice.chance(0.1);
  const name = draft.shaped(isBatchFirst ? [batch, length, size] : [length, batch, size]);
  const weights = [draft.shaped([count, gates * hidden, size]), draft.shaped([count, gates * hidden, hidden])];
  const lengths = dice.chance(0.2)
    ? ['', draft.constant(tensor('', [batch], dice.ints(batch, 1, length), 'int32'))]
    : [];
  draft.add(op, [name, ...weights, ...lengths], dice.int(1, op === 'LSTM' ? 3 : 2), {
    hidden_size: int(hidden),
    direction: { string: direction },
    ...(isBatchFirst ? { layout: int(1) } : {}),
  });
};

const gridSample: Step = (draft) => {
  const { dice } = draft;
  const [batch, channels] = dice.dims(2, 2);
  const name = draft.shaped([batch, channels, 4, 5]);
  if (draft.opset >= 20 && dice.chance(0.5)) {
    const theta = draft.shaped([batch, 2, 3]);
    const [grid] = draft.add('AffineGrid', [theta, draft.sizes([batch, channels, 3, 2])]);
    return void draft.add('GridSample', [name, grid]);
  }
  draft.add('GridSample', [name, draft.shaped([batch, 3, 2, 2])]);
};

const roiAlign: Step = (draft) => {
  const { dice, opset } = draft;
  const name = draft.shaped([1, dice.int(1, 3), 6, 6]);
  const size = { output_height: int(dice.int(1, 3)), output_width: int(dice.int(1, 3)) };
  if (opset < 10) return void draft.add('MaxRoiPool', [name, draft.shaped([2, 5])], 1, { pooled_shape: ints([2, 3]) });
  const rois = draft.constant(tensor('', [2, 4], [0, 0, 3, 3, 1, 1, 4, 5]));
  draft.add('RoiAlign', [name, rois, draft.constant(tensor('', [2], [0, 0], 'int64'))], 1, size);
};

const suppression: Step = (draft) => {
  const boxes = draft.shaped([1, 6, 4]);
  const scores = draft.shaped([1, 2, 6]);
  const [most, threshold] = [draft.constant(tensor('', [1], [3], 'int64')), draft.constant(tensor('', [1], [0.5]))];
  draft.add('NonMaxSuppression', [boxes, scores, most, threshold]);
};

const integers: Step = (draft) => {
  const { dice } = draft;
  const type = dice.pick<DataType>(['uint8', 'int8']);
  if (dice.chance(0.5)) {
    const { name, dims } = draft.pick((known) => known.dtype === type && isTensor(known) && known.dims.length > 1);
    return void draft.add('MatMulInteger', [name, draft.shaped([dims[dims.length - 1], 3], type)]);
  }
  const { name, dims } = maps(draft, 'uint8');
  const [kernel, attributes] = windowed(draft, dims.length - 2, false);
  draft.add('ConvInteger', [name, draft.shaped([2, dims[1], ...kernel], 'uint8')], 1, attributes);
};

const linear: Step = (draft) => {
  const { dice } = draft;
  const scales = (): string[] => [one(draft, 0.25), draft.constant(tensor('', [], [1], 'uint8'))];
  if (dice.chance(0.5)) {
    const name = draft.shaped([dice.int(1, 3), 4], 'uint8');
    return void draft.add('QLinearMatMul', [
      name,
      ...scales(),
      draft.shaped([4, 3], 'uint8'),
      ...scales(),
      ...scales(),
    ]);
  }
  const { name, dims } = maps(draft, 'uint8');
  const [kernel, attributes] = windowed(draft, dims.length - 2, false);
  const weights = draft.shaped([3, dims[1], ...kernel], 'uint8');
  draft.add('QLinearConv', [name, ...scales(), weights, ...scales(), ...scales()], 1, attributes);
};

const attention: Step = (draft) => {
  const { dice } = draft;
  const [batch, heads, length, size, keys] = [dice.int(1, 2), 2, dice.int(1, 4), 4, dice.int(1, 5)];
  const [q, k, v] = [length, keys, keys].map((count) => draft.shaped([batch, heads, count, size]));
  if (dice.chance(0.5)) return void draft.add('Attention', [q, k, v], 1, dice.chance(0.5) ? { is_causal: int(1) } : {});
  const past = [draft.shaped([batch, heads, 3, size]), draft.shaped([batch, heads, 3, size])];
  draft.add('Attention', [q, k, v, '', ...past], 3);
};

const attentionOfRows: Step = (draft) => {
  const { dice } = draft;
  const [batch, length, keys] = dice.dims(3, 4);
  const [q, k, v] = [length, keys, keys].map((count) => draft.shaped([batch, count, 8]));
  draft.add('Attention', [q, k, v], 1, { q_num_heads: int(2), kv_num_heads: int(2) });
};

const rotary: Step = (draft) => {
  const name = draft.shaped([1, 2, 3, 4]);
  const cache = [draft.shaped([5, 2]), draft.shaped([5, 2])];
  draft.add('RotaryEmbedding', [name, ...cache, draft.constant(tensor('', [1, 3], [0, 1, 2], 'int64'))]);
};

const columns: Step = (draft) => {
  draft.add('Col2Im', [draft.shaped([1, 8, 6]), draft.sizes([3, 4]), draft.sizes([2, 2])]);
};

const centred: Step = (draft) => {
  const { name, dims } = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  draft.add('CenterCropPad', [name, draft.sizes(draft.dice.ints(dims.length, 1, 6))]);
};

const loss: Step = (draft) => {
  const { dice } = draft;
  const reduction = { reduction: { string: dice.pick(['none', 'mean', 'sum']) } };
  const labels = draft.constant(tensor('', [3], [0, 1, 1], 'int64'));
  const op = dice.pick(['SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss']);
  draft.add(op, [draft.shaped([3, 2]), labels], op.startsWith('Soft') ? dice.int(1, 2) : 1, reduction);
};

/** Steps of layers, by operator. */
export const LAYERS: { readonly [op: string]: Step } = {
  Conv: conv,
  ConvTranspose: convTranspose,
  Pool: pool,
  MaxUnpool: unpool,
  Gemm: gemm,
  MatMul: matMul,
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  GroupNormalization: groupNormalization,
  Recurrent: recurrent,
  GridSample: gridSample,
  RoiAlign: roiAlign,
  NonMaxSuppression: suppression,
  Integers: integers,
  Linear: linear,
  Attention: attention,
  'Attention of rows': attentionOfRows,
  RotaryEmbedding: rotary,
  Col2Im: columns,
  CenterCropPad: centred,
  Loss: loss,
};
