import type { GraphView } from '../onnx/graph.js';
import { option } from '../options/words.js';
import type { FeatureGroup, Resolution } from './feature.js';
import { wholeFlow } from './flow.js';
import { modulesOf, type Module } from './modules.js';
import { inputsOf } from './needed.js';

/**
 * How something can be taken from a network in which no features were found: a glob of modules that match, where there
 * are numbered ones side by side, else tensors.
 */
export function selectionByName(view: GraphView): string {
  const { whole } = wholeFlow(view);
  const tree = modulesOf(view, whole);
  let best: Module | null = null;
  let most = 0;
  for (const module of tree.withSeveral()) {
    const size = rowSize(module);
    if (size > most) [best, most] = [module, size];
  }
  if (best === null || best.path === '') return `name tensors with ${option('tensor')}`;
  const numbers = best.children.filter(isNumbered).map(({ name }) => name);
  const glob = numbers.every((name) => name.length === 1) ? '?' : '*';
  return `name modules with ${option('module')}, such as ${option('module', `${best.path}${tree.separator}${glob}`)}, or tensors with ${option('tensor')}`;
}

/** `neck:0-2`: every feature of a group, as `out` takes it. */
export function groupRange(name: string, { length }: readonly unknown[]): string {
  return `${name}:${length > 1 ? `0-${length - 1}` : '0'}`;
}

/** What is computed of an input, as it is selected: the likeliest vector, else features; null for nothing. */
export function selectionOf(
  view: GraphView,
  { embeddings, features, groups }: Resolution,
  input: string,
): string | null {
  const needs = (tensor: string | null): boolean => tensor !== null && inputsOf(view, [tensor]).includes(input);
  const vector = embeddings.find(({ tensor }) => needs(tensor));
  if (vector !== undefined) return option('tensor', vector.tensor);
  if (features.some(({ tensor }) => needs(tensor))) return option('out', [-1]);
  const group = groups.find(({ features: own }) => own.some(({ tensor }) => needs(tensor)));
  return group === undefined ? null : option('out', groupRange(group.name, group.features));
}

/** Groups that a message proposes. */
const MOST_PROPOSED = 8;

/** How features are selected from groups: `` `out: 'tower.0:0-3'` or `out: 'tower.1:0-3'` ``. */
export function selectionFromGroups(groups: readonly FeatureGroup[]): string {
  const ranges = groups.slice(0, MOST_PROPOSED).map(({ name, features }) => option('out', groupRange(name, features)));
  const more = groups.length - ranges.length;
  return `${ranges.join(' or ')}${more > 0 ? `, and ${more} more` : ''}`;
}

/** Nodes in the numbered children of a module, if it has several. */
function rowSize(module: Module): number {
  const numbered = module.children.filter(isNumbered);
  return numbered.length < 2 ? 0 : numbered.reduce((sum, { size }) => sum + size, 0);
}

function isNumbered({ name }: Module): boolean {
  return /^\d+$/.test(name);
}
