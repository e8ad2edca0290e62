import { ModelFormatError } from '../errors.js';
import type { Attribute, Graph, Node, OnnxModel } from './records.js';

/** Which names a scope defines and which it takes from the scopes around it. */

const captureCache = new WeakMap<Node, readonly string[]>();
const NO_SCOPES: readonly string[] = [];
const NO_BODIES: readonly Graph[] = [];

/** Names that the bodies of a node take from the scopes around it, at any depth. */
export function capturesOf(node: Node): readonly string[] {
  if (!hasBodies(node)) return NO_SCOPES;
  let captures = captureCache.get(node);
  if (captures === undefined) {
    const names = new Set<string>();
    for (const body of bodiesOf(node)) for (const name of freeNames(body)) names.add(name);
    captureCache.set(node, (captures = [...names]));
  }
  return captures;
}

/** Whether an attribute of a node is a graph. */
export function hasBodies(node: { readonly attributes: readonly Attribute[] }): boolean {
  for (const attribute of node.attributes) if (attribute.graphs.length > 0) return true;
  return false;
}

/** The bodies of a node, in file order. */
export function bodiesOf(node: { readonly attributes: readonly Attribute[] }): readonly Graph[] {
  return hasBodies(node) ? node.attributes.flatMap((attribute) => attribute.graphs) : NO_BODIES;
}

/** Names used in a body, as node inputs or body outputs, that the body does not define. */
function freeNames(body: Graph): Set<string> {
  const defined = new Set<string>(definedNames(body));
  const free = new Set<string>();
  const use = (name: string): void => void (name !== '' && !defined.has(name) && free.add(name));
  for (const node of body.nodes) {
    node.inputs.forEach(use);
    capturesOf(node).forEach(use);
  }
  for (const output of body.outputs) use(output.name);
  return free;
}

/** Names that a graph defines: inputs, initializers, node outputs. */
function* definedNames(graph: Graph): Generator<string> {
  for (const input of graph.inputs) yield input.name;
  for (const tensor of graph.initializers) yield tensor.name;
  for (const sparse of graph.sparseInitializers) if (sparse.values) yield sparse.values.name;
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== '') yield output;
}

/** What a node reads: its inputs and what its bodies capture; omitted inputs left out. */
export function readsOf(node: Node): readonly string[] {
  const inputs = node.inputs.includes('') ? node.inputs.filter((name) => name !== '') : node.inputs;
  const captures = capturesOf(node);
  return captures.length === 0 ? inputs : [...inputs, ...captures];
}

/** `domain:name:overload`, the identity of a model-local function and what a node calls. */
export function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([domain, name, overload]);
}

/** How messages name a node. */
export function nodeLabel({ index, opType }: Node): string {
  return `node[${index}] ${opType}`;
}

/** The error of a file whose bytes are fine and whose graph is not. */
export function invalid(model: OnnxModel, code: string, message: string, field: string): ModelFormatError {
  const path = model.source.path;
  return new ModelFormatError(`${path ?? 'the model'} is not a valid ONNX graph: ${message}`, { code, path, field });
}
