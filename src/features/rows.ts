import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import {
  flowBetween,
  nodesBetween,
  reachableFrom,
  wholeFlow,
  type Flow,
  type Stretch,
  type TensorSet,
} from './flow.js';
import { weightDims } from './weights.js';

/** What a network does between two places where all that it computes is one tensor. */
export interface Segment {
  /** The tensor at its end. */
  readonly tensor: string;
  /** Positions in the flow of its nodes. */
  readonly nodes: readonly number[];
  /** The ops that weigh, in order, with the sizes of their weights. */
  readonly signature: string;
  readonly attends: boolean;
  /** Whether all that it does is change type or shape. */
  readonly isGlue: boolean;
}

/** Equal blocks behind each other on one stream. */
export interface Row {
  readonly flow: Flow;
  /** The tensor that enters the first block. */
  readonly start: string;
  readonly blocks: readonly Block[];
  /** Share of the nodes behind `start` that lie in the blocks. */
  readonly share: number;
  readonly attends: boolean;
}

/** A tensor that ends a block, and the nodes of that block. */
export interface Block {
  readonly tensor: string;
  /** Positions in the flow. */
  readonly nodes: readonly number[];
}

const WEIGHTED = new Set([
  'MatMul',
  'Gemm',
  'Conv',
  'MatMulNBits',
  'ConvTranspose',
  'LSTM',
  'GRU',
  'RNN',
  'MoE',
  'QMoE',
]);
/** Attention as one op. */
const ATTENTIONS = new Set([
  'Attention',
  'MultiHeadAttention',
  'GroupQueryAttention',
  'QAttention',
  'PackedAttention',
  'PackedMultiHeadAttention',
  'DecoderMaskedSelfAttention',
  'DecoderMaskedMultiHeadAttention',
  'SparseAttention',
  'PagedAttention',
  'LongformerAttention',
]);
/** Ops without which no block attends. */
export const ATTENDING: ReadonlySet<string> = new Set([...ATTENTIONS, 'Softmax']);
const GLUE = new Set([
  'Cast',
  'Identity',
  'Dropout',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Transpose',
  'Slice',
  'Pad',
]);
const LEAST_BLOCKS = 2;
/**
 * Segments that one block may have: self attention, cross attention, two feed-forwards, a convolution, and their norms.
 */
const LONGEST_PERIOD = 16;
/** Least share of the network that equal blocks without attention must hold. */
const LEAST_SHARE = 0.5;

/** The row of equal blocks that data from `source` runs through on its way to the deepest output, or null. */
export function rowFrom(view: GraphView, source: string): Row | null {
  const { order } = wholeFlow(view);
  const data = reachableFrom(order, [source]);
  const sink = deepestOutput(view, order, data);
  if (sink === null) return null;
  const flow = flowBetween(order, source, data, [sink]);
  const segments = segmentsOf(view, flow);
  const found = periodicRow(segments) ?? attentionRow(segments);
  if (found === null) return null;
  const { ends, first } = found;
  const start = first === 0 ? source : segments[first - 1].tensor;
  const blocks = ends.map((end, at): Block => {
    const from = at === 0 ? first : ends[at - 1] + 1;
    return { tensor: endOf(segments, end, from), nodes: segments.slice(from, end + 1).flatMap(({ nodes }) => nodes) };
  });
  const behind = segments.slice(first).reduce((sum, { nodes }) => sum + nodes.length, 0);
  const share = blocks.reduce((sum, { nodes }) => sum + nodes.length, 0) / Math.max(1, behind);
  const attends = segments.slice(first, (ends.at(-1) ?? first) + 1).some((segment) => segment.attends);
  return attends || share >= LEAST_SHARE ? { flow, start, blocks, share, attends } : null;
}

/** Of the outputs that the data reaches the one that most of it leads to; caches beside it are shallower. */
function deepestOutput(view: GraphView, { columns, rows }: Stretch, data: TensorSet): string | null {
  const { names, tensorOf, reads, makes } = columns;
  const depth = new Int32Array(names.length);
  for (const row of rows) {
    let deepest = 0;
    for (let at = reads.starts[row]; at < reads.starts[row + 1]; at++)
      if (data.marks[reads.items[at]] === 1) deepest = Math.max(deepest, depth[reads.items[at]] + 1);
    if (deepest === 0) continue;
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++)
      if (data.marks[makes.items[at]] === 1) depth[makes.items[at]] = deepest;
  }
  const depthOf = (name: string): number => depth[tensorOf.get(name) ?? depth.length] ?? 0;
  let best: string | null = null;
  for (const name of view.outputs.keys())
    if (data.has(name) && (best === null || depthOf(name) > depthOf(best))) best = name;
  return best;
}

function segmentsOf(view: GraphView, flow: Flow): readonly Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (const cut of flow.cuts) {
    const tensor = flow.columns.nameOf(cut);
    const at = flow.positions[cut];
    if (at < from) continue;
    const nodes: number[] = [];
    for (let node = from; node <= at; node++) nodes.push(node);
    segments.push({ tensor, nodes, ...contentOf(view, nodesBetween(flow, from, at + 1)) });
    from = at + 1;
  }
  return segments;
}

