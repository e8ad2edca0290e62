import { DataType } from '../../onnx/schema.js';
import { RuleFault, type Call, type Rule } from '../call.js';
import type { Size } from '../formula.js';
import { filled, numbersOf, tensorInfo, type Shape } from '../info.js';

/** Operators that slide a window over the axes behind N and C. */

interface Window {
  readonly kernel: readonly Size[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Heads, then tails. */
  readonly pads: readonly number[];
  readonly autoPad: string;
}

function windowOf(call: Call, kernel: readonly Size[]): Window {
  const axes = kernel.length;
  const list = (name: string, standard: number, length = axes): readonly number[] => {
    const given = call.ints(name);
    if (given !== undefined && given.length !== length) throw new RuleFault(`${name} has ${given.length} entries`);
    return given ?? filled<number>(length, standard);
  };
  const strides = list('strides', 1);
  if (strides.some((stride) => stride < 1)) throw new RuleFault('a stride is not positive');
  const autoPad = call.text('auto_pad', 'NOTSET');
  const pads = autoPad === 'NOTSET' || autoPad === '' ? list('pads', 0, 2 * axes) : filled<number>(2 * axes, 0);
  return { kernel, strides, dilations: list('dilations', 1), pads, autoPad };
}

/** The reach of a dilated kernel. */
function reach(call: Call, window: Window, axis: number): Size {
  const { algebra } = call;
  return algebra.add(algebra.multiply(algebra.subtract(window.kernel[axis], 1), window.dilations[axis]), 1);
}

/**
 * Positions of a window along an axis; a window that is too large by less than a stride has one, as integer division
 * in C++ has it.
 */
function positions(call: Call, room: Size, stride: number, isCeil: boolean): Size {
  const { algebra } = call;
  if (typeof room === 'number') {
    if (room <= -stride) throw new RuleFault('a window is larger than what it slides over');
    return (isCeil ? Math.ceil(room / stride) : Math.trunc(room / stride)) + 1;
  }
  const count = algebra.add(isCeil ? algebra.ceilDivide(room, stride) : algebra.floorDivide(room, stride), 1);
  algebra.require(count, 'whole');
  return count;
}

function convolved(call: Call, dim: Size, window: Window, axis: number): Size {
  const { algebra } = call;
  const stride = window.strides[axis];
  if (window.autoPad.startsWith('SAME')) return algebra.ceilDivide(dim, stride);
  const pads = window.pads[axis] + window.pads[axis + window.kernel.length];
  return positions(call, algebra.subtract(algebra.add(dim, pads), reach(call, window, axis)), stride, false);
}

function pooled(call: Call, dim: Size, window: Window, axis: number, isCeil: boolean): Size {
  const { algebra } = call;
  const stride = window.strides[axis];
  const head = window.pads[axis];
  const reached = reach(call, window, axis);
  if (window.autoPad.startsWith('SAME')) {
    const count = algebra.ceilDivide(dim, stride);
    if (window.dilations[axis] === 1) return count;
    // ONNX Runtime pads for the kernel as it is before it is dilated.
    const needed = algebra.add(algebra.multiply(algebra.subtract(count, 1), stride), window.kernel[axis]);
    const padded = algebra.max(dim, needed);
    return positions(call, algebra.subtract(padded, reached), stride, false);
  }
  const padded = algebra.add(dim, head + window.pads[axis + window.kernel.length]);
  const count = positions(call, algebra.subtract(padded, reached), stride, isCeil);
  if (!isCeil) return count;
  // The last window begins in the tensor or in the padding before it.
  const most = algebra.add(algebra.floorDivide(algebra.add(dim, head - 1), stride), 1);
  return algebra.min(count, most);
}

/** [N, C, …] and weights [M, C/group, …]. */
function convolution(elemOf: (call: Call) => number, weights: number): Rule {
  return (call) => {
    const [input, weight] = [call.shape(0), call.shape(weights)];
    const elem = elemOf(call);
    const given = call.ints('kernel_shape');
    if (input === null) return [tensorInfo(elem, weight === null ? null : call.unknowns(weight.length))];
    if (input.length < 3 || !call.has(weights))
      throw new RuleFault('no weights, or an input without axes to slide over');
    const kernel = given ?? weight?.slice(2) ?? call.unknowns(input.length - 2);
    if (kernel.length !== input.length - 2) throw new RuleFault('the kernel has other axes than the input');
    const channels = weight?.[1];
    if (typeof channels === 'number') call.algebra.require(input[1], 'equal', channels * call.int('group', 1));
    const window = windowOf(call, kernel);
    const spatial = input.slice(2).map((dim, axis) => convolved(call, dim, window, axis));
    return [tensorInfo(elem, [input[0], weight?.[0] ?? call.unknown(), ...spatial])];
  };
}

const pool: Rule = (call) => {
  const input = call.shape(0);
  const kernel = call.ints('kernel_shape');
  if (input === null || kernel === undefined) return [tensorInfo(call.elem(0), null), tensorInfo(DataType.int64, null)];
  if (kernel.length !== input.length - 2) throw new RuleFault('the kernel has other axes than the input');
  const window = windowOf(call, kernel);
  const isCeil = call.int('ceil_mode', 0) === 1;
  const shape = [...input.slice(0, 2), ...input.slice(2).map((dim, axis) => pooled(call, dim, window, axis, isCeil))];
  return [tensorInfo(call.elem(0), shape), tensorInfo(DataType.int64, shape)];
};

const globalPool: Rule = (call) => {
  const input = call.shape(0);
  return [tensorInfo(call.elem(0), input?.map((dim, axis) => (axis < 2 ? dim : 1)) ?? null)];
};

/** [N, C, …] and weights [C, M/group, …]. */
const convTranspose: Rule = (call) => {
  const [input, weight] = [call.shape(0), call.shape(1)];
  const elem = call.elem(0);
  if (input === null) return [tensorInfo(elem, weight === null ? null : call.unknowns(weight.length))];
  const kernel = call.ints('kernel_shape') ?? weight?.slice(2) ?? call.unknowns(input.length - 2);
  const axes = input.length - 2;
  if (kernel.length !== axes) throw new RuleFault('the kernel has other axes than the input');
  const channels = call.algebra.multiply(weight?.[1] ?? call.unknown(), call.int('group', 1));
  const wanted = call.ints('output_shape');
  if (wanted !== undefined && wanted.length >= axes)
    return [tensorInfo(elem, [input[0], channels, ...wanted.slice(wanted.length - axes)])];
  const window = windowOf(call, kernel);
  const extra = call.ints('output_padding') ?? filled<number>(axes, 0);
  const spatial = input.slice(2).map((dim, axis) => transposed(call, dim, window, axis, extra[axis] ?? 0));
  return [tensorInfo(elem, [input[0], channels, ...spatial])];
};

function transposed(call: Call, dim: Size, window: Window, axis: number, extra: number): Size {
  const { algebra } = call;
  const stride = window.strides[axis];
  const steps = algebra.multiply(algebra.subtract(dim, 1), stride);
  const last = algebra.add(reach(call, window, axis), extra);
  if (window.autoPad.startsWith('SAME')) return algebra.add(steps, algebra.min(last, stride));
  return algebra.subtract(algebra.add(steps, last), window.pads[axis] + window.pads[axis + window.kernel.length]);
}

const maxUnpool: Rule = (call) => {
  const input = call.shape(0);
  const wanted = call.value(2);
  if (wanted !== null)
    return [
      tensorInfo(
        call.elem(0),
        wanted.map((dim) => dim ?? call.unknown()),
      ),
    ];
  const kernel = call.ints('kernel_shape');
  if (input === null || kernel === undefined || call.has(2)) return [tensorInfo(call.elem(0), null)];
  const window = windowOf(call, kernel);
  const spatial = input.slice(2).map((dim, axis) => transposed(call, dim, window, axis, 0));
  return [tensorInfo(call.elem(0), [...input.slice(0, 2), ...spatial])];
};

const roiAlign: Rule = (call) => [
  tensorInfo(call.elem(0), [
    call.shape(1)?.[0] ?? call.unknown(),
    call.shape(0)?.[1] ?? call.unknown(),
    call.int('output_height', 1),
    call.int('output_width', 1),
  ]),
];

const maxRoiPool: Rule = (call) => {
  const pooledShape = call.ints('pooled_shape') ?? [call.unknown(), call.unknown()];
  return [
    tensorInfo(call.elem(0), [
      call.shape(1)?.[0] ?? call.unknown(),
      call.shape(0)?.[1] ?? call.unknown(),
      ...pooledShape,
    ]),
  ];
};

/** [N, C * product(block), L] to [N, C, …image]. */
const col2Im: Rule = (call) => {
  const [image, block] = [call.value(1), numbersOf(call.value(2))];
  const input = call.shape(0);
  const rank = image?.length ?? call.shape(1)?.[0];
  if (typeof rank !== 'number') return [tensorInfo(call.elem(0), null)];
  const size = block?.reduce((product, dim) => product * dim, 1) ?? 0;
  const channels = input === null || size === 0 ? null : call.algebra.quotient(input[1], size);
  const spatial: Shape = image?.map((dim) => dim ?? call.unknown()) ?? call.unknowns(rank);
  return [tensorInfo(call.elem(0), [input?.[0] ?? call.unknown(), channels ?? call.unknown(), ...spatial])];
};

/** [N, C, …] sampled at a grid [N, …, axes]. */
const gridSample: Rule = (call) => {
  const [input, grid] = [call.shape(0), call.shape(1)];
  if (grid === null) return [tensorInfo(call.elem(0), input === null ? null : sampledUnknown(call, input))];
  const channels = input?.[1] ?? call.unknown();
  return [tensorInfo(call.elem(0), [input?.[0] ?? grid[0], channels, ...grid.slice(1, -1)])];
};

function sampledUnknown(call: Call, input: Shape): Shape {
  return [...input.slice(0, 2), ...call.unknowns(input.length - 2)];
}

/** Input and a state of the last positions. @see https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html */
const causalConv: Rule = (call) => {
  const input = call.tensor(0);
  const [shape, weight] = [call.shape(0), call.shape(1)];
  const kernel = weight?.[weight.length - 1];
  const state =
    shape === null || kernel === undefined ? null : [...shape.slice(0, -1), call.algebra.subtract(kernel, 1)];
  return [tensorInfo(input?.elemType ?? 0, shape), tensorInfo(input?.elemType ?? 0, state)];
};

/** Rules of convolutions and pools. */
export const WINDOWS: { readonly [opType: string]: Rule } = {
  Conv: convolution((call) => call.elem(0), 1),
  DeformConv: convolution((call) => call.elem(0), 1),
  ConvInteger: convolution(() => DataType.int32, 1),
  QLinearConv: convolution((call) => call.elem(7) || call.elem(0), 3),
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  ConvTranspose: convTranspose,
  MaxUnpool: maxUnpool,
  RoiAlign: roiAlign,
  MaxRoiPool: maxRoiPool,
  Col2Im: col2Im,
  GridSample: gridSample,
  CausalConvWithState: causalConv,
};

export { convolution, globalPool, pool };
