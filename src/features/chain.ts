import type { Node } from '../onnx/records.js';
import type { GraphView } from '../onnx/graph.js';
import type { Analysis } from './analysis.js';
import { nodesBetween } from './flow.js';
import type { Geometry } from './geometry.js';
import { intOf, intsOf, largestOf } from './node-attributes.js';
import { isOneOf } from './operators.js';
import { matrixWidths, weightDims } from './weights.js';

/**
 * What happens between one cut and the next: conv, pool: one such op; act, norm: elementwise with nothing, or with one
 * value per channel; scale: a gate from a pooled value; move: a change of layout; add, concat: branches that meet;
 * block: anything else.
 */
export type LinkKind = 'conv' | 'pool' | 'act' | 'norm' | 'scale' | 'move' | 'add' | 'concat' | 'block';

/** A cut that lies in the pyramid, and how the network came there from the cut before. */
export interface Link {
  readonly tensor: string;
  readonly place: Geometry;
  readonly stride: number;
  readonly kind: LinkKind;
  /** Positions in the flow of the nodes behind the cut before, up to this one: from `start` on, in front of `end`. */
  readonly start: number;
  readonly end: number;
  /** Of a convolution: kernel, groups, widths, and how many branches are summed into it. */
  readonly conv: {
    readonly kernel: number;
    readonly depthwise: boolean;
    readonly grouped: boolean;
    readonly from: number;
    readonly to: number;
    readonly stride: number;
    readonly branches: number;
  } | null;
  /** Of one matrix on tokens, which is a convolution of size 1 in all but its layout: its widths, in and out. */
  readonly matrix: readonly [number, number] | null;
  /** Whether the value before is added to what the branches made: a residual. */
  readonly residual: boolean;
  /** How many of its nodes do more than change the layout; how many of those are convolutions, and sums. */
  readonly size: number;
  readonly convs: number;
  readonly sums: number;
  /** The largest dilation of its convolutions. */
  readonly dilation: number;
  /** Whether it has weights. */
  readonly isWeighted: boolean;
  /** Whether a norm that follows a convolution is part of it, or the scale that follows a norm. */
  readonly normed: boolean;
}

/** How many nodes a link has. */
export function nodesIn({ start, end }: Link): number {
  return Math.max(0, end - start);
}

const MOVES = new Set([
  'Transpose',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Pad',
  'Slice',
  'Dropout',
  'Cast',
  'DepthToSpace',
  'SpaceToDepth',
  'Split',
  'Gather',
  'Expand',
]);
const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool', 'Resize', 'Upsample']);
const NORMS = new Set([
  'BatchNormalization',
  'LayerNormalization',
  'InstanceNormalization',
  'GroupNormalization',
  'SimplifiedLayerNormalization',
  'RMSNormalization',
  'LpNormalization',
  'LRN',
  'MeanVarianceNormalization',
]);
const CONVS = new Set(['Conv', 'ConvTranspose']);
const MATRICES = new Set([
  'MatMul',
  'Gemm',
  'MatMulNBits',
  'Einsum',
  'Attention',
  'MultiHeadAttention',
  'LSTM',
  'GRU',
  'RNN',
]);
const REDUCTIONS = new Set([
  'ReduceMean',
  'ReduceSum',
  'ReduceMax',
  'ReduceL2',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'ReduceSumSquare',
  'ReduceMin',
]);
const SCALES = new Set(['Mul', 'Add', 'Sub', 'Div']);
const JOINS = new Set(['Add', 'Sum', 'Sub', 'Max']);

/** Ops that make more of a link than an activation, or less. */
const WORKING = new Set(['Concat', ...MOVES, ...POOLS, ...NORMS, ...CONVS, ...MATRICES, ...REDUCTIONS]);

const chains = new WeakMap<Analysis, readonly Link[]>();

/** The pyramid as a chain of cuts; found once. */
export function linksOf(analysis: Analysis): readonly Link[] {
  let links = chains.get(analysis);
  if (links === undefined) chains.set(analysis, (links = linksAnew(analysis)));
  return links;
}

/** A link that may still grow. */
type LinkDraft = { -readonly [key in keyof Link]: Link[key] };

