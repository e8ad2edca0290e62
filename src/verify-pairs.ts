import { ResolveError, UsageError } from './errors.js';
import { CHANNEL_AXIS, type Layout } from './features/feature.js';
import { readStoredInfo } from './features/resolvers/metadata.js';
import { carriersOf, type StoredOutput } from './features/stored-info.js';
import { hasTensor, type GraphView } from './onnx/graph.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { dequantized, unblocked } from './tensors/codes.js';
import { toFloat32 } from './tensors/convert.js';
import { isBitEqual, rearranged } from './tensors/compare.js';
import { stackRows } from './tensors/tensor.js';

/**
 * What is compared: tensors of the model, concatenated on axis 1 where there are several, with an output of the cut.
 */
export interface Pair {
  readonly index: number | null;
  readonly group?: string;
  readonly tensors: readonly string[];
  /** An output of the cut, or the tensor in front of the steps that were added to it. */
  readonly output: string;
  /** The output, where steps stand before it. */
  readonly leavesAs?: string;
  readonly layout: Layout | null;
  /** How the codes or the blocks of the tensor became the values of the output. */
  readonly held?: Pick<StoredOutput, 'codes' | 'blocked' | 'cast_from'>;
}

/** What a model and a cut of it gave. */
export interface Results {
  readonly reference: ReadonlyMap<string, TensorValue>;
  readonly result: ReadonlyMap<string, TensorValue>;
}

/** What the cut says its outputs are; else outputs that are named as tensors of the model. */
export async function outputPairs(
  model: GraphView,
  cut: GraphView,
  map: ReadonlyMap<string, string> | undefined,
): Promise<readonly Pair[]> {
  const outputs = [...cut.outputs.keys()];
  const exists = (name: string): boolean => hasTensor(model, name);
  const stored = (await readStoredInfo(cut.model))?.outputs ?? [];
  if (map !== undefined) {
    const wrong = [...map].flatMap(([tensor, output]) => [
      ...(exists(tensor) ? [] : [`the model has no tensor '${tensor}'`]),
      ...(cut.outputs.has(output) ? [] : [`the cut has no output '${output}'`]),
    ]);
    if (wrong.length > 0)
      throw new ResolveError(wrong.join('; '), {
        code: 'FEATX_RESOLVE_PAIR',
        hint: `the outputs of the cut are ${outputs.join(', ')}`,
      });
    return [...map].map(([tensor, output]) => ({ index: null, tensors: [tensor], output, layout: null }));
  }
  const pairs: Pair[] = stored
    .filter(({ output }) => cut.outputs.has(output))
    .flatMap((output) => carriersOf(output).map((carrier) => ({ ...carrier, leavesAs: output.output })))
    .filter(({ tensor, output }) => exists(tensor) && hasTensor(cut, output))
    .map(({ index, group, tensor, output, layout, codes, blocked, cast_from, leavesAs }) => ({
      index,
      group,
      tensors: concatenatedInputs(model, cut, output) ?? [tensor],
      output,
      ...(leavesAs === output ? {} : { leavesAs }),
      layout,
      held: { codes, blocked, cast_from },
    }));
  const paired = new Set(pairs.map(({ output, leavesAs = output }) => leavesAs));
  for (const name of outputs)
    if (!paired.has(name) && exists(name)) pairs.push({ index: null, tensors: [name], output: name, layout: null });
  if (pairs.length === 0)
    throw new ResolveError('the second model is not a cut of the first: none of its outputs is a tensor there', {
      code: 'FEATX_RESOLVE_PAIR',
      hint: (await isSwapped(model, cut))
        ? 'the first is a cut of the second: give the model first, then the cut'
        : `pair them with ${option('map', { TENSOR: 'OUTPUT' })}`,
    });
  return pairs;
}

/** Whether the first is a cut of the second. */
async function isSwapped(first: GraphView, second: GraphView): Promise<boolean> {
  const stored = await readStoredInfo(first.model);
  return stored?.outputs.some(({ tensor }) => second.producerOf.has(tensor)) === true;
}

/** Tensors of the model that a node of ours concatenates into an output of the cut. */
function concatenatedInputs(model: GraphView, cut: GraphView, output: string): readonly string[] | null {
  for (let name = output; ; ) {
    const node = cut.producerOf.get(name)?.node;
    if (node === undefined || model.producerOf.has(name)) return null;
    if (node.opType === 'Concat' && node.inputs.every((input) => model.producerOf.has(input))) return node.inputs;
    [name] = node.inputs;
  }
}

/**
 * The two tensors of a pair, in the layout of the cut; of the model's as they are if no change of layout fits.
 * @throws UsageError if one of them was not given
 */
export function comparison(
  { tensors, output, layout, held = {} }: Pair,
  { reference, result }: Results,
): readonly [reference: TensorValue, result: TensorValue] {
  const parts = tensors.map((name) => ofModel(reference, name));
  const target = given(result, output, 'the cut');
  const whole = parts.length === 1 ? numbersBehind(parts[0], held, target) : concatenatedOnAxis1(parts);
  const arranged = rearranged(whole, target, layout === null ? null : CHANNEL_AXIS[layout] === 1);
  return [arranged ?? whole, target];
}

/** A tensor that the model gave. @throws UsageError if it did not */
export function ofModel(values: Results['reference'], name: string): TensorValue {
  return given(values, name, 'the model');
}

function given(values: Results['result'], name: string, by: string): TensorValue {
  const value = values.get(name);
  if (value === undefined) throw new UsageError(`${by} gave no '${name}'`);
  return value;
}

/** The numbers that a tensor's codes stand for, or its blocks of channels as a map; any other tensor as it is. */
function numbersBehind(
  tensor: TensorValue,
  { codes, blocked, cast_from: castFrom }: NonNullable<Pair['held']>,
  target: TensorValue,
): TensorValue {
  if (codes !== undefined) return dequantized(tensor, codes);
  if (castFrom !== undefined) return { dtype: 'float32', shape: tensor.shape, data: toFloat32(tensor) };
  if (blocked === undefined) return tensor;
  // Nothing in the file says how many channels a block has: 8, or 16 where the machine has wider registers.
  const maps = BLOCKS.flatMap((block) => unblocked(tensor, block, blocked) ?? []);
  return maps.find((map) => isBitEqual(map, target)) ?? maps.at(0) ?? tensor;
}

const BLOCKS = [16, 8, 4];

function concatenatedOnAxis1(parts: readonly TensorValue[]): TensorValue {
  const [{ shape, dtype }] = parts;
  const batches = Array.from({ length: shape[0] }, (_, batch) =>
    stackRows(
      parts.map((part) => {
        const size = part.data.length / shape[0];
        return { dtype, shape: part.shape.slice(1), data: part.data.slice(batch * size, (batch + 1) * size) };
      }),
    ),
  );
  const whole = stackRows(batches);
  return { ...whole, shape: [shape[0], batches[0].shape[0], ...shape.slice(2)] };
}
