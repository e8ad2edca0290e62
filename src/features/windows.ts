import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { CHANNELS_LAST } from './float-draft.js';
import { foreign, gridOf, isAlike, type Axis, type Geometry, type Grids, type Shape } from './geometry.js';
import { intsOf } from './node-attributes.js';
import { weightDims } from './weights.js';

/** Strides and grids behind windows that move over a map. */

const WINDOW_OPS = new Set(['Conv', 'MaxPool', 'AveragePool', 'LpPool', 'DeformConv']);
/** Operators that read channels on axis 1. */
export const CHANNEL_FIRST_OPS = new Set([
  ...WINDOW_OPS,
  'BatchNormalization',
  'InstanceNormalization',
  'GroupNormalization',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'GlobalLpPool',
  'ConvTranspose',
  'SpaceToDepth',
  'DepthToSpace',
]);
const CONVS = new Set(['Conv', 'DeformConv']);

/** Convolutions, pools and the norms that read channels on axis 1. */
export function windowed(view: GraphView, node: Node, source: Geometry, shape: Shape | null, grids: Grids): Geometry {
  const rank = shape?.length ?? source.axes?.length ?? 4;
  const weight = CONVS.has(node.opType) ? weightDims(view, node.inputs[1]) : null;
  const isLast = node.domain === CHANNELS_LAST;
  const channels = shape?.[isLast ? rank - 1 : 1] ?? weight?.[0] ?? source.channels;
  if (rank !== 4 && node.opType.startsWith('Global')) return { ...source, shape, grid: [1, 1], channels, pooled: true };
  if (rank !== 4)
    return {
      ...source,
      shape,
      axes:
        rank === 3 && source.axes?.[2] === 'L' ? ['N', 'C', 'L'] : source.axes?.length === rank ? source.axes : null,
      channels,
    };
  const axes: readonly Axis[] = isLast ? ['N', 'H', 'W', 'C'] : ['N', 'C', 'H', 'W'];
  const grid = gridOf(axes, shape);
  if (node.opType.startsWith('Global')) return { ...source, axes, shape, grid: [1, 1], channels, pooled: true };
  if (isLine(source.grid, grid)) return { ...source, axes, shape, grid, channels, pooled: true };
  if (node.opType.endsWith('Pool') && coversMap(node, source.grid))
    return { ...source, axes, shape, grid, channels, pooled: true };
  if (source.axes?.includes('?') && source.grid !== null && grid !== null && !isAlike(source.grid, grid))
    return foreign(source, shape);
  const strides = WINDOW_OPS.has(node.opType) ? Math.max(1, intsOf(node, 'strides')[0] ?? 1) : null;
  const moved = regridded(source, grid, strides, grids);
  return { ...moved, axes, shape, channels, prefix: 0 };
}

/** Whether a map loses its height to a window: what is left is a line, as recognisers of text read it. */
function isLine(from: readonly [number, number] | null, to: readonly [number, number] | null): boolean {
  return from !== null && to !== null && from[0] > 1 && to[0] === 1 && to[1] > 1;
}

/** Whether a pool's window holds the whole map. */
function coversMap(node: Node, grid: readonly [number, number] | null): boolean {
  const kernel = intsOf(node, 'kernel_shape');
  return grid !== null && grid[0] * grid[1] > 1 && kernel.length === 2 && kernel[0] >= grid[0] && kernel[1] >= grid[1];
}

/**
 * The stride after the grid changed: by the op's own strides where it has them, else that of the same grid seen before,
 * else by the nearest whole ratio.
 */
export function regridded(
  source: Geometry,
  grid: readonly [number, number] | null,
  strides: number | null,
  grids: Grids,
): Geometry {
  const { stride, grid: from } = source;
  if (source.pooled) return { ...source, grid };
  if (grid === null)
    return {
      ...source,
      grid: strides === 1 ? from : null,
      stride: stride === null || strides === null ? stride : stride * strides,
    };
  if (grid[0] * grid[1] === 1 && from !== null && from[0] * from[1] > 1 && (strides === null || from[0] > 2 * strides))
    return { ...source, grid, pooled: true };
  if (stride === null) return { ...source, grid };
  const next = stridden(stride, from, grid, strides, grids);
  if (strides !== null && !grids.has(grid.join('x'))) grids.set(grid.join('x'), next);
  return { ...source, grid, stride: next };
}

function stridden(
  stride: number,
  from: readonly [number, number] | null,
  grid: readonly [number, number],
  strides: number | null,
  grids: Grids,
): number {
  if (strides !== null && strides > 1) return stride * strides;
  if (from === null || from[0] === grid[0]) return stride;
  const seen = grids.get(grid.join('x'));
  if (strides === null && seen !== undefined) return seen;
  const ratio = from[0] / grid[0];
  return ratio >= 1.5 ? stride * Math.round(ratio) : ratio <= 0.7 ? Math.max(1, Math.round(stride * ratio)) : stride;
}
