import { plural } from '../../wire/counted.js';
import type { GraphView } from '../../onnx/graph.js';
import type { Dim, Node } from '../../onnx/records.js';
import type { Analysis } from '../analysis.js';
import { factsOf } from '../facts.js';
import type { Feature, FeatureGroup } from '../feature.js';
import { nodeAt, nodesBetween, wholeFlow, type Flow } from '../flow.js';
import { intsOf } from '../node-attributes.js';
import { lineAnalysis } from '../line.js';
import { modulesOf, type Module, type ModuleTree } from '../modules.js';
import { rowFrom, type Block, type Row } from '../rows.js';
import { weightDims } from '../weights.js';
import { resolveByModules, type Answer } from './module-path.js';
import { resolveByTopology } from './topology.js';

/** A sequence that enters the network: where its values begin, and the input that it comes from. */
interface Source {
  readonly input: string;
  readonly tensor: string;
  readonly kind: 'tokens' | 'values';
}

/** What a model has besides its own sequence is told from it by names. */
const BESIDE = /mask|past|cache|key_values|encoder_hidden|position|token_type|segment|beam|cross_attn/i;
/** Sequences that are followed through a network; a file may have any number of inputs. */
const MOST_SOURCES = 128;
const DECODER = /decoder|tgt|target/i;
const INTEGERS = new Set(['int64', 'int32', 'int16', 'int8', 'uint8', 'uint16']);
/** Ops that read a row of a table of embeddings: position of the table, position of the indices. */
const LOOKUPS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['Gather', [0, 1]],
  ['GatherBlockQuantized', [0, 1]],
  ['EmbedLayerNormalization', [2, 0]],
]);
/** What token ids go through in front of the lookup. */
const ID_GLUE = new Set([
  'Cast',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Identity',
  'Clip',
  'Where',
  'Max',
  'Min',
  'Transpose',
]);

/** The blocks of a network over sequences, by group. */
export interface SequenceAnswer extends Answer {
  readonly groups: readonly FeatureGroup[];
}

/**
 * The blocks of a network over tokens, waveforms, spectrograms or video, one feature each; null where nothing that
 * enters it runs through equal blocks.
 */
export function resolveSequences(analysis: Analysis): SequenceAnswer | null {
  const [main, ...others] = rowsOf(analysis);
  if (main === undefined && !hasPicture(analysis)) return resolveLines(analysis);
  if (main === undefined || (main.source.kind === 'tokens' && hasPicture(analysis))) return null;
  const features = featuresOf(analysis, main);
  return {
    features,
    groups: others.map((other) => groupOf(analysis, other)),
    warnings: [],
    outcome: `${plural(features.length, 'block')} on the sequence that '${main.source.input}' begins`,
  };
}

/** The stages of a network of one-dimensional convolutions; null where no waveform or series enters. */
function resolveLines(analysis: Analysis): SequenceAnswer | null {
  for (const { input, kind } of sourcesOf(analysis)) {
    const line = kind === 'values' ? lineAnalysis(analysis, input) : null;
    if (line === null) continue;
    const tree = modulesOf(line.view, line.flow);
    const byShape = (): Answer => resolveByTopology(line, tree);
    const named = resolveByModules(line.view, line, tree, byShape);
    const answer = named.features.length > 0 ? named : byShape();
    if (answer.features.length > 0)
      return {
        ...answer,
        features: answer.features.map((feature) => ({ ...feature, confidence: 'medium' })),
        groups: [],
        outcome: `${answer.features.length} stages of one-dimensional convolutions`,
      };
  }
  return null;
}

/** The sequences beside a picture, as groups. */
export function sequenceGroups(analysis: Analysis): readonly FeatureGroup[] {
  return rowsOf(analysis).flatMap((found) => (found.source.kind === 'tokens' ? [groupOf(analysis, found)] : []));
}

/** Whether what enters a network is token ids and no picture: whatever else has four axes is a cache or a mask. */
export function readsTokensAlone(analysis: Analysis): boolean {
  return !hasPicture(analysis) && sourcesOf(analysis).some(({ kind }) => kind === 'tokens');
}

/** Whether an image enters the network beside the tokens. */
function hasPicture({ flow, types }: Analysis): boolean {
  return flow.input !== null && !BESIDE.test(flow.input) && types.nominal.get(flow.input)?.shape?.length === 4;
}

interface FoundRow {
  readonly source: Source;
  readonly row: Row;
}

