import type { GraphView } from '../onnx/graph.js';
import type { Dim, Node } from '../onnx/records.js';
import type { Analysis } from './analysis.js';
import { flowBetween, nodesBetween, reachableFrom, wholeFlow, type Flow } from './flow.js';
import type { Axis, Geometry } from './geometry.js';
import { intsOf } from './node-attributes.js';
import { weightDims } from './weights.js';

type Shape = readonly (number | null)[];

const WINDOWS = new Set(['Conv', 'MaxPool', 'AveragePool', 'LpPool']);
const UPSAMPLERS = new Set(['ConvTranspose', 'Resize', 'Upsample']);
/** Ops that leave one value per channel. */
const POOLS = new Set(['GlobalAveragePool', 'GlobalMaxPool', 'ReduceMean', 'ReduceMax']);
const LAST_CHANNELS: readonly Axis[] = ['N', 'L', 'C'];
const FIRST_CHANNELS: readonly Axis[] = ['N', 'C', 'L'];

/**
 * A network of one-dimensional convolutions as a pyramid over its one axis: strides, channels and layout of what a
 * waveform or a series becomes, down to its coarsest place. Null where no such convolutions make it coarser.
 */
export function lineAnalysis(analysis: Analysis, input: string): Analysis | null {
  const { view, types, float } = analysis;
  const { order, whole } = wholeFlow(view);
  const data = reachableFrom(order, [input]);
  const outputs = [...view.outputs.keys()].filter((name) => data.has(name));
  const flow = flowBetween(order, input, data, outputs);
  const shapeOf = (name: string): Shape | null => numbers(types.nominal.get(float.typedLike(name))?.shape ?? null);
  const geometry = lineGeometry(view, flow, input, shapeOf);
  let deepest: string | null = null;
  let stride = 1;
  for (const [name, place] of geometry)
    if (!place.upsampled && !place.pooled && place.stride !== null && place.stride >= stride && flow.position.has(name))
      [deepest, stride] = [name, place.stride];
  if (deepest === null || stride <= 1) return null;
  const trunk = flowBetween(order, input, data, [deepest]);
  return {
    ...analysis,
    flow: trunk,
    classifies: true,
    network: whole,
    tapped: new Set(),
    goesUp: false,
    sentUp: new Set(),
    laterals: [],
    geometry,
    places: view.columns.names.map((name) => geometry.get(name) ?? null),
  };
}

function numbers(shape: readonly Dim[] | null): Shape | null {
  return shape?.map((dim) => (typeof dim === 'number' ? dim : null)) ?? null;
}

function lineGeometry(
  view: GraphView,
  flow: Flow,
  input: string,
  shapeOf: (name: string) => Shape | null,
): ReadonlyMap<string, Geometry> {
  const known = new Map<string, Geometry>();
  const shape = shapeOf(input);
  if (shape === null || shape.length < 2 || shape.length > 3) return known;
  const start = {
    batch: shape[0] ?? 1,
    stride: 1,
    grid: null,
    prefix: 0,
    pooled: false,
    upsampled: false,
    shuffles: 0,
  };
  known.set(input, { ...start, axes: shape.length === 3 ? FIRST_CHANNELS : null, shape, channels: shape[1] });
  for (const node of nodesBetween(flow, 0)) {
    const sources = node.inputs.flatMap((name) => known.get(name) ?? []);
    // A skip joins what the branch has made: the coarser of both is the place.
    const source = sources.reduce<Geometry | undefined>(
      (most, each) => (most === undefined || (each.stride ?? 0) > (most.stride ?? 0) ? each : most),
      undefined,
    );
    if (source === undefined) continue;
    for (const output of node.outputs)
      if (flow.position.has(output)) known.set(output, placed(view, node, source, shapeOf(output)));
  }
  return known;
}

function placed(view: GraphView, node: Node, source: Geometry, shape: Shape | null): Geometry {
  const upsampled = source.upsampled || UPSAMPLERS.has(node.opType);
  if (POOLS.has(node.opType) || shape?.length === 2) return { ...source, shape, upsampled, pooled: true };
  if (WINDOWS.has(node.opType)) {
    const weight = node.opType === 'Conv' ? weightDims(view, node.inputs[1]) : null;
    const strides = intsOf(node, 'strides');
    const isLine = weight === null ? strides.length <= 1 : weight.length === 3;
    if (!isLine) return { ...source, shape, axes: null, stride: null };
    const stride = source.stride === null ? null : source.stride * Math.max(1, strides[0] ?? 1);
    return { ...source, upsampled, shape, axes: FIRST_CHANNELS, stride, channels: weight?.[0] ?? source.channels };
  }
  const isTurn = node.opType === 'Transpose' && intsOf(node, 'perm').join() === '0,2,1' && source.axes !== null;
  const axes = isTurn ? (source.axes === FIRST_CHANNELS ? LAST_CHANNELS : FIRST_CHANNELS) : source.axes;
  const isOther = shape !== null && shape.length !== 3;
  const channels = axes === null || shape === null ? source.channels : (shape[axes.indexOf('C')] ?? source.channels);
  return { ...source, upsampled, shape, axes: isOther ? null : axes, channels };
}
