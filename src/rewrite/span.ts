import { UsageError } from '../errors.js';
import { isInitializer, neededFor, readsOf, type GraphView, type Needed } from '../onnx/graph.js';
import type { Dim, Node } from '../onnx/records.js';
import type { TensorTypes } from '../onnx/types.js';
import { option } from '../options/words.js';
import { keptFor } from './kept.js';
import type { Beginning, PlanOptions } from './tap.js';

/** One size that a `Shape` in front of a cut gave: a number, or an axis of what the cut begins with. */
export type FoldedSize = number | { readonly tensor: string; readonly axis: number };

/** A `Shape` of a tensor in front of the cut, and what stands in for it. */
export interface FoldedShape {
  readonly node: Node;
  /** The tensor whose sizes it gave. */
  readonly of: string;
  readonly dims: readonly Dim[];
  readonly sizes: readonly FoldedSize[];
}

/** What lies between the beginnings of a cut and its outputs. */
export interface Span {
  readonly kept: Needed;
  /** Inputs of the model that the result keeps. */
  readonly inputs: readonly string[];
  readonly folded: readonly FoldedShape[];
}

/**
 * Walks back from the roots of a cut to its beginnings. A `Shape` of what lies in front of them becomes numbers, or
 * the shape of a beginning, so that nothing is kept for its size alone.
 * @throws UsageError `FEATX_FROM_UNUSED` for beginnings that nothing reads, `FEATX_FROM_UNCOVERED` naming every tensor
 * that goes round them
 */
export function spanOf(
  view: GraphView,
  types: TensorTypes,
  roots: readonly string[],
  { from, keepInputs, foldShapes }: Pick<PlanOptions, 'from' | 'keepInputs' | 'foldShapes'>,
): Span {
  const given = new Set(from.map(({ tensor }) => tensor));
  const { kept, folded } = foldShapes
    ? walked(view, types, roots, given)
    : { kept: keptFor(view, roots, { given }), folded: [] };
  assertUsed(view, from, given, kept);
  const inputs = [...view.inputs.keys()].filter(
    (name) => kept.tensors.has(name) && (!given.has(name) || !isInitializer(view, name)),
  );
  const front = neededFor(
    view,
    [...given].filter((name) => view.producerOf.has(name)),
  );
  const leaking = inputs.filter((name) => !given.has(name) && !isInitializer(view, name) && front.tensors.has(name));
  if (leaking.length > 0 && !keepInputs) throw uncovered(view, { roots, given, kept, front, from, leaking });
  return { kept, inputs, folded };
}

/** Whether a node gives the sizes of a tensor, whose values it does not need. */
export function isShape({ opType, domain }: Node): boolean {
  return opType === 'Shape' && domain === '';
}

/** The walk, with every `Shape` followed that nothing can stand in for. */
function walked(
  view: GraphView,
  types: TensorTypes,
  roots: readonly string[],
  given: ReadonlySet<string>,
): Pick<Span, 'kept' | 'folded'> {
  const followed = new Set<Node>();
  for (;;) {
    const kept = keptFor(view, roots, {
      given,
      reads: (node) => (isShape(node) && !followed.has(node) && !given.has(node.inputs[0]) ? [] : readsOf(node)),
    });
    const open = [...kept.nodes].filter((node) => isShape(node) && !kept.tensors.has(node.inputs[0]));
    const sources = [...given, ...[...view.inputs.keys()].filter((name) => kept.tensors.has(name))];
    const folded = open.map((node) => foldedShape(types, node, sources));
    const stuck = open.filter((_node, at) => folded[at] === null);
    if (stuck.length === 0) return withoutFolded(kept, folded);
    for (const node of stuck) followed.add(node);
  }
}

function withoutFolded(
  { nodes, tensors }: Needed,
  folded: readonly (FoldedShape | null)[],
): Pick<Span, 'kept' | 'folded'> {
  const shapes = folded.filter((each) => each !== null);
  const gone = new Set(shapes.map(({ node }) => node));
  return { kept: { nodes: new Set([...nodes].filter((node) => !gone.has(node))), tensors }, folded: shapes };
}

/** What stands in for a `Shape`; null if a size is neither a number nor one of what is given. */
function foldedShape(types: TensorTypes, node: Node, sources: readonly string[]): FoldedShape | null {
  const [of] = node.inputs;
  const shape = types.get(of)?.shape ?? null;
  if (shape === null) return null;
  const bound = (name: string, standard: number): number =>
    Number(node.attributes.find((attribute) => attribute.name === name)?.i ?? standard);
  const dims = shape.slice(bound('start', 0), bound('end', shape.length));
  const sizes = dims.map((dim) => sizeOf(types, dim, sources));
  return sizes.every((size) => size !== null) ? { node, of, dims, sizes } : null;
}

function sizeOf(types: TensorTypes, dim: Dim, sources: readonly string[]): FoldedSize | null {
  if (dim === null || typeof dim === 'number') return dim;
  for (const tensor of sources) {
    const axis = types.get(tensor)?.shape?.indexOf(dim) ?? -1;
    if (axis >= 0) return { tensor, axis };
  }
  return null;
}

