import type { GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { nodeAt, type Flow } from '../flow.js';
import { sameShape } from '../geometry.js';
import { nodesIn, type Link } from '../chain.js';
import { weightDims } from '../weights.js';

/** Fewest equal blocks that count as a row. */
const LEAST_BLOCKS = 3;
/** Most links that one block may have. */
const LONGEST_PERIOD = 12;

/**
 * The ends of a row of equal blocks that keeps one shape at the deepest stride and holds most of the network, or null.
 */
export function isotropicRun({ view, flow }: Analysis, links: readonly Link[]): readonly Link[] | null {
  const meetings = links.filter(({ kind }) => kind === 'add' || kind === 'block' || kind === 'concat');
  const deepest = links.reduce((most, { stride }) => Math.max(most, stride), 0);
  const deepestTokens = links.reduce(
    (most, { stride, place }) => (place.axes?.includes('L') ? Math.max(most, stride) : most),
    0,
  );
  const bodies = meetings.map((link) => signature(view, flow, link));
  let best: readonly Link[] | null = null;
  let bestSize = 0;
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    for (const [first, last] of repeats(bodies, period, meetings)) {
      const ends = meetings
        .slice(first, last + 1)
        .filter((_, at) => at % period === period - 1)
        .map((end) => movedBack(links, meetings[first], end));
      const size = meetings.slice(first, last + 1).reduce((sum, link) => sum + nodesIn(link), 0);
      const most = ends[0]?.place.axes?.includes('L') ? deepestTokens : deepest;
      if (ends.length < LEAST_BLOCKS || ends[0].stride !== most || size <= bestSize) continue;
      [best, bestSize] = [ends, size];
    }
    if (best !== null) break;
  }
  if (best === null || bestSize < 0.3 * flow.rows.length) return null;
  const stride = best[0].stride;
  const isTokens =
    best.every(({ place }) => place.axes?.includes('L')) &&
    meetings.every((link) => link.stride === stride || !link.place.axes?.includes('L'));
  const strides = new Set(links.map(({ stride }) => stride).filter((stride) => stride > 1));
  return isTokens || (strides.size === 1 && bestSize >= 0.5 * flow.rows.length) ? best : null;
}

/**
 * A block's end in the layout that its first sum has: blocks that work on tokens and hand on maps change back behind
 * their last sum.
 */
function movedBack(links: readonly Link[], first: Link, end: Link): Link {
  const layout = first.place.axes?.join();
  if (end.place.axes?.join() === layout) return end;
  for (let at = links.indexOf(end) + 1; links[at]?.kind === 'move'; at++)
    if (links[at].place.axes?.join() === layout) return links[at];
  return end;
}

const WEIGHTY = new Set([
  'Conv',
  'MatMul',
  'Gemm',
  'Softmax',
  'LayerNormalization',
  'Add',
  'Erf',
  'Gelu',
  'Sigmoid',
  'Einsum',
  'Attention',
]);

/**
 * The ops that weigh, in order, with the sizes of their weights; glue that exporters write in many ways is left out.
 */
function signature(view: GraphView, flow: Flow, { start, end }: Link): string {
  const parts: string[] = [];
  for (let at = start; at < end; at++) {
    const { opType, inputs } = nodeAt(flow, at);
    if (!WEIGHTY.has(opType)) continue;
    const dims = weightDims(view, inputs[1]);
    parts.push(dims === null || dims.length < 2 ? opType : `${opType}${dims.join('x')}`);
  }
  return parts.join();
}

/** Maximal stretches in which every entry equals the one `period` before, and shapes stay. */
function* repeats(
  bodies: readonly string[],
  period: number,
  meetings: readonly Link[],
): Generator<readonly [number, number]> {
  let first = 0;
  for (let at = period; at <= bodies.length; at++) {
    if (
      at < bodies.length &&
      bodies[at] === bodies[at - period] &&
      sameShape(meetings[at].place.shape, meetings[at - period].place.shape)
    )
      continue;
    if (at - first >= (LEAST_BLOCKS - 0.5) * period) yield [first, at - 1];
    first = at - period + 1;
  }
}
