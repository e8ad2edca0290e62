import { readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';

/** What stays of the main graph. */
export interface Kept {
  readonly nodes: ReadonlySet<Node>;
  /** Tensors that these nodes read and make, and those that are kept for their own sake. */
  readonly tensors: ReadonlySet<string>;
}

/** What tensors need: their ancestors, and the scales and zero points that annotations of any of them name, which may be referenced by nothing else. */
export function keptFor(view: GraphView, roots: readonly string[]): Kept {
  const annotations = new Map<string, string[]>();
  for (const { tensorName, parameters } of view.model.graph.quantizationAnnotations) {
    annotations.set(tensorName, [...(annotations.get(tensorName) ?? []), ...parameters.map(({ value }) => value)]);
  }
  const nodes = new Set<Node>();
  const tensors = new Set<string>();
  const stack: string[] = [];
  const need = (name: string): void => {
    if (name === '' || tensors.has(name)) return;
    tensors.add(name);
    stack.push(name);
  };
  roots.forEach(need);
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    annotations.get(name)?.forEach(need);
    const node = view.producerOf.get(name)?.node;
    if (node === undefined || nodes.has(node)) continue;
    nodes.add(node);
    for (const read of readsOf(node)) need(read);
    for (const output of node.outputs) need(output);
  }
  return { nodes, tensors };
}

/** The whole main graph. */
export function everything(view: GraphView): Kept {
  const {
    model: { graph },
    inputs,
    outputs,
    initializers,
    sparseInitializers,
  } = view;
  const tensors = new Set([
    ...inputs.keys(),
    ...outputs.keys(),
    ...initializers.keys(),
    ...sparseInitializers.keys(),
    ...graph.valueInfo.map(({ name }) => name),
  ]);
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) tensors.add(name);
    for (const name of node.outputs) tensors.add(name);
  }
  return { nodes: new Set(graph.nodes), tensors };
}