function rowsOf(analysis: Analysis): readonly FoundRow[] {
  return sourcesOf(analysis).flatMap((source): FoundRow[] => {
    const row = rowFrom(analysis.view, source.tensor);
    if (row === null || (source.kind === 'values' && !holdsNetwork(analysis, row))) return [];
    // A block whose end fusion removed keeps its index, but fewer than two ends are no row.
    const held = row.blocks.filter(({ tensor }) => analysis.float.carrierOf(tensor).tensor !== null);
    return held.length < 2 ? [] : [{ source, row }];
  });
}

function groupOf(analysis: Analysis, found: FoundRow): FeatureGroup {
  const { input } = found.source;
  return { name: DECODER.test(input) ? 'decoder' : `tower.${input}`, features: featuresOf(analysis, found) };
}

/**
 * Where sequences enter: lookups of token ids first, the largest table of each input; else float inputs of a rank that
 * no image has.
 */
function sourcesOf(analysis: Analysis): readonly Source[] {
  const { view, types } = analysis;
  const { inputs } = wholeFlow(view);
  const tokens = inputs.flatMap((input): Source[] => {
    if (BESIDE.test(input) || !INTEGERS.has(types.types.get(input)?.dtype ?? 'int64')) return [];
    const tensor = lookupOf(view, input);
    return tensor === null ? [] : [{ input, tensor, kind: 'tokens' }];
  });
  const encoderFirst = [...tokens].sort((a, b) => Number(DECODER.test(a.input)) - Number(DECODER.test(b.input)));
  const values = inputs.flatMap((input): Source[] => {
    const type = types.types.get(input) ?? types.nominal.get(input);
    const shape = (types.nominal.get(input) ?? type)?.shape ?? [];
    const isValues = type?.dtype?.startsWith('float') === true || type?.dtype === 'bfloat16';
    if (BESIDE.test(input) || !isValues || !mayBeSequence(shape)) return [];
    return [{ input, tensor: input, kind: 'values' }];
  });
  return [...encoderFirst, ...values].slice(0, MOST_SOURCES);
}

/** Waveforms, series and spectrograms have two or three axes, or one channel on a grid; video has five. */
function mayBeSequence({ length: rank, 1: channels }: readonly Dim[]): boolean {
  return rank === 2 || rank === 3 || (rank === 4 && channels === 1) || rank === 5;
}

/** What a lookup in the largest table makes of an input's ids. */
function lookupOf(view: GraphView, input: string): string | null {
  let best: string | null = null;
  let most = 0;
  const waiting = [input];
  const seen = new Set(waiting);
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const node of view.consumersOf.get(at) ?? []) {
      const places = LOOKUPS.get(node.opType);
      const rows = places === undefined || node.inputs[places[1]] !== at ? null : tableRows(view, node, places[0]);
      if (rows !== null && rows > most) [best, most] = [node.outputs[0], rows];
      if (!ID_GLUE.has(node.opType) || (node.inputs[0] !== at && node.opType !== 'Where')) continue;
      for (const output of node.outputs) if (!seen.has(output)) waiting.push(output);
      node.outputs.forEach((output) => seen.add(output));
    }
  }
  return best;
}

function tableRows(view: GraphView, node: Node, place: number): number | null {
  const dims = weightDims(view, node.inputs[place]);
  return dims?.length === 2 ? dims[0] : null;
}

/**
 * Whether the row is what the network is, and not a stage of a pyramid or a neck behind one: what comes before it are
 * convolutions in a chain without sums of branches, and a picture's places are not what it runs over.
 */
function holdsNetwork({ view, types, geometry }: Analysis, { flow, start, blocks }: Row): boolean {
  if (flow.input !== null && types.nominal.get(flow.input)?.shape?.length === 4) {
    const place = geometry.get(blocks[0].tensor);
    if (place?.axes != null && !place.axes.includes('?') && place.stride !== null) return false;
  }
  const before = nodesBetween(flow, 0, (flow.position.get(start) ?? -1) + 1);
  const firstConv = before.findIndex(
    ({ opType, inputs }) => opType === 'Conv' && weightDims(view, inputs[1])?.length === 4,
  );
  if (firstConv < 0) return true;
  return !before
    .slice(firstConv)
    .some(({ opType, inputs }) => opType === 'Add' && inputs.filter((name) => flow.position.has(name)).length > 1);
}

