import { OMITTED } from '../../onnx/columns.js';
import { linksOf } from '../chain.js';
import { layersBehindPool, type Analysis } from '../analysis.js';
import { nodeAt, type Flow } from '../flow.js';
import type { Geometry } from '../geometry.js';
import { levelsOf } from './levels.js';
import { largestOf } from '../node-attributes.js';
import { stemLength } from '../names/path-tree.js';
import { rowTest } from '../operators.js';
import { isLayer } from '../weights.js';
import { lastTensor, type Module, type ModuleTree, type ModuleNumber } from '../modules.js';

/**
 * A module that may be a feature: it ends in a tensor that everything passes through. Of the many in a large network
 * few are looked at as modules.
 */
export class Unit {
  constructor(
    readonly tree: ModuleTree,
    /** Of the module in the tree. */
    readonly number: number,
    /** The number of the tensor that it ends in. */
    readonly tensor: number,
    readonly place: Geometry,
    readonly stride: number,
  ) {}

  get module(): Module {
    return this.tree.module(this.number);
  }

  /** The number of the module that it lies in. */
  get parent(): number {
    return this.tree.columns.parents[this.number];
  }

  /** Position in the flow of its last node. */
  get last(): number {
    return this.tree.columns.lasts[this.number];
  }
}

/** What was picked, and how sure each pick is. */
export interface Pick {
  readonly unit: Unit;
  readonly sure: boolean;
  readonly because: string;
}

/** Ops of layers that hand on what they are given. */
const EMPTY = new Set(['Pad', 'Identity', 'Dropout', 'Cast']);
const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool', 'Pad', 'Identity', 'Dropout']);

/**
 * Splits the network into the largest modules that end in a cut and at most halve the map, without those that prepare
 * the picture for the first layer.
 */
export function unitsOf(analysis: Analysis, tree: ModuleTree): readonly Unit[] {
  const { flow } = analysis;
  const isCut = new Uint8Array(flow.positions.length);
  for (const tensor of flow.cuts) isCut[tensor] = 1;
  const units: Unit[] = [];
  const first = flow.rows.findIndex(rowTest(flow.columns, isLayer));
  const { firstChild, next } = tree.columns;
  /** What the modules inside one are, before what comes behind it. */
  const visit = (parent: number): void => {
    for (let number = firstChild[parent]; number >= 0; number = next[number]) {
      const unit = unitAt(analysis, { tree, number });
      if (unit !== null && unit.last < first) continue;
      if (unit !== null && isCut[unit.tensor] === 1 && (tree.isLeaf(number) || isWhole(analysis, unit)))
        units.push(unit);
      else visit(number);
    }
  };
  visit(0);
  return units;
}

/** Whether a module with modules inside at most halves the map, and not at its end. */
function isWhole(analysis: Analysis, unit: Unit): boolean {
  return unit.stride <= 2 * strideBefore(analysis, unit.module) && !endsInDownsampling(analysis, unit);
}

/** The unit a module is if its last tensor has a place in the pyramid. */
export function unitAt({ flow, places }: Analysis, at: ModuleNumber): Unit | null {
  const { tree, number } = at;
  const tensor = lastTensor(flow, at);
  const place = places[tensor] ?? null;
  if (place === null || place.stride === null || place.pooled || place.axes === null || place.axes.includes('?'))
    return null;
  const unit = new Unit(tree, number, tensor, place, place.stride);
  return tree.isLeaf(number) && EMPTY.has(nodeAt(flow, unit.last).opType) && handsOn(flow, unit.module) ? null : unit;
}

/** Whether all that a module does is hand on what it is given. */
function handsOn(flow: Flow, { nodes }: Module): boolean {
  return nodes.every((at) => EMPTY.has(nodeAt(flow, at).opType));
}

/** Whether a module works at one stride and only hands on at the next: stages of Swin's first authors. */
function endsInDownsampling({ flow, places }: Analysis, { module, stride }: Unit): boolean {
  if (module.children.length <= 1 || !module.children.some((child) => numberedChildren(child).length > 0)) return false;
  let own = 0;
  let finer = 0;
  for (const at of module.nodes) {
    const place = madePlace(flow, places, at);
    if (place === null || place.stride === null || place.pooled) continue;
    if (place.stride === stride) own++;
    else finer++;
  }
  return own < 0.3 * (own + finer);
}