/** @throws UsageError */
function assertUsed(
  view: GraphView,
  from: readonly Beginning[],
  given: ReadonlySet<string>,
  { tensors }: Needed,
): void {
  const idle = from.filter(({ tensor }) => !tensors.has(tensor));
  if (idle.length === 0) return;
  const said = idle.map(({ name, tensor }) => {
    const hiding = from.find(
      (other) =>
        other.tensor !== tensor && neededFor(view, [other.tensor]).tensors.has(tensor) && given.has(other.tensor),
    );
    return hiding === undefined
      ? `no output of the cut needs '${name}'`
      : `nothing between '${hiding.name}' and the outputs reads '${name}': it lies in front of it`;
  });
  throw new UsageError(said.join('; '), {
    code: 'FEATX_FROM_UNUSED',
    hint: `leave ${idle.length === 1 ? 'it' : 'them'} out of ${option('from')}, or select outputs that are computed from ${idle.length === 1 ? 'it' : 'them'}`,
  });
}

interface Leak {
  readonly roots: readonly string[];
  readonly given: ReadonlySet<string>;
  readonly kept: Needed;
  /** All that the beginnings are computed from. */
  readonly front: Needed;
  readonly from: readonly Beginning[];
  readonly leaking: readonly string[];
}

/** The error that says how inputs get round the beginnings, and which tensors would hold them up. */
function uncovered(view: GraphView, leak: Leak): UsageError {
  const { from, leaking, kept, roots, given } = leak;
  const tensors = fewest(crossing(view, leak), crossingLate(view, leak));
  const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ');
  const through = throughWhich(view, kept, tensors);
  const early = roots.filter((name) => leak.front.tensors.has(name) && !given.has(name));
  const what =
    early.length > 0
      ? `${quoted(early.slice(0, SHOWN))} ${early.length === 1 ? 'lies' : 'lie'} in front of ${quoted(from.map(({ name }) => name))} and needs ${quoted(leaking)}`
      : `the outputs need ${quoted(leaking)} besides ${quoted(from.map(({ name }) => name))}${through === '' ? '' : `, through ${through}`}`;
  return new UsageError(what, {
    code: 'FEATX_FROM_UNCOVERED',
    hint: `add ${tensors.map((name) => option('from', [name])).join(' ')}, or let the inputs stay with ${option('keepInputs', true)}`,
  });
}

const SHOWN = 5;

function fewest(first: readonly string[], second: readonly string[] | null): readonly string[] {
  return second !== null && second.length < first.length ? second : first;
}

/** Nodes that read what goes round. */
function throughWhich(view: GraphView, { nodes }: Needed, tensors: readonly string[]): string {
  const readers = new Set(
    tensors.flatMap((name) => (view.consumersOf.get(name) ?? []).filter((node) => nodes.has(node)).slice(0, 1)),
  );
  return [...readers]
    .slice(0, SHOWN)
    .map(({ name, opType, index }) => (name === '' ? `node[${index}] ${opType}` : `'${name}'`))
    .join(', ');
}

/** What is computed as the beginnings are, and read by what is not: with them given, the walk ends there. */
function crossing(view: GraphView, { roots, given, kept, front }: Leak): readonly string[] {
  const variable = dependsOnInputs(view);
  const crosses = (name: string): boolean => front.tensors.has(name) && !given.has(name) && variable(name);
  const found = new Set(roots.filter(crosses));
  for (const node of kept.nodes) {
    if (front.nodes.has(node)) continue;
    for (const name of readsOf(node)) if (crosses(name)) found.add(isShape(node) ? node.outputs[0] : name);
  }
  return [...found];
}

/** What only meets the beginnings behind them; null if an output does not need them at all. */
function crossingLate(view: GraphView, { roots, given, kept, leaking }: Leak): readonly string[] | null {
  const variable = dependsOnInputs(view, leaking);
  const behind = descendants(view, given);
  if (roots.some((name) => !behind.tensors.has(name))) return null;
  const found = new Set<string>();
  for (const node of kept.nodes) {
    if (!behind.nodes.has(node)) continue;
    for (const name of readsOf(node)) if (!behind.tensors.has(name) && variable(name)) found.add(name);
  }
  return [...found];
}

/** What is computed from some tensors, themselves included. */
export function descendants(view: GraphView, tensors: Iterable<string>): Needed {
  const nodes = new Set<Node>();
  const reached = new Set(tensors);
  const stack = [...reached];
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    for (const node of view.consumersOf.get(name) ?? []) {
      if (nodes.has(node)) continue;
      nodes.add(node);
      for (const output of node.outputs)
        if (output !== '' && !reached.has(output)) {
          reached.add(output);
          stack.push(output);
        }
    }
  }
  return { nodes, tensors: reached };
}

/** Whether a tensor depends on an input of the model, or on one of some. */
function dependsOnInputs(view: GraphView, inputs?: readonly string[]): (name: string) => boolean {
  const sources = inputs ?? [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
  const { tensors } = descendants(view, sources);
  return (name) => tensors.has(name);
}
