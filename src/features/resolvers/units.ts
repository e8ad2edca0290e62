import { linksOf } from '../chain.js';
import { layersBehindPool, type Analysis } from '../analysis.js';
import type { Flow } from '../flow.js';
import type { Geometry } from '../geometry.js';
import { levelsOf } from './levels.js';
import { largestOf } from '../node-attributes.js';
import { isLayer } from '../weights.js';
import { lastTensor, type Module, type ModuleTree } from '../modules.js';

/** A module that may be a feature: it ends in a tensor that everything passes through. */
export interface Unit {
  readonly module: Module;
  readonly tensor: string;
  readonly place: Geometry;
  readonly stride: number;
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
export function unitsOf({ flow, geometry }: Analysis, tree: ModuleTree): readonly Unit[] {
  const isCut = new Uint8Array(flow.positions.length);
  for (const tensor of flow.cutTensors) isCut[tensor] = 1;
  const units: Unit[] = [];
  const first = flow.nodes.findIndex(isLayer);
  const stack = tree.root.children.toReversed();
  for (let module = stack.pop(); module !== undefined; module = stack.pop()) {
    const unit = unitAt(flow, geometry, module);
    if (unit !== null && (flow.position.get(unit.tensor) ?? 0) < first) continue;
    const halves =
      unit !== null &&
      unit.stride <= 2 * strideBefore(flow, module, geometry) &&
      !endsInDownsampling(flow, geometry, unit);
    if (
      unit !== null &&
      isCut[flow.columns.tensorOf.get(unit.tensor) ?? isCut.length] === 1 &&
      (halves || module.children.length === 0)
    )
      units.push(unit);
    else for (const child of module.children.toReversed()) stack.push(child);
  }
  return units;
}

/** The unit a module is if its last tensor has a place in the pyramid. */
export function unitAt(flow: Flow, geometry: ReadonlyMap<string, Geometry>, module: Module): Unit | null {
  const tensor = lastTensor(flow, module);
  const place = tensor === null ? undefined : geometry.get(tensor);
  if (
    tensor === null ||
    place === undefined ||
    place.stride === null ||
    place.pooled ||
    place.axes === null ||
    place.axes.includes('?')
  )
    return null;
  if (module.children.length === 0 && module.nodes.every((at) => EMPTY.has(flow.nodes[at].opType))) return null;
  return { module, tensor, place, stride: place.stride };
}

/** Whether a module works at one stride and only hands on at the next: stages of Swin's first authors. */
function endsInDownsampling(flow: Flow, geometry: ReadonlyMap<string, Geometry>, { module, stride }: Unit): boolean {
  if (module.children.length <= 1 || !module.children.some((child) => numberedChildren(child).length > 0)) return false;
  let own = 0;
  let finer = 0;
  for (const at of module.nodes) {
    const place = geometry.get(flow.nodes[at].outputs[0]);
    if (place === undefined || place.stride === null || place.pooled) continue;
    if (place.stride === stride) own++;
    else finer++;
  }
  return own < 0.3 * (own + finer);
}

function strideBefore(flow: Flow, module: Module, geometry: ReadonlyMap<string, Geometry>): number {
  for (const name of flow.nodes[module.nodes[0]].inputs) {
    const stride = geometry.get(name)?.stride;
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
  const units = unitsOf(analysis, tree).filter(({ tensor }) => (analysis.flow.position.get(tensor) ?? 0) <= end);
  const main = mainContainer(units);
  const trunk = layersBehindPool(analysis) > 1 ? units : withoutHeadConv(analysis.flow, units, main);
  const strides = trunk.filter(({ module }) => isInside(module, main)).map(({ stride }) => stride);
  const least = strides.reduce((a, b) => Math.min(a, b), Infinity);
  const most = analysis.classifies ? Infinity : strides.reduce((a, b) => Math.max(a, b), -Infinity);
  const chosen = new Map<string, { readonly unit: Unit; readonly sure: boolean }>();
  let stage = 0;
  let last: Unit | null = null;
  for (const unit of trunk) {
    if (last !== null && isStageOfItsOwn(analysis.flow, last, unit)) stage++;
    last = unit;
    const key = `${unit.stride} ${stage}`;
    const before = chosen.get(key);
    const outside = !isInside(unit.module, main);
    if (outside && before !== undefined && isInside(before.unit.module, main)) continue;
    if (outside && unit.stride > most) continue;
    if (outside && unit.stride < least && (stem === 'drop' || (stem === 'keep' && !endsStem(analysis, unit, main))))
      continue;
    chosen.set(key, { unit, sure: !outside });
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
  return (links[last.last + 1].nodes[0] ?? Infinity) - 1;
}

/**
 * Whether a unit begins another stage at the stride of the one before, as networks do whose later stages are dilated in
 * place of their strides: its dilation grows, or it is the next of numbered stages, wider, with a projection beside its
 * first block.
 */
function isStageOfItsOwn(flow: Flow, before: Unit, unit: Unit): boolean {
  if (unit.stride !== before.stride || unit.module.parent !== before.module.parent) return false;
  if (unit.module.children.length === 0 || before.module.children.length === 0) return false;
  if (dilationOf(flow, unit.module) > dilationOf(flow, before.module)) return true;
  const stem = ({ name }: Module): string => name.replace(/\d+$/, '');
  const isNext =
    stem(unit.module) === stem(before.module) && stem(unit.module) !== '' && unit.module.name !== stem(unit.module);
  const isWider = (unit.place.channels ?? 0) > (before.place.channels ?? Infinity);
  const projects = unit.module.children[0].children.some(({ name }) => /^(downsample|shortcut)$/.test(name));
  return isNext && isWider && projects;
}

function dilationOf(flow: Flow, module: Module): number {
  return module.nodes.reduce((most, at) => largestOf(flow.nodes[at], 'dilations', most), 1);
}

/** Whether a module lies in another one, at any depth. */
export function isInside(module: Module, container: Module | null): boolean {
  for (let up: Module | null = module.parent; up !== null; up = up.parent) if (up === container) return true;
  return false;
}

/**
 * Whether the stem that a unit lies in ends at the unit's stride, pools aside: a stem that goes on with convolutions
 * has its feature behind it.
 */
function endsStem({ flow, geometry }: Analysis, unit: Unit, main: Module | null): boolean {
  let stem = unit.module;
  while (stem.parent !== null && !isInside(main ?? stem, stem.parent) && stem.parent !== main?.parent)
    stem = stem.parent;
  const last = unit.module.nodes[unit.module.nodes.length - 1];
  return stem.nodes.every(
    (at) =>
      at <= last ||
      POOLS.has(flow.nodes[at].opType) ||
      strideOf(flow, at, geometry) === unit.stride ||
      isBlur(flow, at),
  );
}

function strideOf(flow: Flow, at: number, geometry: ReadonlyMap<string, Geometry>): number | null {
  return geometry.get(flow.nodes[at].outputs[0])?.stride ?? null;
}

/** A depthwise convolution behind a pad or a pool: the blur of an anti-aliased pool. */
function isBlur(flow: Flow, at: number): boolean {
  const node = flow.nodes[at];
  const from = flow.position.get(node.inputs[0]);
  return (
    node.opType === 'Conv' && from !== undefined && from >= 0 && ['Pad', 'MaxPool'].includes(flow.nodes[from].opType)
  );
}

/**
 * The parent of units at two strides or more that holds the most nodes; of one of several numbered stages, what holds
 * them all.
 */
function mainContainer(units: readonly Unit[]): Module | null {
  const strides = new Map<Module, Set<number>>();
  const size = new Map<Module, number>();
  for (const { module, stride } of units) {
    const { parent } = module;
    if (parent === null) continue;
    strides.set(parent, (strides.get(parent) ?? new Set()).add(stride));
    size.set(parent, (size.get(parent) ?? 0) + module.nodes.length);
  }
  const candidates = [...strides].filter(([, seen]) => seen.size >= 2).map(([module]) => module);
  const whole = candidates.filter((module) => !isOneOfSeveral(module));
  let best: Module | null = null;
  for (const module of whole.length > 0 ? whole : candidates)
    if (best === null || (size.get(module) ?? 0) > (size.get(best) ?? 0)) best = module;
  while (best?.parent && isOneOfSeveral(best)) best = best.parent;
  return best;
}

/** Leaves out a last convolution of size 1 that widens what the blocks before it made: it belongs to the classifier. */
function withoutHeadConv(flow: Flow, units: readonly Unit[], main: Module | null): readonly Unit[] {
  const inside = units.filter(({ module }) => module.parent === main);
  const [last, before] = [inside.at(-1), inside.at(-2)];
  if (last === undefined || before === undefined || last.stride !== before.stride || inside.length < 4) return units;
  const convs = ({ module }: Unit): readonly number[] => module.nodes.filter((at) => flow.nodes[at].opType === 'Conv');
  const numbered = last.module.children.some(({ name, children }) => isNumbered(name) && children.length > 0);
  const widens = (last.place.channels ?? 0) > 1.5 * (before.place.channels ?? Infinity);
  if (numbered || !widens || convs(last).length !== 1 || convs(before).length < 2) return units;
  return units.filter((unit) => unit !== last);
}

/**
 * Share of the nodes that a row of equal blocks must hold: tokens come late in a hybrid, behind a convolutional stem of
 * any size.
 */
const LEAST_SHARE = { tokens: 0.3, maps: 0.5 };

/**
 * The blocks of a network that keeps one stride behind its patches: the numbered children of the container that holds
 * most of it.
 */
function isotropicBlocks(analysis: Analysis, tree: ModuleTree): readonly Unit[] | null {
  const { flow, geometry } = analysis;
  const strides = stridesOf(analysis);
  const deepest = [...strides].reduce((a, b) => Math.max(a, b), 0);
  for (const module of tree.modules.values()) {
    if (module.nodes.length < LEAST_SHARE.tokens * flow.nodes.length || isOneOfSeveral(module)) continue;
    const numbered = numberedChildren(module);
    if (numbered.length < 3) continue;
    const blocks = numbered.flatMap((child) => unitAt(flow, geometry, child) ?? []);
    const isTokens = blocks.every(({ place }) => place.axes?.includes('L'));
    const most = isTokens ? [...stridesOf(analysis, true)].reduce((a, b) => Math.max(a, b), 0) : deepest;
    if (blocks.length < numbered.length || !blocks.every(({ stride }) => stride === most)) continue;
    if (isTokens || (strides.size === 1 && module.nodes.length >= LEAST_SHARE.maps * flow.nodes.length)) return blocks;
  }
  return null;
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
  for (const tensor of flow.cutTensors) {
    const place = places[tensor];
    if (ofTokens && !place?.axes?.includes('L')) continue;
    if (place !== null && place.stride !== null && place.stride > 1 && !place.pooled && !place.axes?.includes('?'))
      strides.add(place.stride);
  }
  return strides;
}

function isNumbered(name: string): boolean {
  return /^\d+$/.test(name);
}

/**
 * The largest group of children that differ by their number alone: `0`, `1`, … or `encoder_layer_0`, `encoder_layer_1`,
 * …
 */
function numberedChildren(module: Module): readonly Module[] {
  const groups = new Map<string, Module[]>();
  for (const child of module.children) {
    const stem = /^(.*?)\d+$/.exec(child.name)?.[1];
    if (stem === undefined) continue;
    const group = groups.get(stem);
    if (group === undefined) groups.set(stem, [child]);
    else group.push(child);
  }
  let largest: readonly Module[] = [];
  for (const group of groups.values()) if (group.length > largest.length) largest = group;
  return largest;
}
