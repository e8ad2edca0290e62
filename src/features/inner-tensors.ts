import { isGlob, matchesGlob } from './glob.js';
import { bodiesOf, functionKey, hasBodies, type GraphView } from '../onnx/graph.js';
import type { Attribute, FunctionDef, Graph, Node } from '../onnx/records.js';

/**
 * Where a name exists that is no tensor (or node) of the main graph, and which tensors of the main graph can be had in
 * its place.
 */
export interface InnerName {
  /** `the then_branch of node[3] If 'choose'`, `the function my.domain:Block`. */
  readonly place: string;
  readonly instead: readonly string[];
}

/** Places beyond these are not told apart. */
const MOST_PLACES = 8;

/** The first bodies and functions in which a tensor of that name is made, or a node bears it. */
export function innerNames(view: GraphView, kind: 'tensor' | 'node', name: string): readonly InnerName[] {
  const { model } = view;
  const found: InnerName[] = [];
  for (const node of model.graph.nodes) {
    if (!hasBodies(node)) continue;
    for (const place of placesIn(node, kind, name)) {
      found.push({ place: `${place} of ${labelOf(node)}`, instead: node.outputs.filter((output) => output !== '') });
      if (found.length === MOST_PLACES) return found;
    }
  }
  for (const definition of model.functions) {
    const holds = definition.nodes.some(
      (node) => isMatch(node, kind, name) || (hasBodies(node) && !placesIn(node, kind, name).next().done),
    );
    if (!holds) continue;
    const overload = definition.overload === '' ? '' : `:${definition.overload}`;
    found.push({
      place: `the function ${definition.domain}:${definition.name}${overload}`,
      instead: callersOf(view, definition).flatMap((node) => node.outputs.filter((output) => output !== '')),
    });
    if (found.length === MOST_PLACES) return found;
  }
  return found;
}

/** Nodes of the main graph that call a function, in their bodies or through other functions too. */
function callersOf({ model }: GraphView, definition: FunctionDef): readonly Node[] {
  const calling = new Set([functionKey(definition.domain, definition.name, definition.overload)]);
  const callees = new Map(
    model.functions.map((caller) => [functionKey(caller.domain, caller.name, caller.overload), calledBy(caller.nodes)]),
  );
  for (let before = 0; before < calling.size; ) {
    before = calling.size;
    for (const [key, keys] of callees)
      if (!calling.has(key) && keys.some((callee) => calling.has(callee))) calling.add(key);
  }
  return model.graph.nodes.filter((node) => calledBy([node]).some((key) => calling.has(key)));
}

/** Keys of what some nodes call, functions or operators, in their bodies too. */
function calledBy(nodes: readonly Node[]): readonly string[] {
  const keys = new Set<string>();
  const stack = [...nodes];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    keys.add(functionKey(node.domain, node.opType, node.overload));
    for (const body of bodiesOf(node)) for (const inner of body.nodes) stack.push(inner);
  }
  return [...keys];
}

function labelOf({ index, opType, name }: Node): string {
  return `node[${index}] ${opType}${name === '' ? '' : ` '${name}'`}`;
}

function isMatch(node: Node, kind: 'tensor' | 'node', name: string): boolean {
  const names = kind === 'tensor' ? node.outputs : [node.name];
  return names.includes(name) || (isGlob(name) && names.some((own) => own !== '' && matchesGlob(name, own)));
}

function* placesIn(
  node: { readonly attributes: readonly Attribute[] },
  kind: 'tensor' | 'node',
  name: string,
): Generator<string> {
  for (const attribute of node.attributes) {
    for (const [index, body] of attribute.graphs.entries()) {
      const label = `the ${attribute.name}${attribute.graphs.length > 1 ? `[${index}]` : ''}`;
      if (holdsItself(body, kind, name)) yield label;
      for (const inner of body.nodes)
        for (const place of placesIn(inner, kind, name)) yield `${place} of ${labelOf(inner)} in ${label}`;
    }
  }
}

function holdsItself(body: Graph, kind: 'tensor' | 'node', name: string): boolean {
  if (body.nodes.some((node) => isMatch(node, kind, name))) return true;
  return (
    kind === 'tensor' &&
    (body.inputs.some((input) => input.name === name) || body.initializers.some((tensor) => tensor.name === name))
  );
}
