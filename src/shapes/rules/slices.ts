import { RuleFault, type Call, type Rule } from '../call.js';
import { boundsOf, type Size } from '../formula.js';
import { filled, MOST_VALUES, numbersOf, tensorInfo, type Scalar, type Shape, type TensorInfo } from '../info.js';
import { sameSize } from '../sizes.js';
import { pickedValues } from './values.js';

/** Operators that take parts of tensors or put parts together. */

/** What one axis of a slice keeps: where it begins (null if unknown), its step, how much it is. */
interface Cut {
  readonly start: number | null;
  readonly step: number;
  readonly size: Size;
}

const slice: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null)];
  const list = (name: string, index: number): readonly Scalar[] | null | undefined =>
    call.opset < 10 ? call.ints(name) : call.has(index) ? call.value(index) : undefined;
  const [starts, ends, axes, steps] = [
    list('starts', 1),
    list('ends', 2),
    list('axes', 3),
    call.opset < 10 ? undefined : list('steps', 4),
  ];
  const touched = axes === undefined ? (starts ?? ends)?.map((_start, axis) => axis) : axes;
  if (touched == null || touched.some((axis) => typeof axis !== 'number'))
    return [tensorInfo(elem, call.unknowns(shape.length))];
  const cuts = new Map<number, Cut>();
  touched.forEach((axis, at) => {
    const counted = call.axis(Number(axis), shape.length);
    const step = steps === undefined ? 1 : (steps?.[at] ?? null);
    cuts.set(counted, cutOf(call, shape[counted], starts?.[at] ?? null, ends?.[at] ?? null, step));
  });
  const dims = shape.map((dim, axis) => cuts.get(axis)?.size ?? dim);
  const value = pickedValues(call.tensor(0), dims, (position) => {
    const source: number[] = [];
    for (const [axis, at] of position.entries()) {
      const cut = cuts.get(axis);
      if (cut?.start === null) return null;
      source.push(cut === undefined ? at : cut.start + at * cut.step);
    }
    return source;
  });
  return [tensorInfo(elem, dims, value)];
};

/** "To the end" or, backwards, "to the beginning", as exporters write it. */
const ENDLESS = 2 ** 31 - 1;

function cutOf(call: Call, dim: Size, start: Scalar, end: Scalar, step: Scalar): Cut {
  const { algebra } = call;
  const open: Cut = { start: null, step: 1, size: algebra.unknown([0, boundsOf(dim)[1]]) };
  if (step === 0) throw new RuleFault('a step is 0');
  if (typeof step !== 'number') return open;
  const [from, to] =
    step > 0 ? [inside(call, start, dim, 0, dim), inside(call, end, dim, 0, dim)] : backwards(call, start, end, dim);
  if (from === null || to === null) return { ...open, start: typeof from === 'number' ? from : null, step };
  const length = step > 0 ? algebra.subtract(to, from) : algebra.subtract(from, to);
  const size = algebra.max(algebra.ceilDivide(length, Math.abs(step)), 0);
  return { start: typeof from === 'number' ? from : null, step, size };
}

function backwards(call: Call, start: Scalar, end: Scalar, dim: Size): readonly [Scalar, Scalar] {
  const last = call.algebra.subtract(dim, 1);
  const from = inside(call, start, dim, 0, last);
  const isEndless = typeof end === 'number' && (end === ENDLESS || end >= 2 ** 63 - 1024);
  return [from, isEndless ? -1 : inside(call, end, dim, -1, last)];
}

/** A position counted from the front and kept within limits; null if its sign is not known. */
function inside(call: Call, position: Scalar, dim: Size, low: Size, high: Size): Scalar {
  const { algebra } = call;
  if (position === null) return null;
  const [least, most] = boundsOf(position);
  if (least < 0 && most >= 0) return null;
  if (typeof position === 'number' && position >= 2 ** 31 - 1) return high;
  if (typeof position === 'number' && position <= -(2 ** 31)) return low;
  return algebra.clamp(most < 0 ? algebra.add(position, dim) : position, low, high);
}

const split: Rule = (call) => {
  const shape = call.shape(0);
  const count = call.node.outputs.length;
  const elem = call.elem(0);
  if (shape === null) return call.node.outputs.map(() => tensorInfo(elem, null));
  const axis = call.axis(call.int('axis', 0), shape.length);
  const sizes = splitSizes(call, shape[axis], count);
  let start: number | null = 0;
  return sizes.map((size) => {
    const dims = shape.map((dim, at) => (at === axis ? size : dim));
    const from: number | null = start;
    const value: readonly Scalar[] | null =
      from === null
        ? null
        : pickedValues(call.tensor(0), dims, (position) => position.map((at, on) => (on === axis ? at + from : at)));
    start = from === null || typeof size !== 'number' ? null : from + size;
    return tensorInfo(elem, dims, value);
  });
};

