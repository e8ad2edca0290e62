import type { Pool } from '../options/steps.js';
import { CHANNEL_AXIS, type Layout } from '../features/feature.js';
import type { Dim } from '../onnx/records.js';
import { withoutFirst } from './layout.js';
import type { NodeBuilder } from './nodes.js';
import type { Projection, StepValue } from './steps.js';

/**
 * What the nodes of each step are, and what an opset must have for them. `npm run check:recipes` measures the error of
 * each against PyTorch.
 */

/** Broadcasting by position, as every recipe needs it. */
export const LEAST_OPSET = 7;

/** How a pooling is built. */
export interface PoolRecipe {
  /** The opset from which its operators are there; with a mask, `maskSince`. */
  readonly since: number;
  readonly maskSince?: number;
  /** Why an older one cannot. */
  readonly lacks: string;
  /** Whether it picks tokens, and so needs a sequence. */
  readonly ofTokens: boolean;
  readonly build: (builder: NodeBuilder, value: PoolValue, pool: Pool) => string;
}

/** What is pooled: its axes by their meaning, and the mask that counts tokens. */
export interface PoolValue {
  /** Without the prefix tokens where the pooling is over the map. */
  readonly tensor: string;
  /** The axes of positions. */
  readonly positions: readonly number[];
  readonly mask: string | null;
}

/** A divisor is at least this: rows without a token, and vectors of length 0, become zeros. */
const LEAST_COUNT = 1e-9;
const LEAST_LENGTH = 1e-12;
/**
 * Values below it are raised to it: a negative number has no power of a fraction.
 * @see https://github.com/filipradenovic/cnnimageretrieval-pytorch (gem)
 */
const LEAST_GEM = 1e-6;

/** The poolings: [N, C, H, W], [N, H, W, C], [N, L, C] or [N, C, L] -> [N, C]. */
export const POOL_RECIPES: { readonly [K in Pool['kind']]: PoolRecipe } = {
  avg: {
    since: LEAST_OPSET,
    lacks: 'broadcasting',
    ofTokens: false,
    build: (b, { tensor, positions }) => b.reduce('ReduceMean', tensor, positions),
  },
  max: {
    since: LEAST_OPSET,
    maskSince: 9,
    lacks: 'Where, which keeps tokens that do not count out of the largest',
    ofTokens: false,
    build: (b, { tensor, positions, mask }) => {
      if (mask === null) return b.reduce('ReduceMax', tensor, positions);
      const [axis] = positions;
      const counts = b.reshape('Unsqueeze', b.cast(mask, 'bool'), [axis === 1 ? 2 : 1]);
      const most = b.reduce('ReduceMax', b.op('Where', [counts, tensor, b.floats([-Infinity])]), positions);
      const any = b.cast(b.reduce('ReduceMax', b.cast(b.cast(mask, 'bool'), 'int64'), [1], true), 'bool');
      return b.op('Where', [any, most, b.zero()]);
    },
  },
  gem: {
    since: LEAST_OPSET,
    lacks: 'broadcasting',
    ofTokens: false,
    build: (b, { tensor, positions }, { p }) => {
      const powers = b.op('Pow', [b.clip(tensor, LEAST_GEM), b.floats([p])]);
      return b.op('Pow', [b.reduce('ReduceMean', powers, positions), b.floats([1 / p])]);
    },
  },
  cls: {
    since: LEAST_OPSET,
    lacks: 'broadcasting',
    ofTokens: true,
    build: (b, { tensor, positions: [axis] }) => b.op('Gather', [tensor, b.ints(0)], [{ name: 'axis', int: axis }]),
  },
  mean: {
    since: LEAST_OPSET,
    maskSince: 9,
    lacks: 'Where, which keeps what is not a number under the mask out of the sum',
    ofTokens: true,
    build: (b, { tensor, positions, mask }) => {
      if (mask === null) return b.reduce('ReduceMean', tensor, positions);
      const [axis] = positions;
      const counts = b.reshape('Unsqueeze', b.cast(mask, 'bool'), [axis === 1 ? 2 : 1]);
      const sum = b.reduce('ReduceSum', b.op('Where', [counts, tensor, b.zero()]), positions);
      return b.op('Div', [sum, b.clip(b.reduce('ReduceSum', b.cast(counts, 'float32'), positions), LEAST_COUNT)]);
    },
  },
  last: {
    since: LEAST_OPSET,
    maskSince: 12,
    lacks: 'GatherND with batch_dims, which takes another token of each row',
    ofTokens: true,
    build: (b, { tensor, positions: [axis], mask }) => {
      if (mask === null) return b.reshape('Squeeze', b.slice(tensor, axis, -1), [axis]);
      const rows = axis === 1 ? tensor : b.transpose(tensor, [0, 2, 1]);
      const counts = b.cast(b.cast(mask, 'bool'), 'int64');
      const length = b.reshape('Squeeze', b.sizes(mask, 1, 2), [0]);
      const places = b.op('Range', [b.ints(0), length, b.ints(1)]);
      const at = b.reduce('ReduceMax', b.op('Mul', [counts, places]), [1], true);
      const token = b.op('GatherND', [rows, at], [{ name: 'batch_dims', int: 1 }]);
      // A row in which no token counts is a row of zeros, as the mean of it is.
      return b.op('Where', [b.cast(b.reduce('ReduceMax', counts, [1], true), 'bool'), token, b.zero()]);
    },
  },
};

