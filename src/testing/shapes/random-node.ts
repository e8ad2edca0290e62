import {
  node,
  tensor,
  value,
  type AttributeSpec,
  type DataType,
  type ModelSpec,
  type TensorSpec,
} from '../model-spec.js';
import { Dice } from '../random-graph/dice.js';

/** Models of one node with random dims, attributes and operator sets. Most are possible; the others are refused. */

/** A random model, and the shapes of its inputs. */
export interface RandomNode {
  readonly opType: string;
  readonly spec: ModelSpec;
}

interface Draft {
  readonly inputs: readonly (readonly number[])[];
  /** Dtype of the inputs; default float32. */
  readonly types?: readonly DataType[];
  /** Constants behind the inputs, `null` for an omitted one. */
  readonly constants?: readonly (TensorSpec | null)[];
  readonly attributes?: Record<string, AttributeSpec>;
  readonly outputs?: number;
  readonly opsets?: readonly number[];
}

type Sampler = (dice: Dice) => Draft;

const OPSETS = [11, 13, 17, 18, 19, 21] as const;
const list = (values: readonly number[]): TensorSpec => tensor('', [values.length], values, 'int64');
const scalar = (number: number, type: DataType = 'int64'): TensorSpec => tensor('', [], [number], type);
const ints = (values: readonly number[]): AttributeSpec => ({ ints: values });
const int = (number: number): AttributeSpec => ({ int: number });

const same: Sampler = (dice) => ({ inputs: [dice.dims(dice.int(1, 4))] });

const broadcasting: Sampler = (dice) => {
  const long = dice.dims(dice.int(1, 4));
  const short = long.slice(dice.int(0, long.length - 1)).map((dim) => (dice.chance(0.3) ? 1 : dim));
  return { inputs: dice.chance(0.5) ? [long, short] : [short, long] };
};

function windowed(
  dice: Dice,
  hasCeil: boolean,
): { attributes: Record<string, AttributeSpec>; kernel: number[]; dims: number[] } {
  const axes = dice.int(1, 2);
  const kernel = dice.ints(axes, 1, 4);
  const attributes: Record<string, AttributeSpec> = {};
  if (dice.chance(0.7)) attributes['strides'] = ints(dice.ints(axes, 1, 3));
  const auto = dice.pick(['NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']);
  if (auto !== 'NOTSET') attributes['auto_pad'] = { string: auto };
  else if (dice.chance(0.6))
    attributes['pads'] = ints([...kernel, ...kernel].map((size) => dice.int(0, Math.max(0, size - 1))));
  if (dice.chance(0.4) && auto === 'NOTSET') attributes['dilations'] = ints(dice.ints(axes, 1, 2));
  if (hasCeil && dice.chance(0.5)) attributes['ceil_mode'] = int(1);
  return { attributes, kernel, dims: [dice.int(1, 2), dice.int(1, 3), ...dice.ints(axes, 4, 12)] };
}

const conv: Sampler = (dice) => {
  const { attributes, kernel, dims } = windowed(dice, false);
  return { inputs: [dims, [dice.int(1, 4), dims[1], ...kernel]], attributes };
};

const pool: Sampler = (dice) => {
  const { attributes, kernel, dims } = windowed(dice, true);
  return { inputs: [dims], attributes: { ...attributes, kernel_shape: ints(kernel) }, opsets: [11, 13, 17, 19] };
};

const reduce: Sampler = (dice) => {
  const dims = dice.dims(dice.int(1, 4));
  const axes = dice.subset(dims.length).map((axis) => (dice.chance(0.3) ? axis - dims.length : axis));
  const keep: Record<string, AttributeSpec> = dice.chance(0.5) ? { keepdims: int(dice.int(0, 1)) } : {};
  if (axes.length === 0) return { inputs: [dims], attributes: keep };
  return dice.chance(0.5)
    ? { inputs: [dims], attributes: { ...keep, axes: ints(axes) }, opsets: [11, 12, 13, 17] }
    : { inputs: [dims], constants: [list(axes)], attributes: keep, opsets: [18, 20, 21] };
};

