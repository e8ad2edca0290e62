import { changedNode } from '../onnx/node-rows.js';
import type { Node } from '../onnx/records.js';
import { FLOAT_TYPES } from '../onnx/schema.js';
import { smallIntegers } from '../onnx/small-values.js';
import {
  alias,
  CHANNELS_LAST,
  emit,
  madeAt,
  push,
  removedTensor,
  resolved,
  type Draft,
  type Reading,
} from './float-draft.js';
import { FOLDS_ACTIVATION, TWINS } from './float-twins.js';
import { attributeOf, intOf, intsOf } from './node-attributes.js';

/** Casts and the like: the tensor itself, or a weight. */
const same: Reading = (draft, node) => {
  const [from] = node.inputs;
  const weight = draft.weights.get(from);
  if (weight !== undefined) draft.weights.set(node.outputs[0], weight);
  else if (node.outputs.slice(1).some((name) => name !== '')) return false;
  else if (draft.products.has(from)) draft.products.set(node.outputs[0], draft.products.get(from) ?? node);
  else return alias(draft, node.outputs[0], from);
  return true;
};

const cast: Reading = (draft, node) => FLOAT_TYPES.has(intOf(node, 'to', 0)) && same(draft, node);

const constant: Reading = (draft, node) => {
  const tensor = attributeOf(node, 'value')?.tensors[0];
  if (tensor === undefined) return false;
  draft.weights.set(node.outputs[0], tensor);
  return true;
};

/** A weight in other dims. */
const reshape: Reading = (draft, node) => {
  const weight = draft.weights.get(node.inputs[0]);
  const shape = draft.weights.get(node.inputs[1]);
  const dims = weight === undefined || shape === undefined ? null : smallIntegers(draft.file.model, shape);
  if (weight === undefined || dims === null || dims.some((dim) => dim <= 0)) return false;
  draft.weights.set(node.outputs[0], { ...weight, dims });
  return true;
};

const TO_CHANNELS_FIRST = '0,3,1,2';
const TO_CHANNELS_LAST = '0,2,3,1';

const transpose: Reading = (draft, node) => {
  const perm = intsOf(node, 'perm');
  const weight = draft.weights.get(node.inputs[0]);
  if (weight !== undefined) {
    const order = perm.length === weight.dims.length ? perm : weight.dims.map((_, at) => weight.dims.length - 1 - at);
    draft.weights.set(node.outputs[0], { ...weight, dims: order.map((from) => weight.dims[from]) });
    return true;
  }
  if (perm.join() !== TO_CHANNELS_FIRST || draft.file.outputs.has(node.outputs[0])) return false;
  const source = resolved(draft, node.inputs[0]);
  draft.turning.set(node.outputs[0], source === node.inputs[0] ? node : changedNode(node, { inputs: [source] }));
  return true;
};

/** A convolution or pool between two Transposes, as one with its channels last. */
const window: Reading = (draft, node) => {
  const turning = draft.turning.get(draft.alias.get(node.inputs[0]) ?? node.inputs[0]);
  if (turning === undefined) return false;
  const between: Node[] = [];
  let [tensor] = node.outputs;
  for (;;) {
    const readers = draft.file.consumersOf.get(tensor) ?? [];
    if (readers.length !== 1 || draft.file.outputs.has(tensor)) return false;
    const [next] = readers;
    between.push(next);
    if (next.opType === 'Transpose' && intsOf(next, 'perm').join() === TO_CHANNELS_LAST) {
      for (const reader of [node, ...between.slice(0, -1)]) draft.turned.set(reader.outputs[0], next.outputs[0]);
      for (const reader of between) draft.done.add(reader);
      emit(draft, node, {
        domain: CHANNELS_LAST,
        inputs: [turning.inputs[0], ...node.inputs.slice(1)],
        outputs: [next.outputs[0]],
      });
      return true;
    }
    if (next.opType !== 'Cast' && next.opType !== 'Identity') return false;
    [tensor] = next.outputs;
  }
};

const dequantize: Reading = (draft, node) => {
  const [codes] = node.inputs;
  const weight = draft.weights.get(codes);
  if (weight !== undefined) {
    draft.weights.set(node.outputs[0], weight);
    return true;
  }
  const from = draft.alias.get(codes) ?? codes;
  if (!draft.floats.has(from)) draft.floats.set(from, node.outputs[0]);
  return alias(draft, node.outputs[0], from);
};

const quantize: Reading = (draft, node) => {
  const [value, , zeroPoint = ''] = node.inputs;
  if (draft.weights.has(value)) return same(draft, node);
  const from = resolved(draft, value);
  const readers = draft.file.consumersOf.get(value) ?? [];
  if (readers.length === 1 && !draft.file.outputs.has(value) && startsAtZero(draft, zeroPoint)) unfold(draft, from);
  return alias(draft, node.outputs[0], from);
};

/** Whether the least code stands for 0: then what makes the codes ends in an activation that the quantiser folded. */
function startsAtZero(draft: Draft, zeroPoint: string): boolean {
  if (zeroPoint === '') return true;
  const tensor = draft.weights.get(zeroPoint);
  const values = tensor === undefined ? null : smallIntegers(draft.file.model, tensor);
  const least = tensor?.dataType === INT8 ? -128 : tensor?.dataType === INT16 ? -32768 : 0;
  return values !== null && values.length > 0 && values.every((value) => value === least);
}
const INT8 = 3;
const INT16 = 5;

