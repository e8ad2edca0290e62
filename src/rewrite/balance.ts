import { isInitializer, readsOf } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import type { Divisible, Levels } from './partition.js';

/** How a graph is divided into parts of much the same cost, where few bytes cross. */

/** More places than these are not looked at: of those that lie close together the best one. */
const MOST_PLACES = 400;
/** How much larger than the ideal the largest part may be, the first bound that can be kept. */
const BOUNDS = [1.25, 1.5, 2, 3, 5, Infinity];

/** A place between two nodes: how many lie in front of it, what they cost, and the bytes that cross. */
interface Place {
  readonly at: number;
  readonly cost: number;
  readonly bytes: number;
}

/** A graph divided, or why it cannot be. */
export interface Division {
  readonly levels: Levels;
  readonly count: number;
  /** The largest part against one of equal parts. */
  readonly imbalance: number;
}

/** Parts of equal cost, as far as may be: at most a quarter above the ideal if that is possible. */
export function inEqualParts(graph: Divisible, costs: ReadonlyMap<Node, number>, count: number): Division | null {
  const places = placesOf(graph, costs);
  const total = places[places.length - 1].cost;
  for (const bound of BOUNDS) {
    const chosen = fewestBytes(places, (total / count) * bound, count);
    if (chosen !== null) return divided(graph, places, chosen);
  }
  return null;
}

/** As few parts as there can be whose cost is at most `most` each. */
export function inPartsUpTo(graph: Divisible, costs: ReadonlyMap<Node, number>, most: number): Division | null {
  const places = placesOf(graph, costs);
  const least = Math.max(1, Math.ceil(places[places.length - 1].cost / most));
  for (let count = least; count < places.length; count++) {
    const chosen = fewestBytes(places, most, count);
    if (chosen !== null) return divided(graph, places, chosen);
  }
  return null;
}

function divided({ nodes }: Divisible, places: readonly Place[], chosen: readonly number[]): Division {
  const levels = new Map<Node, number>();
  const ends = chosen.map((place) => places[place]);
  let part = 0;
  nodes.forEach((node, index) => {
    while (part < ends.length && index >= ends[part].at) part++;
    levels.set(node, part);
  });
  const cuts = [0, ...ends.map(({ cost }) => cost), places[places.length - 1].cost];
  const largest = Math.max(...cuts.slice(1).map((cost, index) => cost - cuts[index]));
  return {
    levels,
    count: ends.length + 1,
    imbalance: (largest * (ends.length + 1)) / Math.max(1, places[places.length - 1].cost),
  };
}

/** The places to cut at, first to last, so that no part costs more than `most`; null if there are none. */
function fewestBytes(places: readonly Place[], most: number, count: number): readonly number[] | null {
  const last = places.length - 1;
  // best[p]: bytes that cross up to the place p, and the place before it, for as many parts as there were rounds.
  let best: ({ readonly bytes: number; readonly way: readonly number[] } | null)[] = places.map(({ cost }, at) =>
    at > 0 && cost <= most ? { bytes: 0, way: [] } : null,
  );
  for (let part = 1; part < count; part++) {
    const next: typeof best = places.map(() => null);
    for (let to = 1; to <= last; to++) {
      for (let from = to - 1; from > 0 && places[to].cost - places[from].cost <= most; from--) {
        const way = best[from];
        if (way === null) continue;
        const bytes = way.bytes + places[from].bytes;
        const known = next[to];
        if (known === null || bytes < known.bytes) next[to] = { bytes, way: [...way.way, from] };
      }
    }
    best = next;
  }
  return best[last]?.way ?? null;
}

/** The places between nodes, the first in front of all and the last behind all. */
function placesOf(graph: Divisible, costs: ReadonlyMap<Node, number>): readonly Place[] {
  const { nodes } = graph;
  const crossing = crossingBytes(graph);
  const all: Place[] = [{ at: 0, cost: 0, bytes: 0 }];
  let cost = 0;
  nodes.forEach((node, index) => {
    cost += costs.get(node) ?? 0;
    all.push({ at: index + 1, cost, bytes: crossing[index + 1] });
  });
  if (all.length <= MOST_PLACES + 2) return all;
  const buckets = new Map<number, Place>();
  for (const place of all.slice(1, -1)) {
    const bucket =
      Math.floor(((place.cost / Math.max(1, cost)) * MOST_PLACES) / 2) * MOST_PLACES +
      Math.floor((place.at / all.length) * (MOST_PLACES / 2));
    const known = buckets.get(bucket);
    if (known === undefined || place.bytes < known.bytes) buckets.set(bucket, place);
  }
  return [all[0], ...[...buckets.values()].sort((a, b) => a.at - b.at), all[all.length - 1]];
}

/** Bytes that cross in front of each node: made or read before it, and read from it on. */
function crossingBytes({ view, nodes, isVariable, bytesOf }: Divisible): readonly number[] {
  const position = new Map(nodes.map((node, index) => [node, index]));
  const first = new Map<string, number>();
  const last = new Map<string, number>();
  nodes.forEach((node, index) => {
    for (const name of readsOf(node)) {
      if (!isVariable(name)) continue;
      const made = view.producerOf.get(name)?.node;
      if (!first.has(name)) first.set(name, made === undefined ? index : (position.get(made) ?? index));
      last.set(name, index);
    }
  });
  const steps = Array.from({ length: nodes.length + 2 }, () => 0);
  for (const [name, begin] of first) {
    const end = last.get(name) ?? begin;
    if (end <= begin) continue;
    const bytes = bytesOf(name);
    steps[begin + 1] += bytes;
    steps[end + 1] -= bytes;
  }
  let bytes = 0;
  return steps.map((step) => (bytes += step));
}

/** What a node reads that is the same for every input: weights, and what is computed from weights alone. */
export function weightsBehind({ view, isVariable }: Divisible): (node: Node) => ReadonlySet<string> {
  const behind = new Map<string, ReadonlySet<string>>();
  const ofTensor = (name: string): ReadonlySet<string> => {
    const known = behind.get(name);
    if (known !== undefined) return known;
    const found = new Set<string>();
    const stack = [name];
    const seen = new Set(stack);
    for (let tensor = stack.pop(); tensor !== undefined; tensor = stack.pop()) {
      const made = view.producerOf.get(tensor)?.node;
      if (made === undefined) {
        if (isInitializer(view, tensor)) found.add(tensor);
        continue;
      }
      if (made.inputs.length === 0) found.add(tensor);
      for (const read of readsOf(made))
        if (!seen.has(read)) {
          seen.add(read);
          stack.push(read);
        }
    }
    behind.set(name, found);
    return found;
  };
  return (node) => new Set(readsOf(node).flatMap((name) => (isVariable(name) ? [] : [...ofTensor(name)])));
}
