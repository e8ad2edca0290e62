import type { Node } from '../onnx/records.js';
import type { Analysis } from './analysis.js';
import { factsOf } from './facts.js';
import type { Confidence, Feature, FeatureGroup } from './feature.js';
import { flowBetween, nodeAt, nodeIf, nodesBetween, reachableFrom, type Flow, type Stretch } from './flow.js';
import { MERGES } from './laterals.js';
import { isMap } from './geometry.js';
import { intOf, largestOf } from './node-attributes.js';
import { isOneOf } from './operators.js';
import { weightDims } from './weights.js';

/** A place where a map meets one of another stride. */
interface Merge {
  readonly node: Node;
  readonly at: number;
  readonly stride: number;
  /** How many of its operands were resampled. */
  readonly resampled: number;
}

const RESAMPLERS = new Set(['Resize', 'Upsample', 'ConvTranspose', 'DepthToSpace']);
/** Convolutions between a resampling and the merge that reads it, with their norms and activations. */
const LONGEST_WAY = 2;
/** Nodes of such a way. */
const MOST_NODES = 16;
/** Fewest channels of maps that are laid together for a head; scores of several levels have fewer. */
const LEAST_WIDTH = 8;
/** More strides than any network has; each costs one walk. */
const MOST_LEVELS = 16;
/** Merges of one stride that are looked behind, from the last on: a branch for masks has its own. */
const MOST_PER_LEVEL = 4;

/** The neck of a network, or its decoder: the maps between its backbone and its heads. */
export function mapGroups(analysis: Analysis, features: readonly Feature[]): readonly FeatureGroup[] {
  if (analysis.classifies || !analysis.goesUp || features.length === 0) return [];
  const merges = mergesOf(analysis);
  if (merges.length === 0) return [];
  const leads = leadsToMerge(analysis.network, merges);
  const neck = neckOf(analysis, merges, leads, features);
  if (neck.length > 0) return [group(analysis, 'neck', neck)];
  const decoder = decoderOf(analysis, merges);
  return decoder.length > 1 ? [group(analysis, 'decoder', decoder)] : [];
}

function group(analysis: Analysis, name: 'neck' | 'decoder', tensors: readonly string[]): FeatureGroup {
  const because =
    name === 'neck'
      ? 'the map of its stride that heads read behind the last meeting of levels'
      : 'where the decoder has done its work at its stride';
  const features = tensors.map(
    (tensor, index): Feature => ({
      ...factsOf(analysis, tensor),
      index,
      module: null,
      tensor,
      folded: null,
      hookType: 'forward',
      resolvedBy: 'topology',
      confidence: 'medium' satisfies Confidence,
      because,
    }),
  );
  return { name, features };
}

function mergesOf({ network, flow, geometry }: Analysis): readonly Merge[] {
  const puts = isOneOf(network.columns, MERGES);
  const merges: Merge[] = [];
  network.rows.forEach((row, at) => {
    if (!puts(row) || flow.atRow[row] >= 0) return;
    const node = nodeAt(network, at);
    const place = geometry.get(node.outputs[0]);
    if (place === undefined || !isMap(place) || !place.upsampled) return;
    const maps = node.inputs.filter((name) => isMapAt(geometry, name));
    const isUp = (name: string): boolean => geometry.get(name)?.upsampled === true;
    const resampled = maps.filter((name) => isUp(name) && isResampled(network, name)).length;
    if (maps.length > 1 && resampled > 0) merges.push({ node, at, stride: place.stride ?? 0, resampled });
  });
  return merges;
}

function isMapAt(geometry: Analysis['geometry'], name: string): boolean {
  const place = geometry.get(name);
  return place !== undefined && isMap(place);
}

/** Whether a resampling lies right in front of a tensor, with few convolutions between. */
function isResampled(network: Flow, name: string): boolean {
  let at: string | undefined = name;
  let convs = 0;
  for (let step = 0; at !== undefined && step < MOST_NODES; step++) {
    const node: Node | undefined = nodeIf(network, network.position.get(at));
    if (node === undefined) return false;
    const computed: readonly string[] = node.inputs.filter((input) => network.position.has(input));
    if (MERGES.has(node.opType) && computed.length > 1) return false;
    if (RESAMPLERS.has(node.opType) || largestOf(node, 'strides', 1) > 1) return true;
    if (node.opType === 'Conv' && ++convs > LONGEST_WAY) return false;
    at = computed[0];
  }
  return false;
}

