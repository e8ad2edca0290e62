import { functionsUsedBy, type GraphView } from '../onnx/graph.js';
import type { Attribute, Graph, Node } from '../onnx/records.js';

/** Where a name exists that is no tensor (or node) of the main graph, and which tensors of the main graph can be had in its place. */
export interface InnerName {
  /** `the then_branch of node[3] If 'choose'`, `the function my.domain:Block`. */
  readonly place: string;
  readonly instead: readonly string[];
}

/** Every body and function in which a tensor of that name is made, or a node bears it. */
export function innerNames(view: GraphView, kind: 'tensor' | 'node', name: string): readonly InnerName[] {
  const { model } = view;
  const found: InnerName[] = [];
  for (const node of model.graph.nodes) {
    for (const place of placesIn(node, kind, name)) found.push({ place: `${place} of ${labelOf(node)}`, instead: node.outputs.filter((output) => output !== '') });
  }
  for (const definition of model.functions) {
    const holds = definition.nodes.some((node) => isMatch(node, kind, name) || !placesIn(node, kind, name).next().done);
    if (!holds) continue;
    const callers = model.graph.nodes.filter((node) => functionsUsedBy(model, [node]).has(definition));
    const overload = definition.overload === '' ? '' : `:${definition.overload}`;
    found.push({ place: `the function ${definition.domain}:${definition.name}${overload}`, instead: callers.flatMap((node) => node.outputs.filter((output) => output !== '')) });
  }
  return found;
}

function labelOf({ index, opType, name }: Node): string {
  return `node[${index}] ${opType}${name === '' ? '' : ` '${name}'`}`;
}

function isMatch(node: Node, kind: 'tensor' | 'node', name: string): boolean {
  return kind === 'tensor' ? node.outputs.includes(name) : node.name === name;
}

function* placesIn(node: { readonly attributes: readonly Attribute[] }, kind: 'tensor' | 'node', name: string): Generator<string> {
  for (const attribute of node.attributes) {
    for (const [index, body] of attribute.graphs.entries()) {
      const label = `the ${attribute.name}${attribute.graphs.length > 1 ? `[${index}]` : ''}`;
      if (holdsItself(body, kind, name)) yield label;
      for (const inner of body.nodes) for (const place of placesIn(inner, kind, name)) yield `${place} of ${labelOf(inner)} in ${label}`;
    }
  }
}

function holdsItself(body: Graph, kind: 'tensor' | 'node', name: string): boolean {
  if (body.nodes.some((node) => isMatch(node, kind, name))) return true;
  return kind === 'tensor' && (body.inputs.some((input) => input.name === name) || body.initializers.some((tensor) => tensor.name === name));
}