/** Puts an activation behind what makes a tensor. */
function unfold(draft: Draft, tensor: string): void {
  const at = madeAt(draft, tensor);
  const maker = at === undefined ? undefined : draft.nodes[at];
  if (at === undefined || maker === undefined || !FOLDS_ACTIVATION.has(maker.opType)) return;
  const before = removedTensor(draft, tensor, 'before its activation');
  draft.nodes[at] = changedNode(maker, { outputs: [before] });
  draft.made.set(before, at);
  push(draft, changedNode(maker, { opType: 'Relu', domain: '', attributes: [], inputs: [before], outputs: [tensor] }));
}

const twin: Reading = (draft, node) => {
  const known = TWINS.get(node.opType);
  if (known === undefined) return false;
  const inputs =
    known.inputs === 'concat'
      ? node.inputs.filter((_, at) => at >= 2 && (at - 2) % 3 === 0)
      : known.inputs.flatMap((at) => node.inputs[at] ?? []);
  const [output] = node.outputs;
  emit(draft, node, { op: known.op, inputs });
  if (known.codes === undefined) return true;
  const [scale, zeroPoint] = known.codes.map((at) => node.inputs[at] ?? '');
  draft.codes.set(output, { scale, zeroPoint });
  if (startsAtZero(draft, zeroPoint)) unfold(draft, output);
  return true;
};

const dynamicQuantize: Reading = (draft, node) => alias(draft, node.outputs[0], resolved(draft, node.inputs[0]));

const integerProduct: Reading = (draft, node) => {
  const op = node.opType === 'ConvInteger' ? 'Conv' : 'MatMul';
  const inputs = node.inputs.slice(0, 2).map((name) => resolved(draft, name));
  draft.products.set(node.outputs[0], changedNode(node, { opType: op, inputs }));
  return true;
};

/** The scale that makes an integer product a float one. */
const scale: Reading = (draft, node) => {
  const factor = node.inputs.findIndex((name) => draft.products.has(name));
  const product = factor < 0 ? undefined : draft.products.get(node.inputs[factor]);
  if (product === undefined) return false;
  draft.products.delete(node.inputs[factor]);
  push(draft, changedNode(product, { outputs: [node.outputs[0]] }));
  return true;
};

/** A convolution or product with a sum and an activation behind it. */
const fused: Reading = (draft, node) => {
  const isBlocked = node.domain === 'com.microsoft.nchwc';
  const op = node.opType === 'FusedGemm' ? 'Gemm' : 'Conv';
  const activation = attributeOf(node, 'activation')?.s ?? '';
  if (node.opType === 'Conv' && !isBlocked) return window(draft, node);
  const [output] = node.outputs;
  const added = op === 'Conv' ? (node.inputs[3] ?? '') : '';
  const product =
    added !== '' || activation !== '' ? removedTensor(draft, output, 'before what was fused into it') : output;
  emit(draft, node, { op, inputs: node.inputs.slice(0, 3), outputs: [product] });
  if (isBlocked) draft.blocked.set(product, draft.weights.get(node.inputs[1])?.dims[0] ?? 0);
  const sum = added !== '' && activation !== '' ? removedTensor(draft, output, 'before its activation') : output;
  if (added !== '') emit(draft, node, { op: 'Add', inputs: [product, added], outputs: [sum] });
  if (activation !== '')
    emit(draft, node, { op: activation, inputs: [added === '' ? product : sum], outputs: [output] });
  return true;
};

/** A sum and a norm: the sum is a block's end, whether or not the file hands it out. */
const skipNorm: Reading = (draft, node) => {
  const [value, skip, ...parameters] = node.inputs;
  const [output, , , given = ''] = node.outputs;
  const sum = given === '' ? removedTensor(draft, output, 'before its norm') : given;
  emit(draft, node, { op: 'Add', inputs: [value, skip], outputs: [sum] });
  emit(draft, node, {
    op: node.opType === 'SkipLayerNormalization' ? 'LayerNormalization' : 'SimplifiedLayerNormalization',
    inputs: [sum, ...parameters],
    outputs: [output],
  });
  return true;
};

/** Into or out of blocks of channels. */
const reorder: Reading = (draft, node) => {
  if (intOf(node, 'channels_last', 0) !== 0) return false;
  const from = resolved(draft, node.inputs[0]);
  const width = intOf(node, 'channels', 0);
  if (node.opType === 'ReorderOutput') {
    if (!draft.floats.has(from)) draft.floats.set(from, node.outputs[0]);
    if (width > 0 && draft.blocked.has(from)) draft.widths.set(from, width);
  }
  return alias(draft, node.outputs[0], from);
};

/** How operators of the file read in the float view; one that does not apply gives false. */
export const READINGS: ReadonlyMap<string, Reading> = new Map<string, Reading>([
  ...[...TWINS.keys()].map((op) => [op, twin] as const),
  ['Constant', constant],
  ['Identity', same],
  ['Cast', cast],
  ['Reshape', reshape],
  ['Transpose', transpose],
  ['Conv', fused],
  ['FusedConv', fused],
  ['FusedGemm', fused],
  ['MaxPool', window],
  ['AveragePool', window],
  ['QuantizeLinear', quantize],
  ['DequantizeLinear', dequantize],
  ['DynamicQuantizeLinear', dynamicQuantize],
  ['ConvInteger', integerProduct],
  ['MatMulInteger', integerProduct],
  ['Mul', scale],
  ['SkipLayerNormalization', skipNorm],
  ['SkipSimplifiedLayerNormalization', skipNorm],
  ['ReorderInput', reorder],
  ['ReorderOutput', reorder],
]);
