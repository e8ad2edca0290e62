import type { GraphView } from '../onnx/graph.js';
import { option } from '../options/words.js';
import { wholeFlow } from './flow.js';
import { modulesOf, type Module } from './modules.js';

/**
 * How something can be taken from a network in which no features were found: a glob of modules that match, where there
 * are numbered ones side by side, else tensors.
 */
export function selectionByName(view: GraphView): string {
  const { whole } = wholeFlow(view);
  const tree = modulesOf(view, whole);
  let best: Module | null = null;
  for (const module of tree.modules.values()) if (rowSize(module) > rowSize(best)) best = module;
  if (best === null || best.path === '') return `name tensors with ${option('tensor')}`;
  const numbers = best.children.filter(isNumbered).map(({ name }) => name);
  const glob = numbers.every((name) => name.length === 1) ? '?' : '*';
  return `name modules with ${option('module')}, such as ${option('module', `${best.path}${tree.separator}${glob}`)}, or tensors with ${option('tensor')}`;
}

/** Nodes in the numbered children of a module, if it has several. */
function rowSize(module: Module | null): number {
  const numbered = module?.children.filter(isNumbered) ?? [];
  return numbered.length < 2 ? 0 : numbered.reduce((sum, { nodes }) => sum + nodes.length, 0);
}

function isNumbered({ name }: Module): boolean {
  return /^\d+$/.test(name);
}