function splitSizes(call: Call, dim: Size, count: number): Shape {
  const { algebra } = call;
  const given = call.opset < 13 ? call.ints('split') : call.has(1) ? call.value(1) : undefined;
  if (given !== undefined) {
    if (given !== null && given.length < count) throw new RuleFault('more outputs than parts');
    const sizes = Array.from({ length: count }, (_empty, at) => given?.[at] ?? null);
    const known = numbersOf(given);
    if (known !== null)
      algebra.require(
        dim,
        'equal',
        known.reduce((sum, size) => sum + size, 0),
      );
    return sizes.map((size) => size ?? call.unknown());
  }
  const parts = call.opset < 18 ? count : call.int('num_outputs', count);
  if (parts < 1) throw new RuleFault('no parts');
  if (call.opset < 18) {
    if (typeof dim === 'number' && dim % parts !== 0) throw new RuleFault(`${dim} in ${parts} equal parts`);
    const part = algebra.quotient(dim, parts) ?? call.unknown();
    return filled<Size>(count, part);
  }
  const chunk = algebra.ceilDivide(dim, parts);
  return Array.from({ length: count }, (_empty, at) => {
    if (at < parts - 1 && typeof dim !== 'number') return chunk;
    const left = algebra.subtract(dim, algebra.multiply(chunk, at));
    return algebra.max(algebra.min(chunk, left), 0);
  });
}

const concat: Rule = (call) => {
  const { algebra, node } = call;
  const elem = node.inputs.reduce((known, _name, index) => known || call.elem(index), 0);
  const shapes = node.inputs.map((_name, index) => call.shape(index));
  const rank = shapes.find((shape) => shape !== null)?.length;
  if (rank === undefined) return [tensorInfo(elem, null)];
  const given = call.opset < 4 ? call.int('axis', 1) : call.int('axis');
  if (given === undefined) throw new RuleFault('no axis');
  const axis = call.axis(given, rank);
  let dims: Shape | null = null;
  const along: Size[] = [];
  for (const shape of shapes) {
    const part: Shape = shape ?? call.unknowns(rank);
    if (part.length !== rank) throw new RuleFault('ranks differ');
    dims = dims === null ? part : dims.map((dim, at) => (at === axis ? dim : sameSize(dim, part[at], algebra)));
    along.push(part[axis]);
  }
  dims = dims?.with(axis, algebra.sum(along)) ?? null;
  return [tensorInfo(elem, dims, axis === 0 ? joinedValues(call) : joinedInner(call, axis, dims))];
};

/** Along the first axis the elements of the parts stand one behind the other. */
function joinedValues(call: Call): readonly Scalar[] | null {
  const joined: Scalar[] = [];
  for (const index of call.node.inputs.keys()) {
    const input = call.tensor(index);
    const value = input?.value ?? unknownValues(input);
    if (value === null || joined.length + value.length > MOST_VALUES) return null;
    joined.push(...value);
  }
  return joined;
}

/** Elements of which none is known. */
function unknownValues(input: TensorInfo | null): readonly Scalar[] | null {
  const dims = numbersOf(input?.shape);
  const count = dims?.reduce((product, dim) => product * dim, 1);
  return count === undefined || count > MOST_VALUES ? null : filled<null>(count, null);
}

function joinedInner(call: Call, axis: number, dims: Shape | null): readonly Scalar[] | null {
  const starts: number[] = [];
  let at = 0;
  for (const index of call.node.inputs.keys()) {
    const size = call.shape(index)?.[axis];
    if (typeof size !== 'number' || call.value(index) === null) return null;
    starts.push(at);
    at += size;
  }
  const parts = call.node.inputs.map((_name, index) => call.tensor(index));
  const count = numbersOf(dims)?.reduce((product, dim) => product * dim, 1) ?? Infinity;
  if (count > MOST_VALUES) return null;
  const merged = Array.from({ length: count }, (): Scalar => null);
  const whole = numbersOf(dims) ?? [];
  parts.forEach((part, index) => {
    const own = numbersOf(part?.shape);
    if (own === null || part?.value === undefined) return;
    part.value.forEach((scalar, position) => {
      let [rest, offset, stride] = [position, 0, 1];
      for (let on = own.length - 1; on >= 0; on--) {
        offset += ((rest % own[on]) + (on === axis ? starts[index] : 0)) * stride;
        rest = Math.floor(rest / own[on]);
        stride *= whole[on];
      }
      merged[offset] = scalar;
    });
  });
  return merged;
}

const pad: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null)];
  const pads: readonly Scalar[] | null =
    call.opset < 11 ? (call.ints(call.opset < 2 ? 'paddings' : 'pads') ?? null) : call.value(1);
  const axes = call.has(3) && call.opset >= 18 ? call.numbers(3) : shape.map((_dim, axis) => axis);
  if (axes === null || pads === null) return [tensorInfo(elem, call.unknowns(shape.length))];
  if (pads.length !== 2 * axes.length) throw new RuleFault('pads do not fit the rank');
  const dims = [...shape];
  axes.forEach((given, at) => {
    const axis = call.axis(given, shape.length);
    const [head, tail] = [pads[at], pads[at + axes.length]];
    dims[axis] =
      head === null || tail === null ? call.unknown() : call.algebra.add(call.algebra.add(dims[axis], head), tail);
  });
  if (dims.some((dim) => typeof dim === 'number' && dim < 0)) throw new RuleFault('more is cut off than there is');
  return [tensorInfo(elem, dims)];
};

const centerCropPad: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null) return [tensorInfo(call.elem(0), null)];
  const axes = call.ints('axes') ?? shape.map((_dim, axis) => axis);
  const wanted = call.value(1);
  const dims = [...shape];
  axes.forEach((axis, at) => (dims[call.axis(axis, shape.length)] = wanted?.[at] ?? call.unknown()));
  return [tensorInfo(call.elem(0), dims)];
};

/** Rules of slices, splits, pads and concatenations. */
export const SLICES: { readonly [opType: string]: Rule } = {
  Slice: slice,
  Split: split,
  Concat: concat,
  Pad: pad,
  CenterCropPad: centerCropPad,
};
