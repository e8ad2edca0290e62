import { readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';

/** The nodes of the main graph, each behind those it reads from. */
export function executionOrder(view: GraphView): readonly Node[] {
  const { nodes } = view.model.graph;
  if (view.sorted) return nodes;
  const waiting = nodes.map(
    (node) => new Set(readsOf(node).flatMap((name) => view.producerOf.get(name)?.node ?? [])).size,
  );
  const order = nodes.filter((node) => waiting[node.index] === 0);
  for (let at = 0; at < order.length; at++) {
    const readers = new Set(order[at].outputs.flatMap((name) => view.consumersOf.get(name) ?? []));
    for (const reader of readers) if (--waiting[reader.index] === 0) order.push(reader);
  }
  return order;
}
