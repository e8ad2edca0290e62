import { tappedOf, type Analysis } from './analysis.js';
import { flowBetween, nodeAt, nodesBetween, reachableFrom, type Flow, type TensorSet } from './flow.js';
import { isMap } from './geometry.js';
import { headsOf } from './laterals.js';

/** Fewest convolutions and strides of a stream that is a network of its own, not a branch of a stem. */
const LEAST_CONVS = 4;
const LEAST_STRIDES = 3;

const CONVS = new Set(['Conv', 'ConvTranspose']);

/**
 * Streams that leave the image and share nothing until their heads: of each what its features are found in. Fewer than
 * two are none.
 */
export function towersOf(analysis: Analysis): readonly Analysis[] {
  const { network, flow, geometry, view } = analysis;
  if (flow.input === null) return [];
  const input = flow.input;
  const data = reachableFrom(network, [input]);
  const streams = streamsOf(network, input, data);
  const towers: Analysis[] = [];
  for (const nodes of streams) {
    const own = new Set(nodes);
    const maps = nodes.flatMap((at) => nodeAt(network, at).outputs.filter((name) => isPlaced(geometry, name)));
    const strides = new Set(maps.map((name) => geometry.get(name)?.stride));
    const convs = nodes.filter((at) => CONVS.has(nodeAt(network, at).opType)).length;
    if (convs < LEAST_CONVS || strides.size < LEAST_STRIDES) continue;
    const end = longest(network, nodes, own);
    if (end === null) continue;
    const tower = flowBetween(network, input, data, [end]);
    const tapped = tappedOf(view, network, tower);
    const laterals = headsOf(network, tower, tapped);
    towers.push({ ...analysis, flow: tower, classifies: false, tapped, laterals });
  }
  return towers.length > 1 ? towers : [];
}

/** What the most convolutions of a stream lead to, one after the other. */
function longest(network: Flow, nodes: readonly number[], own: ReadonlySet<number>): string | null {
  const depth = new Map<string, number>();
  let end: string | null = null;
  for (const at of nodes) {
    const node = nodeAt(network, at);
    const before = node.inputs.reduce((most, name) => Math.max(most, depth.get(name) ?? 0), 0);
    const [output] = node.outputs;
    depth.set(output, before + (CONVS.has(node.opType) ? 1 : 0));
    if (end === null || (depth.get(output) ?? 0) >= (depth.get(end) ?? 0)) end = output;
  }
  const goesOn = (name: string): boolean => (network.readers.get(name) ?? []).some((reader) => own.has(reader));
  return end === null || goesOn(end) ? null : end;
}

function isPlaced(geometry: Analysis['geometry'], name: string): boolean {
  const place = geometry.get(name);
  return place !== undefined && isMap(place);
}

/**
 * Positions of the nodes of each stream: what depends on one of the convolutions that read the image, and on no other.
 */
function streamsOf(network: Flow, input: string, data: TensorSet): readonly (readonly number[])[] {
  const ROOT = -1;
  const MIXED = -2;
  const label = new Map<string, number>([[input, ROOT]]);
  const streams = new Map<number, number[]>();
  nodesBetween(network, 0).forEach((node, at) => {
    const labels = new Set<number>();
    for (const name of node.inputs) if (data.has(name)) labels.add(label.get(name) ?? MIXED);
    if (labels.size === 0) return;
    labels.delete(labels.size > 1 ? ROOT : MIXED - 1);
    const [first] = labels;
    const own = labels.size > 1 ? MIXED : first === ROOT && CONVS.has(node.opType) ? at : first;
    for (const name of node.outputs) label.set(name, own);
    if (own < 0) return;
    const stream = streams.get(own);
    if (stream === undefined) streams.set(own, [at]);
    else stream.push(at);
  });
  return [...streams.values()];
}
