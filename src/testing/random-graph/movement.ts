import { tensor, type AttributeSpec, type DataType } from '../model-spec.js';
import { type Attributes, isTensor, type Draft } from './draft.js';
import type { Step } from './elements.js';

/** Steps that move elements or count with their places, in the form that the opset has. */

const ranked = (draft: Draft, least = 1) => draft.pick((known) => isTensor(known) && known.dims.length >= least);
const list = (draft: Draft, values: readonly number[], type: DataType = 'int64'): string =>
  draft.constant(tensor('', [values.length], values, type));
const one = (draft: Draft, number: number, type: DataType = 'int64'): string =>
  draft.constant(tensor('', [], [number], type));
const signed = ({ dice }: Draft, axis: number, rank: number): number => (dice.chance(0.3) ? axis - rank : axis);
const int = (number: number): AttributeSpec => ({ int: number });
const ints = (numbers: readonly number[]): AttributeSpec => ({ ints: numbers });

/** Axes as an attribute before an opset, as an input from it on. */
function withAxes(draft: Draft, axes: readonly number[], from: number): [string[], Attributes] {
  return draft.opset >= from ? [[list(draft, axes)], {}] : [[], { axes: ints(axes) }];
}

const reshape: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice } = draft;
  const count = dims.reduce((product, dim) => product * dim, 1);
  const at = dice.int(0, Math.max(0, dims.length - 1));
  const target = dice.pick<readonly number[]>([
    [-1],
    [count],
    [1, -1],
    dims.map((dim, axis) => (axis === at ? -1 : dim)),
    dims.map((_dim, axis) => (axis === at ? -1 : 0)),
    [...dims.slice(0, -2), -1],
    [...dims, 1],
    [...dims.slice(0, at), ...(dims[at] % 2 === 0 ? [2, dims[at] / 2] : [dims[at]]), ...dims.slice(at + 1)],
  ]);
  draft.add(
    'Reshape',
    [name, draft.sizes(target)],
    1,
    draft.opset >= 14 && dice.chance(0.1) ? { allowzero: int(1) } : {},
  );
};

const transpose: Step = (draft) => {
  const { name, dims } = draft.pick();
  draft.add('Transpose', [name], 1, { perm: ints(draft.dice.shuffled(dims.length)) });
};

const squeeze: Step = (draft) => {
  const { name, dims } = draft.pick(({ dtype, dims: all }) => dtype !== null && all.includes(1));
  const axes = dims.flatMap((dim, axis) =>
    dim === 1 && draft.dice.chance(0.7) ? [signed(draft, axis, dims.length)] : [],
  );
  const [more, attributes] = withAxes(draft, axes, 13);
  draft.add('Squeeze', [name, ...more], 1, attributes);
};

const unsqueeze: Step = (draft) => {
  const { name, dims } = draft.pick();
  const count = draft.dice.int(1, 2);
  const rank = dims.length + count;
  const axes = draft.dice
    .shuffled(rank)
    .slice(0, count)
    .map((axis) => (draft.opset >= 11 ? signed(draft, axis, rank) : axis));
  const [more, attributes] = withAxes(draft, axes, 13);
  draft.add('Unsqueeze', [name, ...more], 1, attributes);
};

const concat: Step = (draft) => {
  const { dtype, dims, name } = ranked(draft);
  const { dice } = draft;
  const axis = dice.int(0, dims.length - 1);
  const fits = draft.values.filter(
    (known) =>
      known.dtype === dtype &&
      known.dims.length === dims.length &&
      known.dims.every((dim, at) => at === axis || dim === dims[at]),
  );
  const parts = [name, ...Array.from({ length: dice.int(0, 2) }, () => dice.pick(fits).name)];
  draft.add('Concat', parts, 1, { axis: int(draft.opset >= 11 ? signed(draft, axis, dims.length) : axis) });
};

const split: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice, opset } = draft;
  const axis = dice.int(0, dims.length - 1);
  const first = dice.int(0, dims[axis]);
  const sizes = dice.chance(0.5) ? [first, dims[axis] - first] : null;
  const axisAttribute = { axis: int(opset >= 11 ? signed(draft, axis, dims.length) : axis) };
  if (sizes === null) {
    const count = dice.int(1, 3);
    return void draft.add('Split', [name], count, {
      ...axisAttribute,
      ...(opset >= 18 ? { num_outputs: int(count) } : {}),
    });
  }
  if (opset < 13) return void draft.add('Split', [name], 2, { ...axisAttribute, split: ints(sizes) });
  draft.add('Split', [name, draft.sizes(sizes)], 2, axisAttribute);
};