/** The axes of a layout that are positions, not entries or channels. */
export function positionsOf(layout: Layout): readonly number[] {
  return Array.from(layout).flatMap((axis, at) => (axis === 'N' || axis === 'C' ? [] : [at]));
}

/** The axis of the channels: by its layout, of vectors and of maps of one position the second. */
export function channelAxis({ layout, shape }: StepValue): number | null {
  if (layout !== null) return CHANNEL_AXIS[layout];
  return shape !== null && shape.length > 1 && shape.slice(2).every((dim) => dim === 1) ? 1 : null;
}

/** Whether there is one row of channels for an entry, and nothing to pool. */
export function isVector({ layout, shape }: StepValue): boolean {
  return layout === null && shape?.length === 2;
}

/** A feature as a vector, or as it is if it is one. */
export function pooled(b: NodeBuilder, value: StepValue, pool: Pool, layout: Layout): StepValue {
  const positions = positionsOf(layout);
  const { build } = POOL_RECIPES[pool.kind];
  const isMasked = pool.mask !== null;
  // Class tokens and registers are no part of the map; what picks tokens, or counts them by a mask, has them all.
  const skips = pool.kind === 'cls' || pool.kind === 'last' || isMasked ? 0 : value.prefixTokens;
  const [axis] = positions;
  const tensor = skips === 0 ? value.tensor : b.slice(value.tensor, axis, skips);
  const made = build(b, { tensor, positions, mask: isMasked ? pool.mask : null }, pool);
  return vector(value, made, channelDim(value, layout));
}

function channelDim({ shape, channels }: StepValue, layout: Layout): Dim {
  return shape?.[CHANNEL_AXIS[layout]] ?? channels;
}

function vector({ dtype, shape }: StepValue, tensor: string, width: Dim): StepValue {
  return {
    tensor,
    dtype,
    shape: [shape?.[0] ?? null, width],
    layout: null,
    prefixTokens: 0,
    channels: typeof width === 'number' ? width : null,
  };
}

/** [N, …] -> [N, all of it]. */
export function flattened(b: NodeBuilder, value: StepValue): StepValue {
  if (isVector(value)) return value;
  const rest = value.shape?.slice(1);
  const width = rest?.every((dim) => typeof dim === 'number')
    ? rest.reduce<number>((product, dim) => product * Number(dim), 1)
    : null;
  return vector(value, b.op('Flatten', [value.tensor], [{ name: 'axis', int: 1 }]), width);
}

/** The names of the matrix and the mean of a projection, in the result. */
export interface ProjectionNames {
  readonly weights: string;
  readonly mean: string | null;
}

/** Channels through a matrix, whatever axis they are on: a mean folded into a bias would lose digits. */
export function projected(
  b: NodeBuilder,
  value: StepValue,
  axis: number,
  { columns }: Projection,
  { weights, mean }: ProjectionNames,
): StepValue {
  const rank = value.shape?.length ?? value.layout?.length ?? 2;
  const isLast = axis === rank - 1;
  const there = [...Array(rank).keys()].filter((at) => at !== axis).concat(axis);
  const moved = isLast ? value.tensor : b.transpose(value.tensor, there);
  const product = b.op('MatMul', [mean === null ? moved : b.op('Sub', [moved, mean]), weights]);
  return {
    ...value,
    tensor: isLast
      ? product
      : b.transpose(
          product,
          there.map((_from, at) => there.indexOf(at)),
        ),
    shape: value.shape?.map((dim, at) => (at === axis ? columns : dim)) ?? null,
    channels: columns,
  };
}

/** Divided by the length along an axis; what has no length stays zero. */
export function normalized(b: NodeBuilder, value: StepValue, axis: number): StepValue {
  const length = b.clip(b.reduce('ReduceL2', value.tensor, [axis], true), LEAST_LENGTH);
  return { ...value, tensor: b.op('Div', [value.tensor, length]) };
}

/** Without the tokens that stand in front of the map. */
export function withoutPrefix(b: NodeBuilder, value: StepValue): StepValue {
  const { prefixTokens, layout } = value;
  if (prefixTokens === 0 || layout === null) return value;
  const axis = layout.indexOf('L');
  return {
    ...value,
    tensor: b.slice(value.tensor, axis, prefixTokens),
    shape: withoutFirst(value.shape, axis, prefixTokens),
    prefixTokens: 0,
  };
}

/** What int8 holds: the number of steps of this size, from -127 to 127. */
export const INT8_SCALE = 1 / 127;

/** Round is missing before. */
export const INT8_SINCE = 11;

/** Numbers from -1 to 1 as codes; what lies beyond becomes the nearest code, which Cast alone would wrap round. */
export function asInt8(b: NodeBuilder, tensor: string): string {
  const steps = b.op('Round', [b.op('Mul', [tensor, b.floats([127])])]);
  return b.cast(b.clip(steps, -127, 127), 'int8');
}
