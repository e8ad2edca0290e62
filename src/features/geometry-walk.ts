import type { Columns, GraphView } from '../onnx/graph.js';
import type { Dim, Node } from '../onnx/records.js';
import { inputsEnd, OFF, type Flow } from './flow.js';
import { foreign, gridOf, Places, sameShape, type Axis, type Geometry, type Grids, type Shape } from './geometry.js';
import { intOf, intsOf } from './node-attributes.js';
import { isOneOf } from './operators.js';
import { resizedPictures } from './pictures.js';
import { reshaped, settled } from './reshapes.js';
import { weightDims } from './weights.js';
import { CHANNEL_FIRST_OPS, windowed } from './windows.js';

const MATRIX_OPS = new Set(['MatMul', 'Gemm', 'MatMulNBits']);
/** Their further outputs are states behind the last step: neither maps nor sequences. */
const RECURRENT = new Set(['LSTM', 'GRU', 'RNN']);
const UPSAMPLERS = new Set(['Resize', 'Upsample', 'ConvTranspose', 'DepthToSpace']);

type ShapeOf = (name: string) => readonly Dim[] | null;

/** Shapes of tensors by name; those with nominal sizes by number too. */
export interface Shapes {
  readonly nominal: ShapeOf;
  readonly nominalAt: (tensor: number) => readonly Dim[] | null;
  readonly proven: ShapeOf;
}

/** Ops that do more than one value at a time, or may: where their output stands is worked out. */
const MOVING = new Set([
  ...MATRIX_OPS,
  ...RECURRENT,
  ...UPSAMPLERS,
  ...CHANNEL_FIRST_OPS,
  'Transpose',
  'Concat',
  'Pad',
  'Reshape',
  'Flatten',
]);

/**
 * Walks the main path once and follows layout, stride, grid, channels and prefix tokens; shapes help where known,
 * strides alone prove the rest.
 */
export function geometryOf(
  view: GraphView,
  flow: Flow,
  shapes: Shapes,
  closed: ReadonlySet<string> = new Set(),
): Places {
  const { columns, rows, positions, input } = flow;
  const { reads, makes } = columns;
  const known = Array<Geometry | null>(positions.length).fill(null);
  if (input === null) return new Places(columns, known, new Map());
  const shapeOf = inNumbers(shapes.nominalAt);
  const pictures = resizedPictures(view, flow, shapes.proven);
  const number = columns.tensorOf.get(input);
  const shape = shapes.nominal(input);
  const start = inputGeometry(view, flow, input, shape === null ? null : numbersOf(shape));
  if (number === undefined) return new Places(columns, known, new Map([[input, start]]));
  known[number] = start;
  const grids: Grids = new Map();
  const isMoving = isOneOf(columns, MOVING);
  const isSteady = pictures.size === 0 && closed.size === 0;
  /** A place and a shape that are one: neighbours share theirs. */
  let steady: Geometry | null = null;
  let steadyShape: Shape | null = null;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    const [from, to] = [reads.starts[row], reads.starts[row + 1]];
    const only = isSteady && !isMoving(row) ? onlyPlace(known, reads.items, from, to) : null;
    let sources: readonly Geometry[] | null = null;
    for (let made = makes.starts[row]; made < makes.starts[row + 1]; made++) {
      const tensor = makes.items[made];
      if (positions[tensor] === OFF) continue;
      const shape = shapeOf(tensor);
      if (only !== null && ((only === steady && shape === steadyShape) || stays(only, shape))) {
        steady = only;
        steadyShape = shape;
        known[tensor] = only;
        continue;
      }
      sources ??= sourcesOf(known, columns, row);
      if (sources.length === 0) break;
      const output = columns.nameOf(tensor);
      if (pictures.has(output)) {
        known[tensor] = pictureGeometry(sources[0], shape);
        grids.clear();
        continue;
      }
      const node = columns.nodes[row];
      const isState = RECURRENT.has(node.opType) && output !== node.outputs[0];
      const place = isState ? foreign(sources[0], shape) : step(view, node, sources, shape, grids);
      const finer = UPSAMPLERS.has(node.opType) && isFiner(sources[0], place);
      const isUpsampled = !closed.has(output) && (finer || sources.some((source) => source.upsampled));
      known[tensor] = place.upsampled === isUpsampled ? place : { ...place, upsampled: isUpsampled };
    }
  }
  return new Places(columns, known, new Map());
}