/** How each operator is tried. */
const SAMPLERS: { readonly [opType: string]: Sampler } = {
  ...Object.fromEntries(
    ['Relu', 'Sigmoid', 'Softmax', 'Identity', 'Erf', 'Neg', 'LeakyRelu', 'HardSigmoid', 'Sign', 'Round'].map((op) => [
      op,
      same,
    ]),
  ),
  ...Object.fromEntries(
    ['Add', 'Mul', 'Sub', 'Div', 'Max', 'Min', 'Less', 'Equal', 'Greater', 'Mean'].map((op) => [op, broadcasting]),
  ),
  ...Object.fromEntries(
    ['ReduceMean', 'ReduceMax', 'ReduceL2', 'ReduceProd', 'ReduceLogSumExp'].map((op) => [op, reduce]),
  ),
  Conv: conv,
  MaxPool: (dice) => ({ ...pool(dice), outputs: dice.int(1, 2) }),
  AveragePool: pool,
  GlobalAveragePool: (dice) => ({ inputs: [[...dice.dims(2), ...dice.dims(dice.int(1, 3))]] }),
  ConvTranspose: (dice) => {
    const { attributes, kernel, dims } = windowed(dice, false);
    return { inputs: [dims, [dims[1], dice.int(1, 3), ...kernel]], attributes };
  },
  MatMul: (dice) => {
    const [m, k, n] = dice.dims(3);
    const lead = dice.dims(dice.int(0, 2));
    return dice.chance(0.2)
      ? { inputs: [[k], [...lead, k, n]] }
      : { inputs: [[...lead, m, k], dice.chance(0.5) ? [k, n] : [...lead, k, n]] };
  },
  Gemm: (dice) => {
    const [m, k, n] = dice.dims(3);
    const [a, b] = [dice.int(0, 1), dice.int(0, 1)];
    return {
      inputs: [a === 0 ? [m, k] : [k, m], b === 0 ? [k, n] : [n, k]],
      attributes: { transA: int(a), transB: int(b) },
    };
  },
  Einsum: (dice) => {
    const [b, i, j, k] = dice.dims(4);
    const [equation, inputs] = dice.pick<[string, number[][]]>([
      [
        'bij,bjk->bik',
        [
          [b, i, j],
          [b, j, k],
        ],
      ],
      [
        '...ij,...jk',
        [
          [b, i, j],
          [b, j, k],
        ],
      ],
      ['bij->bji', [[b, i, j]]],
      [
        'ij,jk->',
        [
          [i, j],
          [j, k],
        ],
      ],
      ['ii', [[i, i]]],
    ]);
    return { inputs, attributes: { equation: { string: equation } } };
  },
  Reshape: (dice) => {
    const dims = dice.dims(3);
    const [a, b, c] = dims;
    return {
      inputs: [dims],
      constants: [list(dice.pick([[a * b, c], [-1, c], [0, -1], [a, -1, 1, c], [-1], [0, 0, 0, 1], [b, a, -1]]))],
    };
  },
  Flatten: (dice) => {
    const dims = dice.dims(dice.int(1, 4));
    return { inputs: [dims], attributes: { axis: int(dice.int(-dims.length, dims.length)) } };
  },
  Transpose: (dice) => {
    const dims = dice.dims(dice.int(1, 4));
    const keyed = dims.map((_dim, axis) => ({ axis, key: dice.int(0, 999) })).sort((a, b) => a.key - b.key);
    const order: Record<string, AttributeSpec> = { perm: ints(keyed.map(({ axis }) => axis)) };
    return { inputs: [dims], attributes: dice.chance(0.8) ? order : {} };
  },
  Squeeze: (dice) => {
    const dims = dice.dims(dice.int(2, 4));
    const axes = dice.subset(dims.length);
    for (const axis of axes) dims[axis] = 1;
    if (axes.length === 0) return { inputs: [dims] };
    return dice.chance(0.5)
      ? { inputs: [dims], attributes: { axes: ints(axes) }, opsets: [11] }
      : { inputs: [dims], constants: [list(axes.reverse())], opsets: [13, 18, 21] };
  },
  Unsqueeze: (dice) => {
    const dims = dice.dims(dice.int(1, 3));
    const axes = [...new Set(dice.ints(dice.int(1, 2), 0, dims.length))];
    return dice.chance(0.5)
      ? { inputs: [dims], attributes: { axes: ints(axes) }, opsets: [11] }
      : { inputs: [dims], constants: [list(axes)], opsets: [13, 18, 21] };
  },
  Concat: (dice) => {
    const dims = dice.dims(dice.int(1, 3));
    const axis = dice.int(-dims.length, dims.length - 1);
    const at = axis < 0 ? axis + dims.length : axis;
    const parts = Array.from({ length: dice.int(1, 3) }, () =>
      dims.map((dim, on) => (on === at ? dice.int(1, 4) : dim)),
    );
    return { inputs: parts, attributes: { axis: int(axis) } };
  },
  Split: (dice): Draft => {
    const dims = dice.dims(2, 9);
    const outputs = dice.int(1, 3);
    if (dice.chance(0.4))
      return { inputs: [dims], attributes: { num_outputs: int(outputs) }, outputs, opsets: [18, 20, 21] };
    const sizes = dice.dims(outputs, 4);
    dims[0] = sizes.reduce((sum, size) => sum + size, 0);
    return dice.chance(0.5)
      ? { inputs: [dims], attributes: { split: ints(sizes) }, outputs, opsets: [11] }
      : { inputs: [dims], constants: [list(sizes)], outputs, opsets: [13, 17, 18] };
  },
  Slice: (dice) => {
    const dims = dice.dims(dice.int(1, 3), 9);
    const axes = dice.subset(dims.length);
    if (axes.length === 0) axes.push(0);
    const ends = [2 ** 31 - 1, Number.MAX_SAFE_INTEGER, -(2 ** 31)];
    return {
      inputs: [dims],
      constants: [
        list(axes.map(() => dice.int(-12, 12))),
        list(axes.map(() => (dice.chance(0.2) ? dice.pick(ends) : dice.int(-12, 12)))),
        list(axes),
        list(axes.map(() => dice.pick([1, 1, 2, 3, -1, -2]))),
      ],
    };
  },
  Gather: (dice) => {
    const dims = dice.dims(dice.int(1, 3));
    const axis = dice.int(0, dims.length - 1);
    const shape = dice.dims(dice.int(0, 2), 3);
    const count = shape.reduce((product, dim) => product * dim, 1);
    const picked = Array.from({ length: count }, () => dice.int(-dims[axis], dims[axis] - 1));
    return { inputs: [dims], constants: [tensor('', shape, picked, 'int64')], attributes: { axis: int(axis) } };
  },
  Expand: (dice) => {
    const dims = dice.dims(dice.int(1, 3)).map((dim) => (dice.chance(0.5) ? 1 : dim));
    const target = [
      ...(dice.chance(0.3) ? [2] : []),
      ...dims.map((dim) => (dim === 1 ? dice.int(1, 4) : dice.pick([1, dim]))),
    ];
    return { inputs: [dims], constants: [list(target)] };
  },
  Tile: (dice) => {
    const dims = dice.dims(dice.int(1, 3));
    return { inputs: [dims], constants: [list(dice.ints(dims.length, 0, 3))] };
  },
  Pad: (dice) => {
    const dims = dice.dims(dice.int(1, 3));
    return { inputs: [dims], constants: [list(dice.ints(2 * dims.length, -1, 3))] };
  },
  DepthToSpace: (dice) => ({
    inputs: [[1, 4 * dice.int(1, 3), dice.int(1, 4), dice.int(1, 4)]],
    attributes: { blocksize: int(2) },
  }),
  SpaceToDepth: (dice) => ({
    inputs: [[1, dice.int(1, 3), 2 * dice.int(1, 4), 2 * dice.int(1, 4)]],
    attributes: { blocksize: int(2) },
  }),
  ArgMax: (dice) => {
    const dims = dice.dims(dice.int(1, 4));
    return {
      inputs: [dims],
      attributes: { axis: int(dice.int(-dims.length, dims.length - 1)), keepdims: int(dice.int(0, 1)) },
    };
  },
  TopK: (dice) => {
    const dims = dice.dims(dice.int(1, 3));
    const axis = dice.int(-dims.length, dims.length - 1);
    return {
      inputs: [dims],
      constants: [list([dice.int(1, dims.at(axis) ?? 1)])],
      attributes: { axis: int(axis) },
      outputs: 2,
    };
  },
  Resize: (dice) => {
    const dims = [1, ...dice.dims(3, 12)];
    const scales = dims.map((_dim, axis) => (axis < 2 ? 1 : dice.pick([0.5, 0.75, 1.5, 2, 3.3, 0.3])));
    return dice.chance(0.5)
      ? { inputs: [dims], constants: [null, tensor('', [4], scales)], opsets: [11, 13, 18, 19] }
      : {
          inputs: [dims],
          constants: [null, null, list([dims[0], dims[1], dice.int(1, 20), dice.int(1, 20)])],
          opsets: [11, 13, 18],
        };
  },
  OneHot: (dice) => {
    const dims = dice.dims(dice.int(1, 2), 4);
    return {
      inputs: [],
      constants: [
        tensor('', dims, dims.length === 1 ? dice.ints(dims[0], 0, 3) : dice.ints(dims[0] * dims[1], 0, 3), 'int64'),
        scalar(dice.int(1, 6)),
        tensor('', [2], [0, 1]),
      ],
      attributes: { axis: int(dice.int(-1, dims.length)) },
    };
  },
  Range: (dice) => ({
    inputs: [],
    constants: [scalar(dice.int(-5, 5)), scalar(dice.int(-5, 12)), scalar(dice.pick([1, 2, 3, -1, -2]))],
  }),
  ConstantOfShape: (dice) => ({ inputs: [], constants: [list(dice.ints(dice.int(0, 3), 0, 5))] }),
  CumSum: (dice) => ({ inputs: [dice.dims(2)], constants: [scalar(dice.int(0, 1))] }),
  LayerNormalization: (dice) => {
    const dims = dice.dims(3);
    return { inputs: [dims, [dims[2]]], attributes: { axis: int(-1) }, outputs: dice.int(1, 3), opsets: [17, 18] };
  },
  LSTM: (dice) => {
    const [length, batch, size, hidden] = dice.dims(4);
    const two = dice.chance(0.5);
    const directions = two ? 2 : 1;
    return {
      inputs: [
        [length, batch, size],
        [directions, 4 * hidden, size],
        [directions, 4 * hidden, hidden],
      ],
      attributes: { hidden_size: int(hidden), ...(two ? { direction: { string: 'bidirectional' } } : {}) },
      outputs: 3,
    };
  },
  Shape: (dice) => ({
    inputs: [dice.dims(dice.int(1, 4))],
    attributes: { start: int(dice.int(-5, 5)), end: int(dice.int(-5, 5)) },
    opsets: [15, 19, 21],
  }),
  Size: same,
  Where: (dice) => {
    const [condition, other] = broadcasting(dice).inputs;
    return { inputs: [condition, other, other], types: ['bool', 'float32', 'float32'] };
  },
  Cast: (dice) => ({ inputs: [dice.dims(dice.int(1, 3))], attributes: { to: int(dice.pick([6, 7, 9, 10, 11])) } }),
  GatherElements: (dice) => {
    const dims = dice.dims(2);
    return { inputs: [dims], constants: [tensor('', [1, 2], [0, 0], 'int64')], attributes: { axis: int(0) } };
  },
  Trilu: (dice) => ({ inputs: [dice.dims(3)], opsets: [14, 17] }),
};