const slice: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice, opset } = draft;
  const axes = dice.subset(dims.length);
  if (axes.length === 0) axes.push(0);
  const starts = axes.map(() => dice.int(-4, 4));
  const ends = axes.map(() =>
    dice.chance(0.3) ? dice.pick([2 ** 31 - 1, Number.MAX_SAFE_INTEGER, -(2 ** 31)]) : dice.int(-5, 7),
  );
  if (opset < 10)
    return void draft.add('Slice', [name], 1, { starts: ints(starts), ends: ints(ends), axes: ints(axes) });
  const steps = axes.map(() => dice.pick([1, 1, 1, 2, 3, -1, -2]));
  const type = dice.pick<DataType>(['int64', 'int32']);
  if (type === 'int32') {
    const near = ends.map((end) => Math.max(-(2 ** 31), Math.min(end, 2 ** 31 - 1)));
    return void draft.add('Slice', [name, ...[starts, near, axes, steps].map((values) => list(draft, values, type))]);
  }
  const bounded = dice.chance(0.4)
    ? [
        draft.sizes(starts),
        draft.sizes(
          ends.map((end) => Math.min(end, 9)),
          0.6,
        ),
      ]
    : [list(draft, starts), list(draft, ends)];
  draft.add('Slice', [name, ...bounded, list(draft, axes), list(draft, steps)]);
};

const gather: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice } = draft;
  const axis = dice.int(0, dims.length - 1);
  const shape = dice.dims(dice.int(0, 2), 3);
  const count = shape.reduce((product, dim) => product * dim, 1);
  const low = draft.opset >= 11 ? -dims[axis] : 0;
  const type = dice.pick<DataType>(['int64', 'int32']);
  const indices = draft.constant(tensor('', shape, dice.ints(count, low, dims[axis] - 1), type));
  draft.add('Gather', [name, indices], 1, { axis: int(signed(draft, axis, dims.length)) });
};

const gatherElements: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice } = draft;
  const axis = dice.int(0, dims.length - 1);
  const shape = dims.map((dim, at) => (at === axis ? dice.int(1, 3) : dice.int(1, Math.max(1, dim))));
  const count = shape.reduce((product, dim) => product * dim, 1);
  const indices = draft.constant(tensor('', shape, dice.ints(count, 0, Math.max(0, dims[axis] - 1)), 'int64'));
  draft.add('GatherElements', [name, indices], 1, { axis: int(axis) });
};

const gatherND: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice } = draft;
  const depth = dice.int(1, dims.length);
  const rows = dice.int(1, 3);
  const indices = Array.from({ length: rows }, () =>
    dims.slice(0, depth).map((dim) => dice.int(0, Math.max(0, dim - 1))),
  ).flat();
  draft.add('GatherND', [name, draft.constant(tensor('', [rows, depth], indices, 'int64'))]);
};

const scatter: Step = (draft) => {
  const { name, dims, dtype } = ranked(draft);
  const { dice, opset } = draft;
  const axis = dice.int(0, dims.length - 1);
  const shape = dims.map(() => 1);
  const indices = draft.constant(tensor('', shape, [dice.int(0, Math.max(0, dims[axis] - 1))], 'int64'));
  draft.add(opset < 11 ? 'Scatter' : 'ScatterElements', [name, indices, draft.shaped(shape, dtype ?? 'float32')], 1, {
    axis: int(axis),
  });
};

const scatterND: Step = (draft) => {
  const { name, dims, dtype } = ranked(draft);
  const indices = draft.constant(tensor('', [1, 1], [0], 'int64'));
  draft.add('ScatterND', [name, indices, draft.shaped([1, ...dims.slice(1)], dtype ?? 'float32')]);
};

const expand: Step = (draft) => {
  const { name, dims } = draft.pick();
  const { dice } = draft;
  const target = [
    ...(dice.chance(0.3) ? [2] : []),
    ...dims.map((dim) => (dim === 1 ? dice.int(1, 4) : dice.pick([1, dim]))),
  ];
  draft.add('Expand', [name, draft.sizes(target)]);
};

