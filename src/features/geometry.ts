import { ByNumber } from '../onnx/by-number.js';

/** What an axis runs over; `?` where windows, heads or patches were folded into it. */
export type Axis = 'N' | 'C' | 'H' | 'W' | 'L' | '?';

/** A shape without its symbols. */
export type Shape = readonly (number | null)[];

/** Where a tensor of the main path stands in the pyramid. Null where nothing proves it. */
export interface Geometry {
  readonly axes: readonly Axis[] | null;
  readonly shape: Shape | null;
  /** Entries of the input: what axis 0 counts where nothing was folded into it. */
  readonly batch: number;
  /** Product of the strides from the input on, or from the fixed size that the network brings it to first. */
  readonly stride: number | null;
  /** Height and width of the map, also where it is flattened into tokens. */
  readonly grid: readonly [number, number] | null;
  readonly channels: number | null;
  /** Tokens in front of the map's own. */
  readonly prefix: number;
  /** A single value per channel: the map was pooled away. */
  readonly pooled: boolean;
  /** Whether an upsampling lies on the way. */
  readonly upsampled: boolean;
  /** Permutations of patches and windows on the way: after an odd number tokens are not in the order of the map. */
  readonly shuffles: number;
}

/** Whether a tensor is a map of the image: on a grid, or as tokens that fill one. */
export function isMap({ axes, stride, pooled, grid, prefix, shape }: Geometry): boolean {
  if (axes === null || stride === null || pooled || axes.length < 3 || axes.includes('?')) return false;
  const length = shape?.[axes.indexOf('L')];
  return !axes.includes('L') || length == null || grid === null || length === grid[0] * grid[1] + prefix;
}

/** What grids the convolutions and pools of the path made, and at which stride. */
export type Grids = Map<string, number>;

/** Height and width of a map whose axes are these; null if they are not known. */
export function gridOf(axes: readonly Axis[], shape: Shape | null): readonly [number, number] | null {
  const height = shape?.[axes.indexOf('H')];
  const width = shape?.[axes.indexOf('W')];
  return typeof height === 'number' && typeof width === 'number' ? [height, width] : null;
}

/** Whether two shapes are known and equal. */
export function sameShape(a: Shape | null, b: Shape | null): boolean {
  if (a === b) return a !== null;
  return a !== null && b !== null && a.length === b.length && a.every((dim, at) => dim === b[at]);
}

/** Attention scores and the like: outside the pyramid until a shape brings them back. */
export function foreign(source: Geometry, shape: Shape | null): Geometry {
  return { ...source, shape, axes: shape?.map(() => '?' as const) ?? null };
}

/** Whether two grids have about the same aspect; one that was pooled to a line or a point has not. */
export function isAlike(from: readonly [number, number], to: readonly [number, number]): boolean {
  if (to[0] === 1 && to[1] === 1) return true;
  const ratio = (from[0] * to[1]) / (from[1] * to[0]);
  return ratio > 0.7 && ratio < 1.45;
}

function hasUpsampled(places: readonly (Geometry | null)[]): boolean {
  let before: Geometry | null = null;
  for (const place of places) {
    if (place === before) continue;
    if (place?.upsampled === true) return true;
    before = place;
  }
  return false;
}

/** Where the tensors of a graph stand. */
export class Places extends ByNumber<Geometry> {
  /** Whether an upsampling made one of them. */
  get goesUp(): boolean {
    return (this.isAnyUp ??= hasUpsampled(this.at));
  }

  private isAnyUp: boolean | null = null;
}