function featuresOf(analysis: Analysis, { row, source: { input } }: FoundRow): readonly Feature[] {
  return rowFeatures(analysis, row, {
    source: `the sequence of '${input}'`,
    input,
    reduction: reductionOf(analysis, row),
  });
}

/** What is known of a row from where it comes from. */
interface Origin {
  /** For people. */
  readonly source: string;
  /** The graph input whose first axis counts the entries, if it is one. */
  readonly input: string | null;
  readonly reduction: number | null;
}

/** A feature for every block of a row. */
export function rowFeatures(analysis: Analysis, row: Row, { source, input, reduction }: Origin): readonly Feature[] {
  const { flow, blocks } = row;
  const tree = modulesOf(analysis.view, flow);
  const labels = labelsOf(tree, blocks);
  return blocks.map(({ tensor, nodes }, index): Feature => {
    const facts = factsOf(analysis, tensor);
    const shape = analysis.types.nominal.get(analysis.float.typedLike(tensor))?.shape ?? facts.shape;
    const width = shape?.at(-1) ?? lastWidth(analysis.view, flow, nodes);
    return {
      ...facts,
      index,
      module: labels[index],
      tensor,
      folded: null,
      hookType: 'forward',
      numChs: typeof width === 'number' ? width : facts.numChs,
      reduction,
      layout: shape === null || (shape.length === 3 && isBatch(analysis, input, shape[0])) ? 'NLC' : null,
      resolvedBy: 'sequence',
      confidence: row.attends && (blocks.length > 2 || labels[index] !== null) ? 'high' : 'medium',
      because: `the end of block ${index} of ${blocks.length} on ${source}; '${row.start}' enters block 0`,
    };
  });
}

/** Whether a size is that of the input's first axis. */
function isBatch({ types, flow }: Analysis, input: string | null, size: Dim): boolean {
  const [batch] = types.nominal.get(input ?? flow.input ?? '')?.shape ?? [];
  return batch === undefined || size === null || typeof size === 'string' || size === batch;
}

/** Channels as the last weight of a block says them: of a norm, a bias or a layer. */
function lastWidth(view: GraphView, flow: Flow, nodes: readonly number[]): number | null {
  for (const at of [...nodes].reverse()) {
    const dims = nodeAt(flow, at)
      .inputs.map((name) => weightDims(view, name))
      .find((found) => (found?.length ?? 0) > 0);
    const width = dims?.at(-1) ?? 1;
    if (width > 1) return width;
  }
  return null;
}

/**
 * The numbered module that each block is: the outermost that tells all of them apart; null for all if there is none.
 */
function labelsOf(tree: ModuleTree, blocks: readonly Block[]): readonly (string | null)[] {
  const holders = blocks.map(({ nodes }) => numberedHolders(tree, nodes));
  const depth = holders.reduce((most, { length }) => Math.max(most, length), 0);
  for (let at = 0; at < depth; at++) {
    const labels = holders.map((list) => list.at(at) ?? null);
    if (labels.every((label) => label !== null) && new Set(labels).size === blocks.length) return labels;
  }
  return blocks.map(() => null);
}

/** Numbered modules that hold most of the nodes of a block, the outermost first. */
function numberedHolders(tree: ModuleTree, nodes: readonly number[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const at of nodes)
    for (let up: Module | null = tree.ownerAt(at); up !== null; up = up.parent)
      counts.set(up.path, (counts.get(up.path) ?? 0) + 1);
  return [...counts]
    .filter(([path, count]) => /(^|[./_])\d+$/.test(path) && count > 0.5 * nodes.length)
    .map(([path]) => path)
    .sort((a, b) => a.length - b.length);
}

/**
 * Places of the input per place of the sequence: the strides of the convolutions and pools in front of the first block.
 */
function reductionOf({ types }: Analysis, { flow, start }: Row): number {
  const until = flow.position.get(start) ?? -1;
  let product = 1;
  for (const node of nodesBetween(flow, 0, until + 1)) {
    const { opType, outputs } = node;
    if (!['Conv', 'MaxPool', 'AveragePool'].includes(opType)) continue;
    const strides = intsOf(node, 'strides');
    const shape = types.nominal.get(outputs[0])?.shape;
    product *= Math.max(
      1,
      strides.length === 3 ? strides[2] : (strides[0] ?? 1),
      shape?.length === 4 ? (strides[1] ?? 1) : 1,
    );
  }
  return product;
}