function linksAnew({ view, flow, geometry, places }: Analysis): readonly Link[] {
  const { columns, rows } = flow;
  const isWorking = isOneOf(columns, WORKING);
  const isJoin = isOneOf(columns, JOINS);
  const links: LinkDraft[] = [];
  /** The numbers of their tensors. */
  const ends: number[] = [];
  let start = 0;
  let before = -1;
  /** The place that was looked at last: neighbours share theirs. */
  let seen: Geometry | null = null;
  let stride: number | null = null;
  /** Whether the last link is nothing but activations of the kind that a plain one adds to. */
  let grows = false;
  for (const tensor of flow.cuts) {
    const place = places[tensor];
    const end = flow.positions[tensor] + 1;
    if (place !== seen) stride = strideInPyramid(place);
    seen = place;
    if (place === null || stride === null || end <= start) continue;
    const last = links.at(-1);
    if (last?.kind === 'act' && isPlain(columns.nodes, rows, start, end, isWorking)) {
      // A chain of activations may be as long as the network.
      if (!grows || last.place !== place) Object.assign(last, { place, stride, ...UNWEIGHTED });
      grows = true;
      last.end = end;
      last.size = end - start;
      last.sums = 0;
      for (let at = start; at < end; at++) if (isJoin(rows[at])) last.sums++;
      ends[ends.length - 1] = tensor;
      start = end;
      before = tensor;
      continue;
    }
    grows = false;
    const span = nodesBetween(flow, start, end);
    const convs = countOf(span, CONVS);
    const link: LinkDraft = {
      tensor: '',
      place,
      stride,
      start,
      end,
      size: span.length - countOf(span, MOVES),
      convs,
      sums: countOf(span, JOINS),
      dilation: span.reduce((most, node) => largestOf(node, 'dilations', most), 1),
      isWeighted: convs + countOf(span, MATRICES) > 0,
      normed: false,
      matrix: matrixOf(view, span),
      ...linkKind(view, span, before < 0 ? (flow.input ?? '') : columns.nameOf(before), geometry),
    };
    const isOwnNorm = last?.kind === 'conv' && link.kind === 'norm' && place.axes?.join('') === 'NCHW';
    const isItsScale =
      last !== undefined &&
      (last.kind === 'norm' || (last.kind === 'conv' && last.normed)) &&
      link.kind === 'act' &&
      span.every((node) => SCALES.has(node.opType) && node.inputs.filter((name) => geometry.has(name)).length === 1);
    const isItsAffine =
      last?.kind === 'conv' && link.kind === 'act' && span.every((node) => isAffine(view, geometry, node));
    if (last !== undefined && (isOwnNorm || isItsScale || isItsAffine))
      Object.assign(last, { place, end, normed: true });
    else if (last?.kind === 'act' && link.kind === 'act') Object.assign(last, { ...link, start: last.start });
    else {
      links.push(link);
      ends.push(-1);
    }
    ends[ends.length - 1] = tensor;
    start = end;
    before = tensor;
  }
  for (let at = 0; at < links.length; at++) links[at].tensor = columns.nameOf(ends[at]);
  return links;
}

/** The stride of a place that a link may end at; null for any other. */
function strideInPyramid(place: Geometry | null): number | null {
  if (place === null || place.pooled || place.axes === null || place.axes.length < 3) return null;
  return place.axes.includes('?') ? null : place.stride;
}

/** Whether nodes between two cuts make an activation and nothing more: most links of a large graph are. */
function isPlain(
  nodes: readonly Node[],
  rows: Int32Array,
  start: number,
  end: number,
  isWorking: (row: number) => boolean,
): boolean {
  for (let at = start; at < end; at++) if (isWorking(rows[at]) || nodes[rows[at]].attributes.length > 0) return false;
  return true;
}

/** What holds of an activation. */
const UNWEIGHTED = {
  dilation: 1,
  convs: 0,
  conv: null,
  matrix: null,
  isWeighted: false,
  normed: false,
  residual: false,
} as const;

/** The widths of the one matrix among nodes that otherwise change the layout or add a bias. */
function matrixOf(view: GraphView, nodes: readonly Node[]): Link['matrix'] {
  const core = nodes.filter(({ opType }) => !MOVES.has(opType));
  return core.length === 1 ? matrixWidths(view, core[0]) : null;
}

function countOf(nodes: readonly Node[], ops: ReadonlySet<string>): number {
  let count = 0;
  for (const { opType } of nodes) if (ops.has(opType)) count++;
  return count;
}

/** A value per channel added or multiplied: a bias, or a part of a BatchNorm that was written out. */
function isAffine(view: GraphView, geometry: ReadonlyMap<string, Geometry>, { opType, inputs }: Node): boolean {
  const others = inputs.filter((name) => !geometry.has(name));
  const count = (name: string): number => (weightDims(view, name) ?? [1]).reduce((product, dim) => product * dim, 1);
  return (
    MOVES.has(opType) ||
    (SCALES.has(opType) && others.length === inputs.length - 1 && others.some((name) => count(name) > 1))
  );
}

/** Channels in another order in the layout of before (ShuffleNet): work of the network, not a change of layout. */
function isShuffle(nodes: readonly Node[], before: string, geometry: ReadonlyMap<string, Geometry>): boolean {
  const [from, to] = [before, nodes[nodes.length - 1].outputs[0]].map((name) => geometry.get(name)?.axes?.join(''));
  const ops = nodes.map(({ opType }) => opType);
  return (
    from === to &&
    (from === 'NCHW' || from === 'NHWC') &&
    ops.filter((op) => op === 'Reshape').length > 1 &&
    ops.filter((op) => op === 'Transpose').length === 1
  );
}