/** Where the first tensor that a node makes stands. */
function madePlace({ columns: { makes }, rows }: Flow, places: Analysis['places'], at: number): Geometry | null {
  const first = makes.starts[rows[at]];
  return first < makes.starts[rows[at] + 1] ? places[makes.items[first]] : null;
}

function strideBefore({ flow, places }: Analysis, { first }: Module): number {
  const { starts, items } = flow.columns.inputs;
  const row = flow.rows[first];
  for (let at = starts[row]; at < starts[row + 1]; at++) {
    const stride = items[at] === OMITTED ? null : places[items[at]]?.stride;
    if (stride != null) return stride;
  }
  return 1;
}

/**
 * The features by the rules that hold for most networks: per stride the last unit of the container that holds most of
 * the network, or one per block where the stride stays.
 */
export function pickUnits(
  analysis: Analysis,
  tree: ModuleTree,
  stem: 'keep' | 'drop' | 'inner' = 'keep',
): readonly Pick[] {
  const blocks = isotropicBlocks(analysis, tree);
  if (blocks !== null)
    return blocks.map((unit) => ({
      unit,
      sure: true,
      because: `block ${unit.module.name} of ${unit.module.parent?.path ?? ''}, all at stride ${unit.stride}`,
    }));
  const end = backboneEnd(analysis);
  const units = unitsOf(analysis, tree).filter(({ last }) => last <= end);
  const main = mainContainer(tree, units);
  const trunk = layersBehindPool(analysis) > 1 ? units : withoutHeadConv(analysis.flow, units, main);
  const isOutside = ({ number }: Unit): boolean => main === null || !tree.isInside(number, main.number);
  let [least, deepest] = [Infinity, -Infinity];
  for (const unit of trunk) {
    const { stride } = unit;
    if (isOutside(unit)) continue;
    least = Math.min(least, stride);
    deepest = Math.max(deepest, stride);
  }
  const most = analysis.classifies ? Infinity : deepest;
  const chosen = new Map<string, { unit: Unit; sure: boolean }>();
  const dilationOf = dilationsIn(analysis.flow);
  let stage = 0;
  let last: Unit | null = null;
  let key = '';
  let before: { unit: Unit; sure: boolean } | undefined;
  for (const unit of trunk) {
    const isOwn = last !== null && isStageOfItsOwn(dilationOf, last, unit);
    if (isOwn) stage++;
    if (isOwn || last?.stride !== unit.stride) {
      key = `${unit.stride} ${stage}`;
      before = chosen.get(key);
    }
    last = unit;
    const outside = isOutside(unit);
    if (outside && before?.sure === true) continue;
    if (outside && unit.stride > most) continue;
    if (outside && unit.stride < least && (stem === 'drop' || (stem === 'keep' && !endsStem(analysis, unit, main))))
      continue;
    if (before === undefined) chosen.set(key, (before = { unit, sure: !outside }));
    before.unit = unit;
    before.sure = !outside;
  }
  return [...chosen.values()]
    .sort((a, b) => a.unit.stride - b.unit.stride)
    .map(({ unit, sure }) => ({
      unit,
      sure,
      because: `${unit.module.path} is the last module at stride ${unit.stride}${sure ? '' : `, outside ${main?.path ?? 'any container'}`}`,
    }));
}

/** Position of the last node of the backbone, as the shape of the graph shows where its head or neck begins. */
function backboneEnd(analysis: Analysis): number {
  const links = linksOf(analysis);
  const last = levelsOf(analysis, links).at(-1);
  if (last === undefined || links[last.last + 1] === undefined) return Infinity;
  const { start, end } = links[last.last + 1];
  return start < end ? start - 1 : Infinity;
}

/**
 * Whether a unit begins another stage at the stride of the one before, as networks do whose later stages are dilated in
 * place of their strides: its dilation grows, or it is the next of numbered stages, wider, with a projection beside its
 * first block.
 */