/** The place of all that a node reads that has one; null where there is none, or several. */
function onlyPlace(
  known: readonly (Geometry | null)[],
  tensors: Int32Array,
  from: number,
  to: number,
): Geometry | null {
  let only: Geometry | null = null;
  for (let at = from; at < to; at++) {
    const place = known[tensors[at]];
    if (place === null || place === only) continue;
    if (only !== null) return null;
    only = place;
  }
  return only;
}

/** Whether what works on one value at a time leaves a place as it is. */
function stays({ axes, shape: before }: Geometry, shape: Shape | null): boolean {
  return axes !== null && shape !== null && sameShape(before, shape) && !axes.includes('?');
}

/** The places of what a node reads as inputs; where they have none, of what its bodies read. */
function sourcesOf(known: readonly (Geometry | null)[], columns: Columns, row: number): readonly Geometry[] {
  const { starts, items } = columns.reads;
  const end = inputsEnd(columns, row);
  const sources = placesOf(known, items, starts[row], end);
  return sources.length > 0 || end === starts[row + 1] ? sources : placesOf(known, items, end, starts[row + 1]);
}

function placesOf(
  known: readonly (Geometry | null)[],
  tensors: Int32Array,
  from: number,
  to: number,
): readonly Geometry[] {
  const places: Geometry[] = [];
  for (let at = from; at < to; at++) {
    const place = known[tensors[at]];
    if (place !== null) places.push(place);
  }
  return places;
}

/** Shapes without their symbols; neighbours in a graph often share theirs. */
function inNumbers(shapeOf: (tensor: number) => readonly Dim[] | null): (tensor: number) => Shape | null {
  let last: { readonly shape: readonly Dim[]; readonly numbers: Shape } | null = null;
  return (tensor) => {
    const shape = shapeOf(tensor);
    if (shape === null) return null;
    if (last?.shape !== shape) last = { shape, numbers: numbersOf(shape) };
    return last.numbers;
  };
}

/** Whether an upsampling made a finer map; where sizes are not known, one of a map that strides made smaller is. */
function isFiner({ grid, stride }: Geometry, to: Geometry): boolean {
  return grid === null || to.grid === null ? (stride ?? 1) > 1 : grid[0] < to.grid[0];
}

/** A shape without its symbols. */
function numbersOf(shape: readonly Dim[]): Shape {
  const isNumeric = (dims: readonly Dim[]): dims is Shape => dims.every((dim) => typeof dim !== 'string');
  return isNumeric(shape) ? shape : shape.map((dim) => (typeof dim === 'number' ? dim : null));
}

/**
 * Channels are the axis of 1, 3 or 4; an image of one colour beside a layout question is NCHW unless the first op says
 * otherwise.
 */
function inputGeometry(view: GraphView, flow: Flow, input: string, shape: Shape | null): Geometry {
  const base = { shape, batch: 1, stride: 1, prefix: 0, pooled: false, upsampled: false, shuffles: 0 };
  const rank = shape?.length ?? 4;
  const isColour = (dim: number | null | undefined): boolean => dim === 1 || dim === 3 || dim === 4;
  const first = (view.consumersOf.get(input) ?? []).filter((node) => flow.rows.length > 0 && node.inputs.length > 0);
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

/** Ops that hand on elements in another shape, or other numbers of them. */
const RESHAPERS = new Set('Reshape Flatten Squeeze Unsqueeze Slice Split Gather Pad Resize Upsample'.split(' '));

function isElementwise({ opType }: Node): boolean {
  return !RESHAPERS.has(opType) && !opType.startsWith('Reduce');
}

/** Of several inputs the one that has the output's shape and a place in the pyramid. */
function mainSource(sources: readonly Geometry[], shape: Shape | null): Geometry {
  if (sources.length === 1) return sources[0];
  let same: Geometry | null = null;
  let ranked: Geometry | null = null;
  let placed: Geometry | null = null;
  for (const source of sources) {
    if (source.axes === null || source.axes.includes('?') || source.pooled) continue;
    placed ??= source;
    if (source.shape === null || shape === null || source.shape.length !== shape.length) continue;
    ranked ??= source;
    if (sameShape(source.shape, shape) && (same === null || source.shuffles < same.shuffles)) same = source;
  }
  return same ?? ranked ?? placed ?? sources.find((source) => sameShape(source.shape, shape)) ?? sources[0];
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