function linkKind(
  view: GraphView,
  nodes: readonly Node[],
  before: string,
  geometry: ReadonlyMap<string, Geometry>,
): Pick<Link, 'kind' | 'conv' | 'residual'> {
  const plain = (kind: LinkKind): Pick<Link, 'kind' | 'conv' | 'residual'> => ({ kind, conv: null, residual: false });
  const core = nodes.filter(({ opType }) => !MOVES.has(opType));
  if (core.length === 0) return plain(isShuffle(nodes, before, geometry) ? 'block' : 'move');
  const [only] = core;
  if (core.length === 1 && CONVS.has(only.opType)) return { kind: 'conv', conv: convOf(view, only), residual: false };
  if (core.length === 1 && POOLS.has(only.opType)) return plain('pool');
  if (core.length === 1 && NORMS.has(only.opType)) return plain('norm');
  const mixed = mixedConv(view, core) ?? summedConv(view, core, before, geometry);
  if (mixed !== null) return { kind: 'conv', conv: mixed, residual: false };
  const convs = core.filter(({ opType }) => CONVS.has(opType));
  const isOnMap = (node: Node): boolean => node.outputs.some((name) => geometry.get(name)?.pooled === false);
  const working =
    convs.some(isOnMap) || core.some((node) => (MATRICES.has(node.opType) && isOnMap(node)) || POOLS.has(node.opType));
  const last = nodes[nodes.length - 1];
  if (!working) {
    if (core.some((node) => NORMS.has(node.opType))) return plain('norm');
    const reduced = core.some(({ opType }) => REDUCTIONS.has(opType));
    if (reduced)
      return plain(
        core.some(
          (node) =>
            convs.includes(node) ||
            MATRICES.has(node.opType) ||
            node.opType === 'Sigmoid' ||
            node.opType === 'HardSigmoid',
        )
          ? 'scale'
          : 'norm',
      );
    return plain(last.opType === 'Concat' ? 'concat' : 'act');
  }
  const end = core[core.length - 1];
  if (JOINS.has(end.opType)) return { kind: 'add', conv: null, residual: end.inputs.includes(before) };
  if (end.opType === 'Concat') return plain('concat');
  return plain('block');
}

/** Convolutions side by side on parts of the channels, joined again: one convolution of several kernels. */
function mixedConv(view: GraphView, core: readonly Node[]): Link['conv'] {
  const parts = core.slice(0, -1);
  if (core[core.length - 1].opType !== 'Concat' || parts.length < 2 || !parts.every(({ opType }) => CONVS.has(opType)))
    return null;
  const convs = parts.flatMap((node) => convOf(view, node) ?? []);
  const sum = (read: (conv: NonNullable<Link['conv']>) => number): number =>
    convs.reduce((total, conv) => total + read(conv), 0);
  const largest = (read: (conv: NonNullable<Link['conv']>) => number): number =>
    convs.reduce((most, conv) => Math.max(most, read(conv)), -Infinity);
  return {
    kernel: largest(({ kernel }) => kernel),
    depthwise: convs.every(({ depthwise }) => depthwise),
    grouped: true,
    from: sum(({ from }) => from),
    to: sum(({ to }) => to),
    stride: largest(({ stride }) => stride),
    branches: 1,
  };
}

/**
 * Convolutions and norms of the same input, summed with nothing else between: one convolution that was trained in
 * branches (RepVGG, MobileOne).
 */
function summedConv(
  view: GraphView,
  core: readonly Node[],
  before: string,
  geometry: ReadonlyMap<string, Geometry>,
): Link['conv'] {
  if (!JOINS.has(core[core.length - 1].opType) || countOf(core, CONVS) === 0) return null;
  const inside = new Set(core.flatMap(({ outputs }) => outputs));
  for (const node of core) {
    const [data] = node.inputs;
    const isLayer = CONVS.has(node.opType) || node.opType === 'BatchNormalization';
    if (
      isLayer
        ? data !== before
        : !JOINS.has(node.opType) || !node.inputs.every((name) => inside.has(name) || !geometry.has(name))
    )
      return null;
  }
  const convs = core.filter(({ opType }) => CONVS.has(opType)).flatMap((node) => convOf(view, node) ?? []);
  const widest = convs.reduce((a, b) => (b.kernel > a.kernel ? b : a));
  return { ...widest, branches: core.filter(({ opType }) => !JOINS.has(opType)).length };
}

function convOf(view: GraphView, node: Node): Link['conv'] {
  const dims = weightDims(view, node.inputs[1]) ?? [];
  const groups = intOf(node, 'group', 1);
  const [to = 0, perGroup = 0] = dims;
  const window = dims.length > 2 ? dims.slice(2) : intsOf(node, 'kernel_shape');
  const kernel = window.reduce((most, size) => Math.max(most, size), 1);
  return {
    kernel,
    depthwise: groups > 1 && perGroup === 1,
    grouped: groups > 1,
    from: perGroup * groups,
    to,
    stride: largestOf(node, 'strides', 1),
    branches: 1,
  };
}
