import { readsOf } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { flowBetween, nodesBetween, OFF, type Flow, type Stretch, type TensorSet } from './flow.js';
import { isMap, type Geometry, type Places } from './geometry.js';
import { largestOf } from './node-attributes.js';

/** Where the backbone of a network ends. */
export interface Ends {
  /** Tensors that the way from the image is followed to; each is needed to the end. */
  readonly sinks: readonly string[];
  /** Whether they are a classifier's scores. */
  readonly classifies: boolean;
}

/**
 * The ends of the backbone: the scores of a classifier; of any other network the exits of its deepest level, which are
 * what an output is or what goes on to no map of that level: a head, an upsampling, a vector.
 */
export function endsOf(
  whole: Flow,
  geometry: Places,
  input: string,
  outputs: readonly string[],
  { inside }: Closed,
): Ends {
  const scores = scoresAmong(geometry, input, outputs);
  if (scores.length > 0) return { sinks: scores, classifies: true };
  const deepest = deepestStride(whole, geometry, inside);
  if (deepest <= 1) return { sinks: outputs, classifies: false };
  return { sinks: exitsAt(whole, geometry, deepest, outputs, inside), classifies: false };
}

/** The maps of a stride that are outputs, or that go on to no map of that stride. */
function exitsAt(
  whole: Flow,
  geometry: Places,
  stride: number,
  outputs: readonly string[],
  inside: ReadonlySet<string>,
): readonly string[] {
  const { columns, rows, atRow, positions } = whole;
  const { tensorOf, reads, makes, readers, maker } = columns;
  const isDeep = new Uint8Array(maker.length);
  let before: Geometry | null = null;
  let isAt = false;
  let first = rows.length;
  for (let tensor = 0; tensor < isDeep.length; tensor++) {
    const place = geometry.at[tensor];
    if (place !== before) isAt = isAtStride(place, stride);
    before = place;
    if (!isAt) continue;
    isDeep[tensor] = 1;
    if (positions[tensor] !== OFF && positions[tensor] < first) first = positions[tensor];
  }
  for (const name of inside) isDeep[tensorOf.get(name) ?? isDeep.length] = 0;
  // What stands in front of the first such map reads none.
  /** Tensors that lead to a map of that stride. */
  const leads = new Uint8Array(isDeep.length);
  const goesOn = new Uint8Array(atRow.length);
  for (let at = rows.length - 1; at > first; at--) {
    const row = rows[at];
    for (let made = makes.starts[row]; made < makes.starts[row + 1] && goesOn[row] === 0; made++)
      if (isDeep[makes.items[made]] === 1 || leads[makes.items[made]] === 1) goesOn[row] = 1;
    if (goesOn[row] === 0) continue;
    for (let read = reads.starts[row]; read < reads.starts[row + 1]; read++) leads[reads.items[read]] = 1;
  }
  const isEnd = new Uint8Array(isDeep.length);
  for (const name of outputs) isEnd[tensorOf.get(name) ?? isDeep.length] = 1;
  const isExit = (tensor: number): boolean => {
    if (isEnd[tensor] === 1) return true;
    for (let at = readers.starts[tensor]; at < readers.starts[tensor + 1]; at++)
      if (atRow[readers.items[at]] >= 0 && goesOn[readers.items[at]] === 0) return true;
    return false;
  };
  const exits: string[] = [];
  const add = (tensor: number): void => void exits.push(columns.nameOf(tensor));
  for (let tensor = 0; tensor < isDeep.length; tensor++)
    if (isDeep[tensor] === 1 && positions[tensor] === -1 && isExit(tensor)) add(tensor);
  for (let at = Math.max(0, first); at < rows.length; at++)
    for (let made = makes.starts[rows[at]]; made < makes.starts[rows[at] + 1]; made++) {
      const tensor = makes.items[made];
      if (isDeep[tensor] === 1 && positions[tensor] === at && isExit(tensor)) add(tensor);
    }
  return exits;
}

