import { RuleFault, type Call, type Rule } from '../call.js';
import { boundsOf, type Size } from '../formula.js';
import { filled, numbersOf, tensorInfo, type Scalar, type Shape, type TensorInfo } from '../info.js';
import { broadcast } from '../sizes.js';
import { combinedValues, pickedValues } from './values.js';

/** Operators that lay the same elements out in other dims. */

/** The same elements in the same order. */
function relaid(input: TensorInfo | null, elem: number, shape: Shape | null): TensorInfo {
  return tensorInfo(elem, shape, input?.value);
}

const reshape: Rule = (call) => {
  const input = call.tensor(0);
  const target = targetOf(call);
  if (target === null) return [tensorInfo(call.elem(0), null)];
  const copies = call.int('allowzero', 0) === 0;
  const from = input?.shape ?? null;
  const open: number[] = [];
  let inferred = -1;
  const dims = target.map((dim, axis): Size | null => {
    if (dim === null) open.push(axis);
    if (dim === -1) {
      if (inferred >= 0) throw new RuleFault('two dims are -1');
      inferred = axis;
      return null;
    }
    if (copies && mayCopy(call, dim, from, axis)) return null;
    if (dim !== 0 || !copies) return dim;
    if (from !== null && axis >= from.length) throw new RuleFault('a dim is copied from an axis that is not there');
    return from?.[axis] ?? call.unknown();
  });
  // One dim that is not known is what is left over, as -1 is; of no elements any number is.
  if (inferred < 0 && open.length === 1 && from?.some(mayBeZero) === false) [inferred] = open;
  const wanted = countOf(dims);
  if (wanted !== null && from !== null) call.algebra.require(call.algebra.product(from), 'equal', wanted);
  const isSolvable = inferred >= 0 && from !== null && open.every((axis) => axis === inferred);
  const shape = dims.map((dim) => dim ?? call.unknown());
  if (isSolvable)
    shape[inferred] = leftOver(
      call,
      from,
      dims.filter((_dim, axis) => axis !== inferred),
    );
  return [relaid(input, call.elem(0), shape)];
};

function mayBeZero(dim: Size): boolean {
  return typeof dim === 'number' ? dim === 0 : boundsOf(dim)[0] <= 0;
}

/** Whether a formula may be 0, which copies a dim, while the input has elements. */
function mayCopy({ algebra }: Call, dim: Size | null, from: Shape | null, axis: number): boolean {
  if (dim === null || typeof dim === 'number') return false;
  const [low, high] = boundsOf(dim);
  if (low > 0 || high < 0) return false;
  return from === null || (dim !== from[axis] && algebra.quotient(algebra.product(from), dim) === null);
}

function targetOf(call: Call): readonly Scalar[] | null {
  if (call.opset < 5 && !call.has(1)) return call.ints('shape') ?? null;
  const value = call.value(1);
  if (value !== null) return value;
  const rank = call.shape(1)?.[0];
  return typeof rank === 'number' && rank <= 64 ? filled<null>(rank, null) : null;
}

/** The product of dims that are all numbers. */
function countOf(dims: readonly (Size | null)[]): number | null {
  return dims.reduce<number | null>(
    (count, dim) => (count === null || typeof dim !== 'number' ? null : count * dim),
    1,
  );
}

/** How many elements are left for a dim when the others are known: what is on both sides is cancelled first. */
function leftOver(call: Call, from: Shape, others: readonly (Size | null)[]): Size {
  const { algebra } = call;
  const above = [...from];
  const below: Size[] = [];
  for (const dim of others) {
    if (dim === null) return call.unknown();
    const at = above.indexOf(dim);
    if (at >= 0) above.splice(at, 1);
    else below.push(dim);
  }
  const [elements, known] = [algebra.product(above), algebra.product(below)];
  if (known === 0) return call.unknown();
  if (typeof elements === 'number' && typeof known === 'number') {
    if (elements % known !== 0) throw new RuleFault(`${elements} elements in parts of ${known}`);
    return elements / known;
  }
  const rest = algebra.quotient(elements, known) ?? algebra.floorDivide(elements, known);
  algebra.require(rest, 'whole');
  return rest;
}

const flatten: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === null) return [tensorInfo(call.elem(0), call.unknowns(2))];
  const given = call.int('axis', 1);
  const axis = given < 0 ? given + shape.length : given;
  if (axis < 0 || axis > shape.length) throw new RuleFault(`axis ${given} of ${shape.length}`);
  const { algebra } = call;
  const dims = [algebra.product(shape.slice(0, axis)), algebra.product(shape.slice(axis))];
  return [relaid(call.tensor(0), call.elem(0), dims)];
};

/** Axes of an attribute (before `inputSince`) or of an input; undefined if absent, null if unknown. */
export function axesOf(call: Call, inputSince: number, index = 1): readonly number[] | null | undefined {
  if (call.opset < inputSince || (!call.has(index) && call.attribute('axes') !== undefined)) return call.ints('axes');
  return call.has(index) ? call.numbers(index) : undefined;
}

