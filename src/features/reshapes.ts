import { foreign, gridOf, isAlike, sameShape, type Axis, type Geometry, type Grids, type Shape } from './geometry.js';
import { regridded } from './windows.js';

/** What the axes of a shape are, by comparison with those of what it was made of. */

const LARGEST_PREFIX = 16;

/** Places a shape by comparison with where it came from: the same axes if they fit, else the layout whose grid fits. */
export function settled(source: Geometry, shape: Shape | null, grids: Grids): Geometry {
  if (shape === null) return { ...source, shape };
  if (source.axes !== null && sameShape(source.shape, shape) && !source.axes.includes('?')) return source;
  if (source.axes !== null && source.axes.length === shape.length && !source.axes.includes('?'))
    return moved(source, source.axes, shape, grids);
  if (shape.length === 4) return map(source, shape, grids);
  if (shape.length === 3) return tokens(source, shape);
  if (shape.length === 2 && shape[0] === source.batch)
    return { ...source, axes: ['N', 'C'], shape, channels: shape[1], pooled: true };
  return foreign(source, shape);
}

/** A reshape may fold anything into any axis: only a shape that fits the grid has a place. */
export function reshaped(source: Geometry, shape: Shape, grids: Grids): Geometry {
  if (sameShape(source.shape, shape)) return source;
  if (shape.length === 4) return map(source, shape, grids);
  if (shape.length === 3) return tokens(source, shape);
  return settled({ ...source, axes: null }, shape, grids);
}

/** The same axes with other sizes: a crop, a concatenation, a pool, a class token. */
function moved(source: Geometry, axes: readonly Axis[], shape: Shape, grids: Grids): Geometry {
  const channels = axes.includes('C') ? (shape[axes.indexOf('C')] ?? source.channels) : source.channels;
  const at = axes.indexOf('L');
  if (at >= 0) return { ...source, ...tokenGrid(source, shape[at]), axes, shape, channels };
  const grid = gridOf(axes, shape);
  if (!axes.includes('H')) return { ...source, axes, shape, channels };
  if (grid !== null && source.grid !== null && !isAlike(source.grid, grid)) return foreign(source, shape);
  return { ...regridded(source, grid, null, grids), axes, shape, channels };
}

/**
 * How `length` tokens lie on a grid: the grid of before, with other prefix tokens, or one that is a whole factor
 * smaller.
 */
function tokenGrid(
  source: Geometry,
  length: number | null,
): Pick<Geometry, 'grid' | 'prefix' | 'stride' | 'pooled' | 'upsampled'> {
  const { grid, prefix, stride, pooled, upsampled } = source;
  if (length === null || grid === null) return { grid, prefix, stride, pooled, upsampled };
  const area = grid[0] * grid[1];
  if (length >= area && length - area <= LARGEST_PREFIX)
    return { grid, prefix: length - area, stride, pooled, upsampled };
  if (length === 1) return { grid: [1, 1], prefix: 0, stride, pooled: true, upsampled };
  const factor = Math.round(Math.sqrt(area / Math.max(1, length - prefix)));
  if (factor > 1) {
    for (const round of [Math.ceil, Math.floor]) {
      const smaller = [round(grid[0] / factor), round(grid[1] / factor)] as const;
      const rest = length - smaller[0] * smaller[1];
      if (rest === 0 || rest === prefix)
        return { grid: smaller, prefix: rest, stride: stride === null ? null : stride * factor, pooled, upsampled };
    }
  }
  return { grid, prefix, stride, pooled, upsampled };
}

/**
 * Whether channels come before the places of the map, which a reshape leaves as it is; null where the axes are not
 * known.
 */
function channelsLead({ axes }: Geometry): boolean | null {
  if (axes === null || axes.includes('?') || !axes.includes('C')) return null;
  return axes.indexOf('C') < Math.max(axes.indexOf('H'), axes.indexOf('L'));
}

/** A rank of 4 after a reshape: NCHW or NHWC, whichever has a grid that fits. */
function map(source: Geometry, shape: Shape, grids: Grids): Geometry {
  const [batch, a, b, c] = shape;
  if (batch !== source.batch || a === null || b === null || c === null) return foreign(source, shape);
  const first = fit(source.grid, b, c);
  const last = fit(source.grid, a, b);
  if (first === 0 && last === 0) return foreign(source, shape);
  const channelFirst =
    first === last
      ? (channelsLead(source) ?? (a === source.channels || (c !== source.channels && b === c)))
      : first > last;
  const axes: readonly Axis[] = channelFirst ? ['N', 'C', 'H', 'W'] : ['N', 'H', 'W', 'C'];
  return {
    ...regridded(source, channelFirst ? [b, c] : [a, b], null, grids),
    axes,
    shape,
    channels: channelFirst ? a : c,
    prefix: 0,
    ...(isFolded(source, shape) ? { pooled: false } : {}),
  };
}

/** Whether a vector is a whole map laid flat, which a reshape folds back. */
function isFolded({ pooled, grid, shape: from }: Geometry, shape: Shape): boolean {
  const area = grid === null ? 1 : grid[0] * grid[1];
  const count = (dims: Shape): number => dims.reduce<number>((product, dim) => product * (dim ?? NaN), 1);
  return pooled && area > 1 && from?.length === 2 && count(from) === count(shape);
}

/**
 * 3: the grid itself; 2: half of it; 1: about its size (padded to whole windows), or square where no grid is known; 0:
 * no.
 */
function fit(grid: readonly [number, number] | null, height: number, width: number): number {
  if (grid === null) return height === width ? 1 : 0;
  if (grid[0] === height && grid[1] === width) return 3;
  const ratio = grid[0] / height;
  if (ratio > 0.8 && ratio < 1.25 && Math.abs(ratio - grid[1] / width) < 0.1) return 1;
  if (
    Math.abs(ratio - grid[1] / width) < 0.34 &&
    (Math.ceil(grid[0] / 2) === height || Math.floor(grid[0] / 2) === height)
  )
    return 2;
  return 0;
}

function isCoarser(source: Geometry, length: number): boolean {
  return tokenGrid(source, length).stride !== source.stride;
}

/** A rank of 3 after a reshape: NLC or NCL, whichever has as many tokens as the grid. */
function tokens(source: Geometry, shape: Shape): Geometry {
  const [batch, a, b] = shape;
  if (batch !== source.batch || a === null || b === null) return foreign(source, shape);
  const area = source.grid === null ? null : source.grid[0] * source.grid[1];
  const score = (length: number): number =>
    area === null
      ? 0
      : length === area + source.prefix
        ? 3
        : length === area
          ? 2
          : length > area && length - area <= LARGEST_PREFIX
            ? 1
            : 0;
  const lead = channelsLead(source);
  const coarser = [lead !== true && isCoarser(source, a), lead !== false && isCoarser(source, b)];
  if (score(a) === 0 && score(b) === 0 && !coarser[0] && !coarser[1]) return foreign(source, shape);
  const tokensFirst =
    score(a) !== score(b)
      ? score(a) > score(b)
      : coarser[0] !== coarser[1]
        ? coarser[0]
        : !(lead ?? (b !== source.channels && a === source.channels));
  const axes: readonly Axis[] = tokensFirst ? ['N', 'L', 'C'] : ['N', 'C', 'L'];
  return { ...source, ...tokenGrid(source, tokensFirst ? a : b), axes, shape, channels: tokensFirst ? b : a };
}
