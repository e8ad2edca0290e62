import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { nodeAt, nodeIf, type Flow } from './flow.js';
import { isMap, type Geometry, type Places } from './geometry.js';
import { isOneOf } from './operators.js';
import { matrixWidths } from './weights.js';

/** A way from the backbone into a map that an upsampling made. */
export interface Lateral {
  /** The tensor of the backbone it leaves. */
  readonly from: string;
  /** Its convolutions, and the matrices on tokens that do their work, in order. */
  readonly convs: readonly Node[];
  /** What it ends in, which the merge reads. */
  readonly into: string;
  readonly merge: Node;
}

/** Longest lateral that is followed, in nodes. */
const LONGEST = 24;

/** Operators that put maps together. */
export const MERGES = new Set(['Add', 'Sum', 'Concat']);

/** Every lateral: from each place where a map that was upsampled meets one that was not, back to the backbone. */
export function lateralsOf(view: GraphView, network: Flow, trunk: Flow, geometry: Places): readonly Lateral[] {
  const laterals: Lateral[] = [];
  if (!geometry.goesUp) return laterals;
  const isMerge = isOneOf(network.columns, MERGES);
  for (const row of network.rows) {
    if (!isMerge(row)) continue;
    const merge = network.columns.nodes[row];
    const places = merge.inputs.map((name) => geometry.get(name));
    if (!places.some((place) => place?.upsampled === true)) continue;
    merge.inputs.forEach((name, at) => {
      const place = places[at];
      if (place === undefined || place.upsampled || !isMap(place)) return;
      const lateral = followed(view, network, trunk, geometry, name);
      if (lateral !== null) laterals.push({ ...lateral, into: name, merge });
    });
  }
  return laterals;
}

/** The way back from a tensor to the backbone; of a gated value or a sum with one, the value itself. */
function followed(
  view: GraphView,
  network: Flow,
  trunk: Flow,
  geometry: ReadonlyMap<string, Geometry>,
  name: string,
): Pick<Lateral, 'from' | 'convs'> | null {
  const convs: Node[] = [];
  let at: string | undefined = name;
  for (let step = 0; at !== undefined && step < LONGEST; step++) {
    if (trunk.position.has(at)) return { from: at, convs: convs.reverse() };
    const position: number = network.position.get(at) ?? -1;
    const node: Node | undefined = nodeIf(network, position);
    if (node === undefined) return null;
    if (node.opType === 'Conv' || matrixWidths(view, node) !== null) convs.push(node);
    at = earliest(
      network,
      node.inputs.filter((input) => isOnMap(geometry.get(input))),
    );
  }
  return null;
}

function isOnMap(place: Geometry | undefined): boolean {
  return place !== undefined && isMap(place);
}

function earliest(network: Flow, names: readonly string[]): string | undefined {
  let first: string | undefined;
  for (const name of names)
    if (first === undefined || (network.position.get(name) ?? -1) < (network.position.get(first) ?? -1)) first = name;
  return first;
}

/** The convolutions with which heads leave a backbone. */
export function headsOf(network: Flow, trunk: Flow, tapped: ReadonlySet<string>): readonly Lateral[] {
  return [...tapped].flatMap((from) =>
    (network.readers.get(from) ?? []).flatMap((reader) => {
      const node = nodeAt(network, reader);
      return trunk.atRow[network.rows[reader]] >= 0 || node.opType !== 'Conv'
        ? []
        : [{ from, convs: [node], into: node.outputs[0], merge: node }];
    }),
  );
}
