import { hasTensor, tensorNames, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import type { Analysis } from './analysis.js';
import { concatenatedFacts } from './facts.js';
import { nearestNames } from '../options/nearest.js';
import { named } from '../options/words.js';
import { isGlob, unescaped } from './glob.js';
import { matchesOfGlobs } from './glob-set.js';
import { innerNames } from './inner-tensors.js';
import type { Found, NamedSelector, SelectOptions } from './selectors.js';
import { isWeight } from './weights.js';

/** What the globs among the selectors match, all of them in one pass over the names. */
export interface GlobMatches {
  readonly tensor: ReadonlyMap<string, readonly string[]>;
  readonly node: ReadonlyMap<string, readonly string[]>;
}

/** What each glob among the selectors matches, found in one pass over the names. */
export function globMatches(view: GraphView, named: readonly NamedSelector[]): GlobMatches {
  const globsOf = (by: NamedSelector['by']): readonly string[] =>
    named.filter((selector) => selector.by === by && isGlob(selector.name)).map(({ name }) => name);
  const [tensors, nodes] = [globsOf('tensor'), globsOf('node')];
  return {
    tensor:
      tensors.length === 0
        ? new Map()
        : matchesOfGlobs(tensors, [...new Set([...view.inputs.keys(), ...view.producerOf.keys()])]),
    node: nodes.length === 0 ? new Map() : matchesOfGlobs(nodes, [...nodesByName(view).keys()]),
  };
}

/** A name that nothing bears, with the nearest of those that something does; null names none. */
export function missing(kind: string, name: string, known: Iterable<string> | null): Found {
  const near = known === null ? [] : nearestNames(name, known);
  return {
    selections: [],
    problem: `no ${kind} ${isGlob(name) ? 'matches' : 'is named'} '${name}'${near.length > 0 ? ` (nearest: ${near.map(named).join(', ')})` : ''}`,
  };
}

const NO_NAMES: readonly string[] = [];
const NO_NODES: readonly Node[] = [];

/** A tensor, or what a node makes or reads. */
export function byTensor(
  view: GraphView,
  analysis: Analysis,
  { by, name }: NamedSelector,
  globs: GlobMatches,
  { hookType = 'forward' }: SelectOptions,
  isExplained: boolean,
): Found {
  const nodes = by === 'node' ? nodesNamed(view, name, globs.node) : NO_NODES;
  const isInput = by === 'node' && hookType === 'forward_pre';
  const picked =
    by === 'tensor'
      ? tensorsNamed(view, name, globs.tensor)
      : isInput
        ? [...new Set(nodes.flatMap((node) => dataInput(view, node) ?? []))]
        : nodes.flatMap(({ outputs }) => outputs.find((output) => output !== '') ?? []);
  if (picked.length === 0 && nodes.length > 0)
    return {
      selections: [],
      problem: `the node '${name}' ${isInput ? 'reads nothing that the graph computes' : 'makes no tensor'}`,
    };
  if (picked.length === 0) {
    const kind = by === 'node' ? 'node' : 'tensor';
    if (!isExplained) return missing(by, name, null);
    return inside(view, kind, name) ?? missing(by, name, by === 'tensor' ? tensorNames(view) : nodeNames(view));
  }
  return {
    problem: null,
    selections: picked.map((tensor) => ({
      ...concatenatedFacts(analysis, [tensor]),
      index: null,
      group: null,
      module: null,
      hookType: isInput ? 'forward_pre' : 'forward',
      tensors: [tensor],
      by,
    })),
  };
}

/** What lives in a body or a function alone cannot leave the graph. */
function inside(view: GraphView, kind: 'tensor' | 'node', name: string): Found | null {
  const places = innerNames(view, kind, name);
  if (places.length === 0) return null;
  const instead = [...new Set(places.flatMap(({ instead: outputs }) => outputs))];
  return {
    selections: [],
    problem: `${isGlob(name) ? `'${name}' matches ${kind}s only` : `the ${kind} '${name}' lives`} inside ${places
      .slice(0, 3)
      .map(({ place }) => place)
      .join(' and ')}${places.length > 3 ? ' and others' : ''}, and nothing in there can be an output of the graph`,
    hint:
      instead.length === 0
        ? undefined
        : `take what leaves there: ${instead
            .slice(0, 5)
            .map((output) => `'${output}'`)
            .join(', ')}`,
  };
}

function* nodeNames({ model }: GraphView): Generator<string> {
  for (const { name } of model.graph.nodes) if (name !== '') yield name;
}

function tensorsNamed(view: GraphView, pattern: string, globs: GlobMatches['tensor']): readonly string[] {
  if (hasTensor(view, pattern)) return [pattern];
  const plain = unescaped(pattern);
  return hasTensor(view, plain) ? [plain] : (globs.get(pattern) ?? NO_NAMES);
}

/** The first tensor that a node reads and that is computed or given, not a weight. */
function dataInput(view: GraphView, { inputs }: Node): string | undefined {
  return inputs.find((name) => (view.producerOf.has(name) || view.inputs.has(name)) && !isWeight(view, name));
}

function nodesNamed(view: GraphView, pattern: string, globs: GlobMatches['node']): readonly Node[] {
  const byName = nodesByName(view);
  const exact = byName.get(pattern) ?? byName.get(unescaped(pattern)) ?? [];
  return exact.length > 0
    ? exact
    : (globs.get(pattern) ?? []).flatMap((name) => byName.get(name) ?? []).sort((a, b) => a.index - b.index);
}

const nodeCache = new WeakMap<GraphView, ReadonlyMap<string, readonly Node[]>>();

function nodesByName(view: GraphView): ReadonlyMap<string, readonly Node[]> {
  const before = nodeCache.get(view);
  if (before !== undefined) return before;
  const byName = new Map<string, Node[]>();
  for (const node of view.model.graph.nodes) {
    if (node.name === '') continue;
    const same = byName.get(node.name);
    if (same === undefined) byName.set(node.name, [node]);
    else same.push(node);
  }
  nodeCache.set(view, byName);
  return byName;
}