/** Positions of nodes from which a merge is reached. */
function leadsToMerge(network: Flow, merges: readonly Merge[]): ReadonlySet<number> {
  const leads = new Set(merges.map(({ at }) => at));
  const needed = new Set<string>();
  const isMerge = new Set(leads);
  leads.clear();
  for (let at = network.rows.length - 1; at >= 0; at--) {
    const node = nodeAt(network, at);
    const reaches = node.outputs.some((name) => needed.has(name));
    if (reaches) leads.add(at);
    if (reaches || isMerge.has(at)) for (const name of node.inputs) needed.add(name);
  }
  return leads;
}

/** The last merge of each stride, finest first. */
function lastMerges(merges: readonly Merge[]): readonly Merge[] {
  const last = new Map<number, Merge>();
  for (const merge of merges) last.set(merge.stride, merge);
  return [...last.values()].sort((a, b) => a.stride - b.stride).slice(0, MOST_LEVELS);
}

/** Maps that enter heads, one per stride, finest first. */
function neckOf(
  analysis: Analysis,
  merges: readonly Merge[],
  leads: ReadonlySet<number>,
  features: readonly Feature[],
): readonly string[] {
  const { network, geometry } = analysis;
  const levels = lastMerges(merges);
  const outer = levels.filter(({ at }) => !leads.has(at));
  const entries = levels
    .filter(({ at }) => leads.has(at))
    .flatMap(({ stride }) => {
      const own = merges.filter((merge) => merge.stride === stride).slice(-MOST_PER_LEVEL);
      for (const merge of own.reverse()) {
        const entry = entryBehind(analysis, merge, leads);
        if (entry !== null) return [entry];
      }
      return [];
    });
  const top = topEntry(analysis, levels, leads, features);
  if (entries.length + (top === null ? 0 : 1) + outer.length < 2) {
    const fuse = outer.find((merge) => isFusion(analysis, merge));
    if (fuse !== undefined) return [fuse.node.outputs[0]];
    const down = outer.find((merge) => levels.some(({ at, stride }) => at < merge.at && stride < merge.stride));
    return down === undefined ? [] : [lastMap(analysis, down)];
  }
  if (entries.length === 0 && top === null) return [];
  const chains = [...entries, ...(top === null ? [] : [top])].map((entry) => headChain(analysis, entry, leads));
  const steps = chains.reduce((least, { length }) => Math.min(least, length), Infinity);
  const isShared =
    steps > 0 && chains.every((chain, at) => isSmoothing(analysis, [...entries, top ?? ''][at], chain[0]));
  // Behind a smoothing convolution of the neck, what other levels still go through is the heads' too.
  const ofHeads = isShared ? Math.max(...chains.map(({ length }) => length)) - 1 : steps;
  const ends = outer.map((merge) => {
    const cuts = chainBehind(analysis, merge.node.outputs[0], merge.stride);
    const convs = cuts.filter((name) => isConv(network, name));
    const first = ofHeads > 0 ? convs.at(-ofHeads) : undefined;
    const end = first === undefined ? cuts.length : cuts.indexOf(first);
    return cuts[end - 1] ?? merge.node.outputs[0];
  });
  const smoothed = isShared ? chains.map((chain) => chain[0]) : [...entries, ...(top === null ? [] : [top])];
  const all = [...smoothed, ...ends];
  const stride = (name: string): number => geometry.get(name)?.stride ?? 0;
  const width = (name: string): number => geometry.get(name)?.channels ?? 0;
  const maps = [...new Map(all.map((name) => [stride(name), name])).values()].sort((a, b) => stride(a) - stride(b));
  // A branch for masks goes on to a finer level than the heads', and is thinner.
  const isThin = maps.length > 2 && 2 * width(maps[0]) < width(maps[1]);
  return maps.some((name) => width(name) < LEAST_WIDTH) ? [] : maps.slice(isThin ? 1 : 0);
}

