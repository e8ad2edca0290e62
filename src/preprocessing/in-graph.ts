import { isInitializer, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';

/** The numbers of a small constant; null for what is not one. */
export type NumbersOf = (tensor: string) => readonly number[] | null;

/** What a graph does with the values of a picture before anything else reads them: `value * scale + shift`. */
export interface InGraph {
  readonly scale: readonly number[];
  readonly shift: readonly number[];
}

/** Operators that move values and leave them as they are. */
const MOVES = new Set([
  'Cast',
  'Transpose',
  'Identity',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Resize',
  'Slice',
  'Pad',
  'Gather',
]);
/** Beyond so many nodes arithmetic is the network's. */
const DEEPEST = 16;
/** A constant of more numbers is not one per channel. */
const MOST_CHANNELS = 4;

/**
 * The arithmetic that a network does first with the picture of an input, as long as one node alone reads it: constants
 * of one number a channel that are added or multiplied, and a BatchNormalization of three channels. Null if there is
 * none.
 */
export function arithmeticInGraph(view: GraphView, input: string, numbersOf: NumbersOf): InGraph | null {
  let scale: readonly number[] = [1];
  let shift: readonly number[] = [0];
  let at = input;
  for (let steps = 0; steps < DEEPEST; steps++) {
    const readers = (view.consumersOf.get(at) ?? []).filter(({ opType }) => opType !== 'Shape');
    if (readers.length !== 1) break;
    const [node] = readers;
    if (node.domain !== '' || node.outputs.length === 0) break;
    const step = MOVES.has(node.opType) && node.inputs[0] === at ? KEEPS : stepOf(node, at, numbersOf);
    if (step === null) break;
    scale = combined(scale, step.scale, (a, b) => a * b);
    shift = combined(
      combined(shift, step.scale, (a, b) => a * b),
      step.shift,
      (a, b) => a + b,
    );
    [at] = node.outputs;
  }
  const isIdentity = scale.every((value) => value === 1) && shift.every((value) => value === 0);
  return isIdentity || isInitializer(view, input) ? null : { scale, shift };
}

const KEEPS: InGraph = { scale: [1], shift: [0] };

function stepOf({ opType, inputs, attributes }: Node, at: string, numbersOf: NumbersOf): InGraph | null {
  if (opType === 'BatchNormalization') {
    const [gamma, beta, mean, variance] = inputs.slice(1, 5).map((name) => perChannel(numbersOf(name)));
    if (gamma === null || beta === null || mean === null || variance === null || inputs[0] !== at) return null;
    const epsilon = attributes.find(({ name }) => name === 'epsilon')?.f ?? 1e-5;
    const factor = gamma.map((value, index) => value / Math.sqrt((variance[index] ?? variance[0]) + epsilon));
    return {
      scale: factor,
      shift: beta.map((value, index) => value - (mean[index] ?? mean[0]) * (factor[index] ?? factor[0])),
    };
  }
  const other = inputs[inputs[0] === at ? 1 : 0];
  const constant = inputs.length === 2 ? perChannel(numbersOf(other)) : null;
  if (constant === null) return null;
  const isFirst = inputs[0] === at;
  switch (opType) {
    case 'Add':
      return { scale: [1], shift: constant };
    case 'Sub':
      return isFirst ? { scale: [1], shift: constant.map((value) => -value) } : { scale: [-1], shift: constant };
    case 'Mul':
      return { scale: constant, shift: [0] };
    case 'Div':
      return isFirst && constant.every((value) => value !== 0)
        ? { scale: constant.map((value) => 1 / value), shift: [0] }
        : null;
    default:
      return null;
  }
}

function perChannel(numbers: readonly number[] | null): readonly number[] | null {
  return numbers !== null && numbers.length > 0 && numbers.length <= MOST_CHANNELS ? numbers : null;
}

/** Values of channels with those of others; one stands for all. */
function combined(
  a: readonly number[],
  b: readonly number[],
  combine: (a: number, b: number) => number,
): readonly number[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_value, index) => combine(a[index] ?? a[0], b[index] ?? b[0]));
}

/** Pixels that are divided by so much are pixels from 0 to 255. */
const WIDEST_UNIT_SCALE = 1 / 8;
/** A mean of pixels above it is one of pixels from 0 to 255. */
const LARGEST_UNIT_MEAN = 4;

/**
 * What a network with such arithmetic takes: `raw`, pixels from 0 to 255, or `unit`, values from 0 to 1.
 */
export function takenBy({ scale, shift }: InGraph): 'raw' | 'unit' {
  const widest = Math.max(...scale.map(Math.abs));
  const mean = Math.max(
    ...scale.map((factor, index) => Math.abs((shift[index] ?? shift[0]) / (factor === 0 ? 1 : factor))),
  );
  return widest < WIDEST_UNIT_SCALE || mean > LARGEST_UNIT_MEAN ? 'raw' : 'unit';
}