const tile: Step = (draft) => {
  const { name, dims } = ranked(draft);
  draft.add('Tile', [name, draft.sizes(draft.dice.ints(dims.length, 0, 3))]);
};

const pad: Step = (draft) => {
  const { name, dims, dtype } = ranked(draft);
  const { dice, opset } = draft;
  const pads = dice.ints(2 * dims.length, -1, 2);
  const mode = { mode: { string: dice.pick(['constant', 'constant', 'edge', 'reflect', 'wrap']) } };
  if (opset < 11) return void draft.add('Pad', [name], 1, { ...mode, pads: ints(pads) });
  const filling = dice.chance(0.3) ? [one(draft, 1, dtype ?? 'float32')] : [];
  draft.add('Pad', [name, draft.sizes(pads), ...filling], 1, mode);
};

const reduce: Step = (draft) => {
  const { dice, opset } = draft;
  const op = `Reduce${dice.pick(['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'])}`;
  // Of nothing, ONNX Runtime mistakes negative axes: [-2, 1] of [0, 6] leave [0, 1] there.
  const { name, dims } = draft.pick((known) => isTensor(known) && !known.dims.includes(0));
  const axes = dice.subset(dims.length).map((axis) => (opset >= 11 ? signed(draft, axis, dims.length) : axis));
  const keep: Attributes = dice.chance(0.5) ? { keepdims: int(dice.int(0, 1)) } : {};
  const [more, attributes] =
    axes.length === 0 && dice.chance(0.5) ? [[], {}] : withAxes(draft, axes, op === 'ReduceSum' ? 13 : 18);
  const noop = opset >= 18 && dice.chance(0.2) ? { noop_with_empty_axes: int(1) } : {};
  draft.add(op, [name, ...more], 1, { ...keep, ...attributes, ...noop });
};

const argument: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice } = draft;
  draft.add(dice.pick(['ArgMax', 'ArgMin']), [name], 1, {
    axis: int(dice.int(0, dims.length - 1)),
    keepdims: int(dice.int(0, 1)),
  });
};

const topK: Step = (draft) => {
  // Of nothing, ONNX Runtime divides by zero and the process ends.
  const { name, dims } = draft.pick((known) => isTensor(known) && known.dims.length > 0 && !known.dims.includes(0));
  const axis = draft.dice.int(0, dims.length - 1);
  const k = draft.dice.int(0, dims[axis]);
  if (draft.opset < 10) return void draft.add('TopK', [name], 2, { k: int(k), axis: int(axis) });
  draft.add('TopK', [name, draft.sizes([k])], 2, { axis: int(axis) });
};

const compress: Step = (draft) => {
  const { name, dims } = ranked(draft);
  const { dice } = draft;
  const axis = dice.int(0, dims.length - 1);
  const chosen = Array.from({ length: dice.int(1, dims[axis] + 1) }, () => dice.int(0, 1));
  draft.add('Compress', [name, list(draft, chosen, 'bool')], 1, dice.chance(0.7) ? { axis: int(axis) } : {});
};

const oneHot: Step = (draft) => {
  const { name, dims } = draft.pick(({ dtype }) => dtype === 'int64' || dtype === 'int32');
  const [depth, values] = [one(draft, draft.dice.int(1, 5)), list(draft, [0, 1], 'float32')];
  draft.add('OneHot', [name, depth, values], 1, { axis: int(draft.dice.int(-1, dims.length)) });
};

const range: Step = (draft) => {
  const { dice } = draft;
  const type = dice.pick<DataType>(['int64', 'int32', 'float32', 'float64']);
  const half = type.startsWith('float') ? 0.5 : 0;
  draft.add('Range', [
    one(draft, dice.int(-3, 3), type),
    one(draft, dice.int(-2, 9) + half, type),
    one(draft, dice.pick([1, 2, 3, -1]) + half, type),
  ]);
};

const rangeOfDim: Step = (draft) => {
  const { dims } = ranked(draft);
  const [size] = draft.add('Squeeze', [draft.sizes([dims[0]], 1)]);
  draft.add('Range', [one(draft, 0), size, one(draft, 1)]);
};