function contentOf(view: GraphView, nodes: readonly Node[]): Pick<Segment, 'signature' | 'attends' | 'isGlue'> {
  const parts: string[] = [];
  let products = 0;
  let softmaxes = 0;
  let attends = false;
  for (const { opType, inputs } of nodes) {
    if (ATTENTIONS.has(opType)) attends = true;
    if (opType === 'Softmax') softmaxes++;
    const dims = WEIGHTED.has(opType) ? weightDims(view, inputs[1]) : null;
    if (opType === 'MatMul' && dims === null) products++;
    if (dims !== null) parts.push(`${opType}${dims.join('x')}`);
    else if (ATTENTIONS.has(opType) || opType === 'Softmax' || /Norm/.test(opType)) parts.push(opType);
  }
  return {
    // Exporters order the products of one block as they like.
    signature: parts.sort().join(),
    attends: attends || (softmaxes > 0 && products > 0),
    isGlue: nodes.every(({ opType }) => GLUE.has(opType)),
  };
}

interface Found {
  /** The first segment of the first block. */
  readonly first: number;
  /** The last segment of each block. */
  readonly ends: readonly number[];
}

/**
 * The stretch of segments that repeats itself: with attention if there is one, and of those the one that holds most
 * nodes. Segments without weights are passed over.
 */
function periodicRow(segments: readonly Segment[]): Found | null {
  const weighty = segments.flatMap(({ signature }, at) => (signature === '' ? [] : [at]));
  const seen = weighty.map((at) => segments[at].signature);
  let best: Found | null = null;
  let bestSize = 0;
  let bestAttends = false;
  for (let period = 1; period <= LONGEST_PERIOD && period * LEAST_BLOCKS <= seen.length; period++) {
    for (const [from, to] of stretches(seen, period)) {
      const phase = withLeader(seen, phaseOf(segments, weighty, from, to, period), period);
      const count = Math.floor((to - phase + 1) / period);
      const once = weighty.slice(phase, phase + period);
      if (count < LEAST_BLOCKS || !once.some((at) => WORK.test(segments[at].signature))) continue;
      const last = weighty[phase + count * period - 1];
      const attends = once.some((at) => segments[at].attends);
      const size = segments.slice(once[0], last + 1).reduce((sum, { nodes }) => sum + nodes.length, 0);
      // A longer period of the same row holds no more, but for a block that is cut off.
      if (attends === bestAttends ? size <= bestSize * 1.1 : bestAttends) continue;
      const starts = Array.from({ length: count * period }, (_, at) => weighty[phase + at]).filter(
        (at, index) =>
          index % period === 0 || (segments[at].attends && segments[at].signature === segments[once[0]].signature),
      );
      best = endsOf(segments, starts, last);
      bestSize = size;
      bestAttends = attends;
    }
  }
  return best;
}

/** Signatures of segments that work, not norms alone. */
const WORK = /MatMul|Gemm|Conv|LSTM|GRU|RNN|MoE|Attention/;

/**
 * Where blocks end that begin at `starts`: in front of the next one; the last goes on over as many weightless segments
 * as the one before it.
 */
function endsOf(segments: readonly Segment[], starts: readonly number[], last: number): Found {
  const ends = starts.slice(1).map((start) => start - 1);
  const isLight = (at: number): boolean => segments[at]?.signature === '';
  let tail = 0;
  while (ends.length > 0 && isLight(ends[ends.length - 1] - tail)) tail++;
  let end = last;
  while (end < last + tail && isLight(end + 1)) end++;
  return { first: starts[0], ends: [...ends, end] };
}

/** Maximal stretches in which every entry equals the one `period` before. */
function* stretches(seen: readonly string[], period: number): Generator<readonly [number, number]> {
  let first = 0;
  for (let at = period; at <= seen.length; at++) {
    if (at < seen.length && seen[at] === seen[at - period]) continue;
    if (at - first >= LEAST_BLOCKS * period) yield [first, at - 1];
    first = at - period + 1;
  }
}

/**
 * Where blocks begin: with attention, if one of the places that the stretch leaves open does; else as early as it can.
 */
function phaseOf(
  segments: readonly Segment[],
  weighty: readonly number[],
  from: number,
  to: number,
  period: number,
): number {
  const spare = (to - from + 1) % period;
  for (let phase = from; phase <= from + spare; phase++) if (segments[weighty[phase]].attends) return phase;
  return from;
}

/**
 * One block earlier, if what stands there does the same work but for its norms: the first block may have its norm in
 * the embeddings (ModernBERT).
 */
function withLeader(seen: readonly string[], phase: number, period: number): number {
  const leader = seen.slice(Math.max(0, phase - period), phase);
  const same = leader.length === period && leader.every((one, at) => workOf(one) === workOf(seen[phase + at]));
  return same && leader.some((one) => WORK.test(one)) ? phase - period : phase;
}

function workOf(signature: string): string {
  return signature
    .split(',')
    .filter((part) => !part.includes('Norm'))
    .join();
}

/** Blocks that differ: from one attention to the next. */
function attentionRow(segments: readonly Segment[]): Found | null {
  const starts = segments.flatMap(({ attends }, at) => (attends ? [at] : []));
  if (starts.length <= LEAST_BLOCKS) return null;
  // Nothing says where the last one ends but the length of the one before.
  const ends = starts.slice(1).map((start) => start - 1);
  const last = starts.length - 1;
  const length = ends[last - 1] - starts[last - 1];
  return { first: starts[0], ends: [...ends, Math.min(segments.length - 1, starts[last] + length)] };
}

/** The last tensor of a block that is not a change of type or shape for what comes next. */
function endOf(segments: readonly Segment[], end: number, from: number): string {
  let at = end;
  while (at > from && segments[at].isGlue) at--;
  return segments[at].tensor;
}