/** Operators that are tried. */
export const TRIED = Object.keys(SAMPLERS);

/** A model of one random node; `isSymbolic` leaves the dims of its inputs open. */
export function randomNode(random: () => number, isSymbolic: boolean): RandomNode {
  const dice = new Dice(random);
  const opType = dice.pick(TRIED);
  const { inputs, types = [], constants = [], attributes = {}, outputs = 1, opsets = OPSETS } = SAMPLERS[opType](dice);
  const names = inputs.map((_shape, index) => `x${index}`);
  const initializers = constants.flatMap((constant, index) =>
    constant === null ? [] : [{ ...constant, name: `c${index}` }],
  );
  const made = Array.from({ length: outputs }, (_empty, index) => `y${index}`);
  const reads = [...names, ...constants.map((constant, index) => (constant === null ? '' : `c${index}`))];
  return {
    opType,
    spec: {
      opset: dice.pick(opsets),
      irVersion: 8,
      graph: {
        inputs: inputs.map((shape, index) =>
          value(
            names[index],
            isSymbolic ? shape.map((dim, axis) => `d${index}${axis}_${dim}`) : shape,
            types[index] ?? 'float32',
          ),
        ),
        initializers,
        nodes: [node(opType, reads, made, attributes)],
        outputs: made.map((name) => value(name, null, null)),
      },
    },
  };
}
