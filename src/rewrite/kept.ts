import { neededFor, readsOf, tensorNames, type GraphView, type Needed, type WalkOptions } from '../onnx/graph.js';

/**
 * What tensors need of a graph that stays whole: also the scales and zero points that annotations of any of them name,
 * which may be referenced by nothing else.
 */
export function keptFor(view: GraphView, roots: readonly string[], options: Omit<WalkOptions, 'beside'> = {}): Needed {
  const beside = new Map<string, string[]>();
  for (const { tensorName, parameters } of view.model.graph.quantizationAnnotations)
    beside.set(tensorName, [...(beside.get(tensorName) ?? []), ...parameters.map(({ value }) => value)]);
  return neededFor(view, roots, { ...options, beside });
}

/** The whole main graph. */
export function everything(view: GraphView): Needed {
  const { graph } = view.model;
  const tensors = new Set([
    ...tensorNames(view),
    ...view.outputs.keys(),
    ...graph.valueInfo.map(({ name }) => name),
    ...graph.nodes.flatMap(readsOf),
  ]);
  return { nodes: new Set(graph.nodes), tensors };
}