const constantOfShape: Step = (draft) => {
  const { dice } = draft;
  const { dims } = draft.pick();
  const type = dice.pick<DataType>(['float32', 'int64', 'bool', 'float64', 'uint8']);
  const given: Attributes = dice.chance(0.6) ? { value: { tensor: tensor('', [1], [1], type) } } : {};
  draft.add('ConstantOfShape', [draft.sizes(dice.chance(0.7) ? dims : dice.ints(dice.int(0, 3), 0, 4), 0.7)], 1, given);
};

const cumSum: Step = (draft) => {
  const { name, dims } = ranked(draft);
  draft.add('CumSum', [name, one(draft, signed(draft, draft.dice.int(0, dims.length - 1), dims.length))]);
};

const reverseSequence: Step = (draft) => {
  const { name, dims } = ranked(draft, 2);
  draft.add('ReverseSequence', [name, list(draft, draft.dice.ints(dims[1], 1, Math.max(1, dims[0])))]);
};

const resize: Step = (draft) => {
  const { name, dims } = draft.pick(({ dtype, dims: all }) => dtype !== null && all.length > 1 && all.length < 5);
  const { dice, opset } = draft;
  const scales = dims.map((_dim, axis) => (axis < dims.length - 2 ? 1 : dice.pick([1, 2, 1.5, 0.5, 3.3])));
  if (opset < 9)
    return void draft.add('Upsample', [name], 1, { scales: { floats: scales.map((scale) => Math.max(1, scale)) } });
  if (opset === 9)
    return void draft.add('Upsample', [
      name,
      list(
        draft,
        scales.map((scale) => Math.max(1, scale)),
        'float32',
      ),
    ]);
  if (opset === 10) return void draft.add('Resize', [name, list(draft, scales, 'float32')]);
  const roi = opset < 13 ? draft.constant(tensor('', [0], [])) : '';
  const none = (): string => (opset < 13 ? draft.constant(tensor('', [0], [])) : '');
  const mode = { mode: { string: dice.pick(['nearest', 'nearest', 'linear']) } };
  if (dice.chance(0.5)) return void draft.add('Resize', [name, roi, list(draft, scales, 'float32')], 1, mode);
  const sizes = dims.map((dim, axis) => (axis < dims.length - 2 ? dim : dice.int(1, 9)));
  if (opset >= 18 && dice.chance(0.4)) {
    const policy = { keep_aspect_ratio_policy: { string: dice.pick(['stretch', 'not_larger', 'not_smaller']) } };
    const axes = dims.map((_dim, axis) => axis).slice(-2);
    return void draft.add('Resize', [name, roi, '', draft.sizes(sizes.slice(-2))], 1, {
      ...mode,
      ...policy,
      axes: ints(axes),
    });
  }
  draft.add('Resize', [name, roi, none(), draft.sizes(sizes)], 1, mode);
};

const depthToSpace: Step = (draft) => {
  const { dice } = draft;
  const isDeep = dice.chance(0.5);
  const name = draft.shaped(isDeep ? [1, 8, 2, 3] : [1, 2, 4, 6]);
  draft.add(isDeep ? 'DepthToSpace' : 'SpaceToDepth', [name], 1, { blocksize: int(2) });
};

const einsum: Step = (draft) => {
  const { name, dims } = draft.pick(({ dtype, dims: all }) => dtype === 'float32' && all.length === 2);
  const equation = draft.dice.pick(['ij->ji', 'ij->i', 'ij,jk->ik', 'ij,jk', '...j,jk->...k', 'ij,jk->']);
  const other = equation.includes(',') ? [draft.shaped([dims[1], draft.dice.int(1, 4)])] : [];
  draft.add('Einsum', [name, ...other], 1, { equation: { string: equation } });
};

/** Steps of movement, by operator. */
export const MOVEMENTS: { readonly [op: string]: Step } = {
  Reshape: reshape,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter,
  ScatterND: scatterND,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  Reduce: reduce,
  ArgMax: argument,
  TopK: topK,
  Compress: compress,
  OneHot: oneHot,
  Range: range,
  'Range of a dim': rangeOfDim,
  ConstantOfShape: constantOfShape,
  CumSum: cumSum,
  ReverseSequence: reverseSequence,
  Resize: resize,
  DepthToSpace: depthToSpace,
  Einsum: einsum,
};