const squeeze: Rule = (call) => {
  const shape = call.shape(0);
  const listed = axesOf(call, 13);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null)];
  if (listed === null) {
    const count = call.shape(1)?.[0];
    const rank = typeof count === 'number' && count > 0 ? shape.length - count : -1;
    return [tensorInfo(elem, rank < 0 ? null : call.unknowns(rank))];
  }
  // A run takes an empty list for none.
  const axes = listed?.length === 0 ? undefined : listed;
  if (axes === undefined && shape.some((dim) => typeof dim !== 'number' && boundsOf(dim)[0] <= 1))
    return [tensorInfo(elem, null)];
  const gone = new Set(
    axes?.map((axis) => call.axis(axis, shape.length)) ?? shape.flatMap((dim, axis) => (dim === 1 ? [axis] : [])),
  );
  for (const axis of gone) {
    const dim = shape[axis];
    if (typeof dim === 'number' && dim !== 1) throw new RuleFault(`axis ${axis} has ${dim} entries`);
    call.algebra.require(dim, 'equal', 1);
  }
  return [
    relaid(
      call.tensor(0),
      elem,
      shape.filter((_dim, axis) => !gone.has(axis)),
    ),
  ];
};

const unsqueeze: Rule = (call) => {
  const shape = call.shape(0);
  const axes = axesOf(call, 13);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null)];
  if (axes == null) {
    const count = call.shape(1)?.[0];
    return [tensorInfo(elem, typeof count === 'number' && count <= 64 ? call.unknowns(shape.length + count) : null)];
  }
  const rank = shape.length + axes.length;
  const fresh = new Set(axes.map((axis) => call.axis(axis, rank)));
  if (fresh.size !== axes.length) throw new RuleFault('an axis is repeated');
  const old = shape.values();
  const dims = Array.from({ length: rank }, (_empty, axis) => (fresh.has(axis) ? 1 : (old.next().value ?? 1)));
  return [relaid(call.tensor(0), elem, dims)];
};

const transpose: Rule = (call) => {
  const shape = call.shape(0);
  const order = call.ints('perm');
  if (shape === null) return [tensorInfo(call.elem(0), order === undefined ? null : call.unknowns(order.length))];
  const axes = order ?? shape.map((_dim, axis) => shape.length - 1 - axis);
  if (axes.length !== shape.length || new Set(axes).size !== axes.length)
    throw new RuleFault('perm does not fit the rank');
  const dims = axes.map((axis) => shape[call.axis(axis, shape.length)]);
  const value = pickedValues(call.tensor(0), dims, (position) => {
    const source = [...position];
    axes.forEach((axis, at) => (source[axis] = position[at]));
    return source;
  });
  return [tensorInfo(call.elem(0), dims, value)];
};

const expand: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  const target = call.value(1);
  const rank = target?.length ?? call.shape(1)?.[0];
  if (shape === null || typeof rank !== 'number' || rank > 64) return [tensorInfo(elem, null)];
  const wanted = target?.map((dim) => dim ?? call.unknown()) ?? call.unknowns(rank);
  const dims = broadcast([shape, wanted], call.algebra);
  return [
    tensorInfo(
      elem,
      dims,
      combinedValues([call.tensor(0)], dims, ([scalar]) => scalar),
    ),
  ];
};

const tile: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  const { algebra } = call;
  if (shape === null) return [tensorInfo(elem, null)];
  if (call.opset < 6) return [tensorInfo(elem, tiledOnce(call, shape))];
  const repeats = call.value(1);
  if (repeats !== null && repeats.length !== shape.length) throw new RuleFault('repeats do not fit the rank');
  const dims = shape.map((dim, axis) => {
    const times = repeats?.[axis];
    return times == null ? (dim === 0 ? 0 : call.unknown()) : algebra.multiply(dim, times);
  });
  const from = numbersOf(shape);
  const value =
    from === null
      ? null
      : pickedValues(call.tensor(0), dims, (position) => position.map((at, axis) => at % from[axis]));
  return [tensorInfo(elem, dims, value)];
};

/** Tile before version 6: how often, and along which axis. */
function tiledOnce(call: Call, shape: Shape): Shape {
  const [times, axis] = [call.value(1)?.[0], call.value(2)?.[0]];
  if (times == null || typeof axis !== 'number') return call.unknowns(shape.length);
  return shape.map((dim, at) => (at === axis ? call.algebra.multiply(dim, times) : dim));
}

/** [N, C, H, W] to [N, C / b², H * b, W * b]. */
const depthToSpace: Rule = (call) => {
  const shape = call.shape(0);
  const block = call.int('blocksize', 1);
  if (shape === null) return [tensorInfo(call.elem(0), call.unknowns(4))];
  if (shape.length !== 4) throw new RuleFault('the rank is not 4');
  const { algebra } = call;
  const channels = algebra.quotient(shape[1], block * block) ?? call.unknown();
  return [
    tensorInfo(call.elem(0), [
      shape[0],
      channels,
      algebra.multiply(shape[2], block),
      algebra.multiply(shape[3], block),
    ]),
  ];
};

/** [N, C, H, W] to [N, C * b², H / b, W / b]. */
const spaceToDepth: Rule = (call) => {
  const shape = call.shape(0);
  const block = call.int('blocksize', 1);
  if (shape === null) return [tensorInfo(call.elem(0), call.unknowns(4))];
  if (shape.length !== 4) throw new RuleFault('the rank is not 4');
  const { algebra } = call;
  const parts = shape.slice(2).map((dim) => algebra.quotient(dim, block) ?? call.unknown());
  return [tensorInfo(call.elem(0), [shape[0], algebra.multiply(shape[1], block * block), ...parts])];
};

/** Rules of reshaping. */
export const MOVEMENT: { readonly [opType: string]: Rule } = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