/** Behind a merge, the last tensor of its stride that goes on to further merges and that a head reads too. */
function entryBehind({ network, geometry, view }: Analysis, merge: Merge, leads: ReadonlySet<number>): string | null {
  let entry: string | null = null;
  const reached = new Set(merge.node.outputs);
  for (let at = merge.at; at < network.rows.length; at++) {
    const node = nodeAt(network, at);
    if (at > merge.at && !node.inputs.some((name) => reached.has(name))) continue;
    const [output] = node.outputs;
    const place = geometry.get(output);
    if (place === undefined || !isMap(place) || place.stride !== merge.stride || !leads.has(at)) continue;
    reached.add(output);
    const readers = network.readers.get(output) ?? [];
    const isRead =
      view.outputs.has(output) ||
      readers.some((reader) => !leads.has(reader) && !isMergeOf(network, reader, output, merge, geometry));
    const goesOn = readers.some((reader) => leads.has(reader) || MERGES.has(nodeAt(network, reader).opType));
    if (isRead && goesOn) entry = output;
  }
  return entry;
}

/** Whether a reader is itself a merge of levels. */
function isMergeOf(
  network: Flow,
  reader: number,
  output: string,
  merge: Merge,
  geometry: Analysis['geometry'],
): boolean {
  const node = nodeAt(network, reader);
  if (!MERGES.has(node.opType)) return false;
  return (
    node.inputs.some((name) => name !== output && isMapAt(geometry, name) && isResampled(network, name)) ||
    node === merge.node
  );
}

/** At the deepest stride, where no merge is: the end of what goes up, where a head reads it too. */
function topEntry(
  { flow, network, geometry, view }: Analysis,
  levels: readonly Merge[],
  leads: ReadonlySet<number>,
  features: readonly Feature[],
): string | null {
  const last = features.at(-1)?.tensor;
  const from = last == null ? -1 : (flow.position.get(last) ?? -1);
  const stride = last == null ? 0 : geometry.get(last)?.stride;
  if (levels.some((level) => level.stride === stride)) return null;
  let entry: string | null = null;
  for (const tensor of flow.cuts) {
    const cut = flow.columns.nameOf(tensor);
    if (flow.positions[tensor] < from || geometry.get(cut)?.stride !== stride) continue;
    const readers = network.readers.get(cut) ?? [];
    const isRead =
      view.outputs.has(cut) ||
      readers.some((reader) => !leads.has(reader) && !MERGES.has(nodeAt(network, reader).opType));
    if (isRead && readers.some((reader) => leads.has(reader))) entry = cut;
  }
  return entry;
}

/** The convolutions behind an entry that only heads go through, before they part. */
function headChain(analysis: Analysis, entry: string, leads: ReadonlySet<number>): readonly string[] {
  const { network, geometry } = analysis;
  const heads = { columns: network.columns, rows: network.rows.filter((_row, at) => !leads.has(at)) };
  const [, ...behind] = chainBehind(analysis, entry, geometry.get(entry)?.stride ?? 0, heads);
  return behind.filter((name) => isConv(network, name));
}

/** Behind a merge, the last map that still lies on a grid: what a head reads that goes on with tokens or vectors. */
function lastMap(analysis: Analysis, { node, stride }: Merge): string {
  const [merged] = node.outputs;
  const rank = analysis.geometry.get(merged)?.axes?.length;
  const maps = chainBehind(analysis, merged, stride).filter(
    (name) => analysis.geometry.get(name)?.axes?.length === rank,
  );
  return maps.at(-1) ?? merged;
}

function isConv(network: Flow, name: string): boolean {
  return nodeIf(network, network.position.get(name))?.opType === 'Conv';
}

/**
 * Whether a convolution may be the neck's own: it keeps the width, and mixes channels, which one by groups leaves to
 * the head.
 */
function isSmoothing({ geometry, network }: Analysis, from: string, to: string): boolean {
  const node = nodeIf(network, network.position.get(to));
  return (
    node !== undefined && geometry.get(from)?.channels === geometry.get(to)?.channels && intOf(node, 'group', 1) === 1
  );
}