function isStageOfItsOwn(dilationOf: (module: Module) => number, before: Unit, unit: Unit): boolean {
  const { tree } = unit;
  if (unit.stride !== before.stride || unit.parent !== before.parent) return false;
  if (tree.isLeaf(unit.number) || tree.isLeaf(before.number)) return false;
  if (dilationOf(unit.module) > dilationOf(before.module)) return true;
  const isWider = (unit.place.channels ?? 0) > (before.place.channels ?? Infinity);
  if (!isWider) return false;
  const stem = ({ name }: Module): string => name.replace(/\d+$/, '');
  const isNext =
    stem(unit.module) === stem(before.module) && stem(unit.module) !== '' && unit.module.name !== stem(unit.module);
  const projects = unit.module.children[0].children.some(({ name }) => /^(downsample|shortcut)$/.test(name));
  return isNext && projects;
}

/** The largest dilation in a module. */
function dilationsIn(flow: Flow): (module: Module) => number {
  const { nodes } = flow.columns;
  let isDilated: boolean | null = null;
  return (module) => {
    isDilated ??= flow.rows.some(
      (row) => nodes[row].attributes.length > 0 && largestOf(nodes[row], 'dilations', 1) > 1,
    );
    return isDilated ? module.nodes.reduce((most, at) => largestOf(nodeAt(flow, at), 'dilations', most), 1) : 1;
  };
}

/**
 * Whether the stem that a unit lies in ends at the unit's stride, pools aside: a stem that goes on with convolutions
 * has its feature behind it.
 */
function endsStem({ flow, places }: Analysis, unit: Unit, main: Module | null): boolean {
  let stem = unit.module;
  while (
    stem.parent !== null &&
    !stem.tree.isInside((main ?? stem).number, stem.parent.number) &&
    stem.parent !== main?.parent
  )
    stem = stem.parent;
  const { last } = unit;
  return stem.nodes.every(
    (at) =>
      at <= last ||
      POOLS.has(nodeAt(flow, at).opType) ||
      (madePlace(flow, places, at)?.stride ?? null) === unit.stride ||
      isBlur(flow, at),
  );
}

/** A depthwise convolution behind a pad or a pool: the blur of an anti-aliased pool. */
function isBlur(flow: Flow, at: number): boolean {
  const node = nodeAt(flow, at);
  const from = flow.position.get(node.inputs[0]);
  return (
    node.opType === 'Conv' && from !== undefined && from >= 0 && ['Pad', 'MaxPool'].includes(nodeAt(flow, from).opType)
  );
}

/**
 * The parent of units at two strides or more that holds the most nodes; of one of several numbered stages, what holds
 * them all.
 */
function mainContainer(tree: ModuleTree, units: readonly Unit[]): Module | null {
  const strides = new Map<number, Set<number>>();
  const size = new Map<number, number>();
  let before: Unit | null = null;
  for (const unit of units) {
    const { number, parent, stride } = unit;
    // A network may have thousands of units in a row at one stride.
    if (before?.parent !== parent || before.stride !== stride) {
      const seen = strides.get(parent);
      if (seen === undefined) strides.set(parent, new Set([stride]));
      else seen.add(stride);
    }
    before = unit;
    size.set(parent, (size.get(parent) ?? 0) + tree.columns.sizes[number]);
  }
  const candidates = [...strides].flatMap(([parent, seen]) => (seen.size >= 2 ? tree.module(parent) : []));
  const whole = candidates.filter((module) => !isOneOfSeveral(module));
  let best: Module | null = null;
  for (const module of whole.length > 0 ? whole : candidates)
    if (best === null || (size.get(module.number) ?? 0) > (size.get(best.number) ?? 0)) best = module;
  while (best?.parent && isOneOfSeveral(best)) best = best.parent;
  return best;
}

/** Leaves out a last convolution of size 1 that widens what the blocks before it made: it belongs to the classifier. */
function withoutHeadConv(flow: Flow, units: readonly Unit[], main: Module | null): readonly Unit[] {
  const inside = main === null ? [] : units.filter(({ parent }) => parent === main.number);
  const [last, before] = [inside.at(-1), inside.at(-2)];
  if (last === undefined || before === undefined || last.stride !== before.stride || inside.length < 4) return units;
  const convs = ({ module }: Unit): readonly number[] =>
    module.nodes.filter((at) => nodeAt(flow, at).opType === 'Conv');
  const numbered = last.module.children.some(({ name, isLeaf }) => isNumbered(name) && !isLeaf);
  const widens = (last.place.channels ?? 0) > 1.5 * (before.place.channels ?? Infinity);
  if (numbered || !widens || convs(last).length !== 1 || convs(before).length < 2) return units;
  return units.filter((unit) => unit !== last);
}

