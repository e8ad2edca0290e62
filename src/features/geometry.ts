import { capturesOf, type GraphView } from '../onnx/graph.js';
import type { Dim, Node } from '../onnx/records.js';
import type { Flow } from './flow.js';
import { CHANNELS_LAST } from './float-draft.js';
import { intOf, intsOf } from './node-attributes.js';
import { resizedPictures } from './pictures.js';
import { weightDims } from './weights.js';

/** What an axis runs over; `?` where windows, heads or patches were folded into it. */
export type Axis = 'N' | 'C' | 'H' | 'W' | 'L' | '?';

type Shape = readonly (number | null)[];

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

const WINDOW_OPS = new Set(['Conv', 'MaxPool', 'AveragePool', 'LpPool', 'DeformConv']);
const CHANNEL_FIRST_OPS = new Set([
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
const MATRIX_OPS = new Set(['MatMul', 'Gemm', 'MatMulNBits']);
/** Whether a tensor is a map of the image: on a grid, or as tokens that fill one. */
export function isMap({ axes, stride, pooled, grid, prefix, shape }: Geometry): boolean {
  if (axes === null || stride === null || pooled || axes.length < 3 || axes.includes('?')) return false;
  const length = shape?.[axes.indexOf('L')];
  return !axes.includes('L') || length == null || grid === null || length === grid[0] * grid[1] + prefix;
}

/** Their further outputs are states behind the last step: neither maps nor sequences. */
const RECURRENT = new Set(['LSTM', 'GRU', 'RNN']);
const UPSAMPLERS = new Set(['Resize', 'Upsample', 'ConvTranspose', 'DepthToSpace']);
const LARGEST_PREFIX = 16;

type ShapeOf = (name: string) => readonly Dim[] | null;

/** What grids the convolutions and pools of the path made, and at which stride. */
type Grids = Map<string, number>;

/**
 * Walks the main path once and follows layout, stride, grid, channels and prefix tokens; shapes help where known,
 * strides alone prove the rest.
 */
export function geometryOf(
  view: GraphView,
  flow: Flow,
  shapes: { readonly nominal: ShapeOf; readonly proven: ShapeOf },
  closed: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, Geometry> {
  const known = new Map<string, Geometry>();
  if (flow.input === null) return known;
  const shapeOf = (name: string): Shape | null => numbersOf(shapes.nominal(name));
  const pictures = resizedPictures(view, flow, shapes.proven);
  known.set(flow.input, inputGeometry(view, flow, flow.input, shapeOf(flow.input)));
  const grids: Grids = new Map();
  for (const node of flow.nodes) {
    const sources = dataInputs(node, known);
    if (sources.length === 0) continue;
    const upsampled = UPSAMPLERS.has(node.opType);
    for (const output of node.outputs) {
      if (!flow.position.has(output)) continue;
      if (pictures.has(output)) {
        known.set(output, pictureGeometry(sources[0], shapeOf(output)));
        grids.clear();
        continue;
      }
      const isState = RECURRENT.has(node.opType) && output !== node.outputs[0];
      const place = isState ? foreign(sources[0], shapeOf(output)) : step(view, node, sources, shapeOf(output), grids);
      const finer = upsampled && isFiner(sources[0], place);
      const isUpsampled = !closed.has(output) && (finer || sources.some((source) => source.upsampled));
      known.set(output, place.upsampled === isUpsampled ? place : { ...place, upsampled: isUpsampled });
    }
  }
  return known;
}

/** Whether an upsampling made a finer map; where sizes are not known, one of a map that strides made smaller is. */
function isFiner({ grid, stride }: Geometry, to: Geometry): boolean {
  return grid === null || to.grid === null ? (stride ?? 1) > 1 : grid[0] < to.grid[0];
}

/** A shape without its symbols. */
function numbersOf(shape: readonly Dim[] | null): Shape | null {
  const isNumeric = (dims: readonly Dim[]): dims is Shape => dims.every((dim) => typeof dim !== 'string');
  return shape === null || isNumeric(shape) ? shape : shape.map((dim) => (typeof dim === 'number' ? dim : null));
}

function dataInputs(node: Node, known: ReadonlyMap<string, Geometry>): readonly Geometry[] {
  const sources: Geometry[] = [];
  for (const name of node.inputs) {
    const geometry = known.get(name);
    if (geometry !== undefined) sources.push(geometry);
  }
  if (sources.length > 0) return sources;
  for (const name of capturesOf(node)) {
    const geometry = known.get(name);
    if (geometry !== undefined) sources.push(geometry);
  }
  return sources;
}

/**
 * Channels are the axis of 1, 3 or 4; an image of one colour beside a layout question is NCHW unless the first op says
 * otherwise.
 */
function inputGeometry(view: GraphView, flow: Flow, input: string, shape: Shape | null): Geometry {
  const base = { shape, batch: 1, stride: 1, prefix: 0, pooled: false, upsampled: false, shuffles: 0 };
  const rank = shape?.length ?? 4;
  const isColour = (dim: number | null | undefined): boolean => dim === 1 || dim === 3 || dim === 4;
  const first = (view.consumersOf.get(input) ?? []).filter((node) => flow.nodes.length > 0 && node.inputs.length > 0);
  const movesChannels = first.some((node) => node.opType === 'Transpose' && intsOf(node, 'perm').join() === '0,3,1,2');
  if (rank === 4) {
    const last =
      movesChannels ||
      (shape !== null &&
        isColour(shape[3]) &&
        !isColour(shape[1]) &&
        !first.some((node) => CHANNEL_FIRST_OPS.has(node.opType)));
    const axes: readonly Axis[] = last ? ['N', 'H', 'W', 'C'] : ['N', 'C', 'H', 'W'];
    return {
      ...base,
      batch: shape?.[0] ?? 1,
      axes,
      grid: gridOf(axes, shape),
      channels: shape?.[last ? 3 : 1] ?? null,
    };
  }
  if (rank === 3 && shape !== null) {
    const last = isColour(shape[2]) && !isColour(shape[0]);
    const axes: readonly Axis[] = last ? ['H', 'W', 'C'] : ['C', 'H', 'W'];
    return { ...base, axes, grid: gridOf(axes, shape), channels: shape[last ? 2 : 0] };
  }
  return { ...base, axes: null, stride: null, grid: null, channels: null };
}

/** A picture that was resized: another size of the same, from which strides are counted anew. */
function pictureGeometry(source: Geometry, shape: Shape | null): Geometry {
  const grid = source.axes === null ? null : gridOf(source.axes, shape);
  return { ...source, shape, grid, stride: source.axes === null ? null : 1, upsampled: false };
}

function gridOf(axes: readonly Axis[], shape: Shape | null): readonly [number, number] | null {
  const height = shape?.[axes.indexOf('H')];
  const width = shape?.[axes.indexOf('W')];
  return typeof height === 'number' && typeof width === 'number' ? [height, width] : null;
}

function step(view: GraphView, node: Node, sources: readonly Geometry[], shape: Shape | null, grids: Grids): Geometry {
  const source = mainSource(sources, shape);
  if (node.opType === 'Pad') return padded(source, shape);
  if (node.opType === 'Concat' && joinsLevels(sources)) return foreign(source, shape);
  if (CHANNEL_FIRST_OPS.has(node.opType)) return windowed(view, node, source, shape, grids);
  if (node.opType === 'Transpose') return transposed(node, source, shape, grids);
  if (MATRIX_OPS.has(node.opType))
    return sources.length > 1 ? foreign(source, shape) : projected(view, node, source, shape, grids);
  if (shape === null)
    return isElementwise(node) ? source : { ...source, shape: sources.length > 1 ? source.shape : null };
  return node.opType === 'Reshape' || node.opType === 'Flatten'
    ? reshaped(source, shape, grids)
    : settled(source, shape, grids);
}

/** A border is no part of the grid: the window that reads it takes it away again. */
function padded(source: Geometry, shape: Shape | null): Geometry {
  return { ...source, shape };
}

/** Whether maps of several strides are laid side by side, as detectors do with what their heads say. */
function joinsLevels(sources: readonly Geometry[]): boolean {
  const strides = new Set(sources.filter(({ pooled }) => !pooled).map(({ stride }) => stride));
  return strides.size > 1;
}

function isElementwise(node: Node): boolean {
  return (
    !['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Slice', 'Split', 'Gather', 'Pad', 'Resize', 'Upsample'].includes(
      node.opType,
    ) && !node.opType.startsWith('Reduce')
  );
}

/** Of several inputs the one that has the output's shape and a place in the pyramid. */
function mainSource(sources: readonly Geometry[], shape: Shape | null): Geometry {
  if (sources.length === 1) return sources[0];
  const placed = sources.filter((source) => source.axes !== null && !source.axes.includes('?') && !source.pooled);
  let same: Geometry | null = null;
  for (const source of placed)
    if (shape !== null && sameShape(source.shape, shape) && (same === null || source.shuffles < same.shuffles))
      same = source;
  if (same !== null) return same;
  const ranked = placed.find(
    (source) => source.shape !== null && shape !== null && source.shape.length === shape.length,
  );
  return ranked ?? placed[0] ?? sources.find((source) => sameShape(source.shape, shape)) ?? sources[0];
}

/** Whether two shapes are known and equal. */
export function sameShape(a: Shape | null, b: Shape | null): boolean {
  return a !== null && b !== null && a.length === b.length && a.every((dim, at) => dim === b[at]);
}

/** Convolutions, pools and the norms that read channels on axis 1. */
function windowed(view: GraphView, node: Node, source: Geometry, shape: Shape | null, grids: Grids): Geometry {
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
function regridded(
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

function transposed(node: Node, source: Geometry, shape: Shape | null, grids: Grids): Geometry {
  const perm = intsOf(node, 'perm');
  const { axes } = source;
  if (axes === null) return settled(source, shape, grids);
  const order = perm.length > 0 ? perm : axes.map((_, at) => axes.length - 1 - at);
  if (order.length !== axes.length) return settled(source, shape, grids);
  const shuffles = source.shuffles + (axes.length > 4 && axes.includes('?') ? 1 : 0);
  return {
    ...source,
    shuffles,
    axes: order.map((from) => axes[from]),
    shape: shape ?? (source.shape === null ? null : order.map((from) => source.shape?.[from] ?? null)),
  };
}

/** A matrix times a weight: the last axis changes its size, not its meaning. */
function projected(view: GraphView, node: Node, source: Geometry, shape: Shape | null, grids: Grids): Geometry {
  const dims = weightDims(view, node.inputs[1]);
  const transB = node.opType === 'Gemm' && intOf(node, 'transB', 0) === 1;
  const width = shape?.at(-1) ?? dims?.at(transB ? 0 : -1) ?? null;
  if (source.axes !== null && shape !== null && source.axes.length !== shape.length)
    return settled(source, shape, grids);
  const axes = source.axes === null && shape?.length === 3 ? settled(source, shape, grids).axes : source.axes;
  return {
    ...source,
    ...(source.pooled ? { grid: [1, 1] as const } : {}),
    axes,
    shape: shape ?? (source.shape === null ? null : [...source.shape.slice(0, -1), width]),
    channels: axes?.at(-1) === 'C' ? width : source.channels,
  };
}

/** Attention scores and the like: outside the pyramid until a shape brings them back. */
function foreign(source: Geometry, shape: Shape | null): Geometry {
  return { ...source, shape, axes: shape?.map(() => '?' as const) ?? null };
}

/** Places a shape by comparison with where it came from: the same axes if they fit, else the layout whose grid fits. */
function settled(source: Geometry, shape: Shape | null, grids: Grids): Geometry {
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
function reshaped(source: Geometry, shape: Shape, grids: Grids): Geometry {
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

/** Whether two grids have about the same aspect; one that was pooled to a line or a point has not. */
function isAlike(from: readonly [number, number], to: readonly [number, number]): boolean {
  if (to[0] === 1 && to[1] === 1) return true;
  const ratio = (from[0] * to[1]) / (from[1] * to[0]);
  return ratio > 0.7 && ratio < 1.45;
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