/** Outputs that are one vector per image, unless they stand beside maps that an upsampling made. */
function scoresAmong(
  geometry: ReadonlyMap<string, Geometry>,
  input: string,
  outputs: readonly string[],
): readonly string[] {
  const batch = geometry.get(input)?.shape?.[0] ?? 1;
  const vectors = outputs.filter((name) => {
    const shape = geometry.get(name)?.shape;
    return shape?.length === 2 && (shape[0] === null || shape[0] === batch);
  });
  if (vectors.length === outputs.length) return vectors;
  return outputs.length <= 2 ? vectors.filter((name) => geometry.get(name)?.upsampled === false) : [];
}

/**
 * The deepest stride of a map that no upsampling made; where maps of them are upsampled, of those: what lies deeper is
 * made for further levels of a neck.
 */
function deepestStride(whole: Flow, geometry: Places, inside: ReadonlySet<string>): number {
  const { columns, positions } = whole;
  let deepest = 0;
  let sentUp = 0;
  for (let tensor = 0; tensor < positions.length; tensor++) {
    const place = geometry.at[tensor];
    if (place === null || positions[tensor] === OFF || place.upsampled || (place.stride ?? 0) <= deepest) continue;
    if (isMap(place) && !inside.has(columns.nameOf(tensor))) deepest = place.stride ?? 0;
  }
  if (!geometry.goesUp) return deepest;
  for (const node of nodesBetween(whole, 0)) {
    if (!isUpsampling(node)) continue;
    const from = geometry.get(node.inputs[0]);
    const to = geometry.get(node.outputs[0]);
    if (from === undefined || from.upsampled || !isMap(from) || to?.upsampled !== true) continue;
    if (!inside.has(node.inputs[0])) sentUp = Math.max(sentUp, from.stride ?? 0);
  }
  return sentUp > 1 ? sentUp : deepest;
}

function isUpsampling({ opType }: Node): boolean {
  return opType === 'Resize' || opType === 'Upsample' || opType === 'ConvTranspose' || opType === 'DepthToSpace';
}

function isAtStride(place: Geometry | null, stride: number): boolean {
  return place !== null && place.stride === stride && !place.upsampled && isMap(place);
}

/** Blocks that go down and up again inside a level. */
export interface Closed {
  readonly ends: ReadonlySet<string>;
  /** What they make on the way. */
  readonly inside: ReadonlySet<string>;
}

/** More levels than any network has: every closed block is followed by a downsampling. */
const MOST_LEVELS = 16;

/**
 * Ends of blocks that go down and up again inside a level (U^2-Net): what a strided operator reads, no convolution
 * between, where nothing of the way there from the cut before it at the same grid is read outside. Such a block's end
 * is a map of the backbone.
 */
export function closedHourglasses(
  order: Stretch,
  whole: Flow & { readonly input: string },
  data: TensorSet,
  geometry: Places,
): Closed {
  let closed: Closed = { ends: new Set(), inside: new Set() };
  if (!geometry.goesUp) return closed;
  const strided: string[] = [];
  for (const node of nodesBetween(whole, 0)) {
    if (node.attributes.length === 0 || node.opType === 'ConvTranspose' || largestOf(node, 'strides', 1) <= 1) continue;
    const place = geometry.get(node.inputs[0]);
    if (place?.upsampled === true && isMap(place)) strided.push(node.inputs[0]);
  }
  for (const end of [...new Set(strided)].slice(0, MOST_LEVELS)) {
    const found = closedOnTheWay(whole, flowBetween(order, whole.input, data, [end]), geometry, closed);
    if (found === null) break;
    closed = found;
  }
  return closed.ends.size === 0 ? closed : withDeepest(order, whole, data, geometry, closed);
}

/**
 * In a network of such blocks also the deepest one, which no downsampling follows: the first that an upsampling reads
 * behind the others.
 */
function withDeepest(
  order: Stretch,
  whole: Flow & { readonly input: string },
  data: TensorSet,
  geometry: ReadonlyMap<string, Geometry>,
  closed: Closed,
): Closed {
  const behind = [...closed.ends].reduce((last, name) => Math.max(last, whole.position.get(name) ?? 0), 0);
  const sent = nodesBetween(whole, behind + 1)
    .filter((node) => isUpsampling(node) && geometry.get(node.inputs[0])?.upsampled === true)
    .map(({ inputs: [from] }) => from);
  for (const end of [...new Set(sent)].slice(0, MOST_LEVELS)) {
    const found = closedOnTheWay(whole, flowBetween(order, whole.input, data, [end]), geometry, closed);
    if (found !== null && found.ends.size > closed.ends.size) return found;
  }
  return closed;
}