/**
 * Share of the nodes that a row of equal blocks must hold: tokens come late in a hybrid, behind a convolutional stem of
 * any size.
 */
const LEAST_SHARE = { tokens: 0.3, maps: 0.5 };
/** How many numbered children are blocks; of so few tokens they have nothing but numbers for names: no `fc1`, `fc2`. */
const LEAST_NUMBERED = { tokens: 2, maps: 3 };

/**
 * The blocks of a network that keeps one stride behind its patches: the numbered children of the container that holds
 * most of it.
 */
function isotropicBlocks(analysis: Analysis, tree: ModuleTree): readonly Unit[] | null {
  const { length } = analysis.flow.rows;
  const strides = stridesOf(analysis);
  const deepest = [...strides].reduce((a, b) => Math.max(a, b), 0);
  const deepestTokens = [...stridesOf(analysis, true)].reduce((a, b) => Math.max(a, b), 0);
  for (const module of tree.atLeast(LEAST_SHARE.tokens * length)) {
    const mayBeMaps = strides.size === 1 && module.size >= LEAST_SHARE.maps * length;
    if (!mayBeMaps && deepestTokens === 0) continue;
    const numbered = numberedChildren(module);
    if (numbered.length < LEAST_NUMBERED.tokens || isOneOfSeveral(module)) continue;
    const [first] = numbered;
    if (!mayBeMaps && !isOfTokens(unitAt(analysis, first))) continue;
    const blocks = numbered.flatMap((child) => unitAt(analysis, child) ?? []);
    const isTokens = blocks.every(isOfTokens);
    const areFew = numbered.length < LEAST_NUMBERED.maps;
    if (areFew && !(isTokens && numbered.every(({ name }) => isNumbered(name)))) continue;
    const most = isTokens ? deepestTokens : deepest;
    if (blocks.length < numbered.length || !blocks.every(({ stride }) => stride === most)) continue;
    if (isTokens || mayBeMaps) return blocks;
  }
  return null;
}

function isOfTokens(unit: Unit | null): boolean {
  return unit?.place.axes?.includes('L') === true;
}

/** Whether a module lies in one of several numbered stages: its blocks are then a stage's, not the network's. */
function isOneOfSeveral(module: Module): boolean {
  for (let at = module; at.parent !== null; at = at.parent) {
    const group = numberedChildren(at.parent);
    if (group.length > 1 && group.includes(at)) return true;
  }
  return false;
}

/** Strides above 1 that cuts lie at. */
function stridesOf({ flow, places }: Analysis, ofTokens = false): ReadonlySet<number> {
  const strides = new Set<number>();
  let before: Geometry | null = null;
  for (const tensor of flow.cuts) {
    const place = places[tensor];
    if (place === before) continue;
    before = place;
    if (ofTokens && !place?.axes?.includes('L')) continue;
    if (place !== null && place.stride !== null && place.stride > 1 && !place.pooled && !place.axes?.includes('?'))
      strides.add(place.stride);
  }
  return strides;
}

function isNumbered(name: string): boolean {
  return name !== '' && stemLength(name) === 0;
}

/**
 * The largest group of children that differ by their number alone: `0`, `1`, … or `encoder_layer_0`, `encoder_layer_1`,
 * …
 */
function numberedChildren(module: Module): readonly Module[] {
  const groups = new Map<string, Module[]>();
  for (const child of module.children) {
    const { name } = child;
    const length = stemLength(name);
    if (length === name.length) continue;
    const stem = name.slice(0, length);
    const group = groups.get(stem);
    if (group === undefined) groups.set(stem, [child]);
    else group.push(child);
  }
  let largest: readonly Module[] = [];
  for (const group of groups.values()) if (group.length > largest.length) largest = group;
  return largest;
}
