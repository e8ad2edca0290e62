import type { Analysis } from '../analysis.js';
import { sameShape } from '../geometry.js';
import type { Link } from '../chain.js';

/** Fewest equal blocks that count as a row. */
const LEAST_BLOCKS = 3;
/** Most links that one block may have. */
const LONGEST_PERIOD = 12;

/** The ends of a row of equal blocks that keeps one shape at the deepest stride and holds most of the network, or null. */
export function isotropicRun({ flow }: Analysis, links: readonly Link[]): readonly Link[] | null {
  const meetings = links.filter(({ kind }) => kind === 'add' || kind === 'block' || kind === 'concat');
  const deepest = Math.max(0, ...links.map(({ stride }) => stride));
  const bodies = meetings.map((link) => signature(flow.nodes.map(({ opType }) => opType), link));
  let best: readonly Link[] | null = null;
  let bestSize = 0;
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    for (const [first, last] of repeats(bodies, period, meetings)) {
      const ends = meetings.slice(first, last + 1).filter((_, at) => at % period === period - 1);
      const size = meetings.slice(first, last + 1).reduce((sum, { nodes }) => sum + nodes.length, 0);
      if (ends.length < LEAST_BLOCKS || ends[0].stride !== deepest || size <= bestSize) continue;
      [best, bestSize] = [ends, size];
    }
    if (best !== null) break;
  }
  if (best === null || bestSize < 0.5 * flow.nodes.length) return null;
  const isTokens = best.every(({ place }) => place.axes?.includes('L'));
  const strides = new Set(links.map(({ stride }) => stride).filter((stride) => stride > 1));
  return isTokens || strides.size === 1 ? best : null;
}

/** The ops that weigh, in order; glue that exporters write in many ways is left out. */
function signature(ops: readonly string[], { nodes }: Link): string {
  return nodes.map((at) => ops[at]).filter((op) => ['Conv', 'MatMul', 'Gemm', 'Softmax', 'LayerNormalization', 'Add', 'Erf', 'Sigmoid'].includes(op)).join();
}

/** Maximal stretches in which every entry equals the one `period` before, and shapes stay. */
function* repeats(bodies: readonly string[], period: number, meetings: readonly Link[]): Generator<readonly [number, number]> {
  let first = 0;
  for (let at = period; at <= bodies.length; at++) {
    if (at < bodies.length && bodies[at] === bodies[at - period] && sameShape(meetings[at].place.shape, meetings[at - period].place.shape)) continue;
    if (at - first >= (LEAST_BLOCKS - 0.5) * period) yield [first, at - 1];
    first = at - period + 1;
  }
}