/** The closed blocks' ends among the cuts of a flow; null where the flow goes up without closing. */
function closedOnTheWay(
  whole: Flow & { readonly input: string },
  flow: Flow,
  geometry: ReadonlyMap<string, Geometry>,
  known: Closed,
): Closed | null {
  const ends = new Set(known.ends);
  const insides = new Set(known.inside);
  const { columns, rows, atRow, positions } = flow;
  const lastConv = rows.findLastIndex((row) => columns.nodes[row].opType === 'Conv');
  let before = whole.input;
  for (const tensor of flow.cuts) {
    const cut = columns.nameOf(tensor);
    const [first, end] = [flow.position.get(before) ?? -1, positions[tensor]];
    const nodes = nodesBetween(flow, first + 1, end + 1);
    if (!ends.has(cut) && nodes.some(isUpsampling) && geometry.get(cut)?.upsampled === true) {
      const isRead = (name: string): boolean =>
        (whole.readers.get(name) ?? []).some((reader) => {
          const at = atRow[whole.rows[reader]];
          return at < 0 || at > end;
        });
      const made = [before, ...nodes.flatMap(({ outputs }) => outputs)].filter((name) => name !== cut);
      if (end < lastConv || geometry.get(before)?.grid?.join() !== geometry.get(cut)?.grid?.join() || made.some(isRead))
        return null;
      ends.add(cut);
      for (const name of made) if (name !== before) insides.add(name);
    }
    before = cut;
  }
  return { ends, inside: insides };
}

/**
 * Convolutions and meetings that make a further part of the backbone, and the most convolutions that an auxiliary head
 * has.
 */
const HEAVY_CONVS = 6;
const HEAVY_JOINS = 2;
const LIGHT_CONVS = 3;

/**
 * The sinks of a flow without those of auxiliary heads: light branches that leave the backbone beside a heavy one; null
 * where there are none.
 */
export function withoutAuxiliary(
  flow: Flow,
  sinks: readonly string[],
  geometry: ReadonlyMap<string, Geometry>,
): readonly string[] | null {
  const last = flow.cuts.at(-1);
  const from = last === undefined ? -1 : flow.positions[last];
  const branchOf = new Map<string, number>();
  const parents: number[] = [];
  const rootOf = (branch: number): number => {
    let at = branch;
    while (parents[at] !== at) at = parents[at] = parents[parents[at]];
    return at;
  };
  const weights = new Map<number, { convs: number; joins: number }>();
  for (const node of nodesBetween(flow, from + 1)) {
    const joined = [
      ...new Set(
        readsOf(node)
          .flatMap((name) => branchOf.get(name) ?? [])
          .map(rootOf),
      ),
    ];
    const branch = joined[0] ?? parents.push(parents.length) - 1;
    for (const other of joined) parents[other] = branch;
    for (const name of node.outputs) branchOf.set(name, branch);
    const own = joined.map((other) => weights.get(other) ?? { convs: 0, joins: 0 });
    const maps = node.inputs.filter((name) => flow.position.has(name) && isPlaced(geometry, name)).length;
    weights.set(branch, {
      convs: own.reduce((sum, { convs }) => sum + convs, node.opType === 'Conv' ? 1 : 0),
      joins: own.reduce(
        (sum, { joins }) => sum + joins,
        maps > 1 && (node.opType === 'Add' || node.opType === 'Concat') ? 1 : 0,
      ),
    });
  }
  const roots = [...weights].filter(([branch]) => rootOf(branch) === branch);
  const heavy = roots.filter(([, { convs, joins }]) => convs >= HEAVY_CONVS && joins >= HEAVY_JOINS);
  const light = roots.filter(([, { convs, joins }]) => convs <= LIGHT_CONVS && joins === 0);
  if (heavy.length !== 1 || light.length !== roots.length - 1 || light.length === 0) return null;
  return sinks.filter((name) => rootOf(branchOf.get(name) ?? heavy[0][0]) === heavy[0][0]);
}

function isPlaced(geometry: ReadonlyMap<string, Geometry>, name: string): boolean {
  const place = geometry.get(name);
  return place !== undefined && isMap(place);
}