/** Tensors behind `from` that all of its ways on pass through at its stride, in front of what heads lay together. */
function chainBehind(
  { network, geometry, view }: Analysis,
  from: string,
  stride: number,
  stretch: Stretch = network,
): readonly string[] {
  const data = reachableFrom(stretch, [from]);
  const outputs = [...view.outputs.keys()].filter((name) => data.has(name));
  const flow = flowBetween(stretch, from, data, outputs);
  const chain = [from];
  let before = -1;
  for (const tensor of flow.cuts) {
    const cut = flow.columns.nameOf(tensor);
    const at = flow.positions[tensor];
    const place = geometry.get(cut);
    if (place === undefined || !isMap(place) || place.stride !== stride) break;
    const laysScores = nodesBetween(flow, before + 1, at + 1).some(
      (node) =>
        node.opType === 'Concat' &&
        node.inputs.filter((name) => isMapAt(geometry, name)).every((name) => isRaw(network, name)),
    );
    if (laysScores) break;
    chain.push(cut);
    before = at;
  }
  return chain;
}

const ACTIVATIONS = new Set([
  'Relu',
  'LeakyRelu',
  'Clip',
  'HardSwish',
  'HardSigmoid',
  'PRelu',
  'Elu',
  'Gelu',
  'Mish',
  'Softplus',
  'BatchNormalization',
  'InstanceNormalization',
  'GroupNormalization',
  'Add',
  'Mul',
  'Swish',
]);

/** Whether a tensor is what a convolution made, without an activation or a sum behind it. */
function isRaw(network: Flow, name: string): boolean {
  if (!isConv(network, name)) return false;
  return !(network.readers.get(name) ?? []).some((reader) => ACTIVATIONS.has(nodeAt(network, reader).opType));
}

/** Whether a merge lays several levels together for a head that goes on with them. */
function isFusion(analysis: Analysis, { node, resampled }: Merge): boolean {
  const { geometry, network, view } = analysis;
  const widths = node.inputs.map((name) => geometry.get(name)?.channels ?? 0);
  if (node.opType !== 'Concat' || resampled < 2 || widths.some((width) => width < LEAST_WIDTH)) return false;
  const readers = network.readers.get(node.outputs[0]) ?? [];
  return readers.some((reader) => {
    const dims = weightDims(view, nodeAt(network, reader).inputs[1]);
    return nodeAt(network, reader).opType === 'Conv' && dims !== null;
  });
}

/**
 * Where a decoder has done its work at each stride, coarsest first: behind its meetings with the backbone, and behind
 * what it goes on to.
 */
function decoderOf(analysis: Analysis, merges: readonly Merge[]): readonly string[] {
  const withBackbone = new Set(analysis.laterals.map(({ merge }) => merge));
  const levels = lastMerges(merges.filter(({ node }) => withBackbone.has(node))).toReversed();
  const ends = levels.map(({ node, stride }) => workedOn(analysis, node.outputs[0], stride) ?? node.outputs[0]);
  for (let end = ends.at(-1); end !== undefined; ) {
    const up = nextUp(analysis, end);
    const next = up === null ? null : workedOn(analysis, up.tensor, up.stride);
    if (next !== null && next !== up?.tensor) ends.push(next);
    end = next === null || next === up?.tensor || ends.length > MOST_LEVELS ? undefined : next;
  }
  return ends;
}

/** The last tensor of a chain in front of a convolution that is not activated; null where that is the first. */
function workedOn(analysis: Analysis, from: string, stride: number): string | null {
  const chain = chainBehind(analysis, from, stride);
  const raw = chain.findIndex((name, at) => at > 0 && isRaw(analysis.network, name));
  return chain[(raw < 0 ? chain.length : raw) - 1] ?? null;
}

/** What the only upsampling of a tensor makes. */
function nextUp(
  { network, geometry }: Analysis,
  from: string,
): { readonly tensor: string; readonly stride: number } | null {
  const readers = network.readers.get(from) ?? [];
  const [tensor] = nodeIf(network, readers[0])?.outputs ?? [];
  const [stride, before] = [geometry.get(tensor)?.stride ?? null, geometry.get(from)?.stride ?? 0];
  return readers.length === 1 && stride !== null && stride < before ? { tensor, stride } : null;
}
