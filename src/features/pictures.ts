import { readsOf, type GraphView } from '../onnx/graph.js';
import type { Dim, Node } from '../onnx/records.js';
import { nodeAt, type Flow } from './flow.js';
import { isLayer, isWeight } from './weights.js';

type ShapeOf = (name: string) => readonly Dim[] | null;

/**
 * Maps that strides are counted from in place of the input: those that a Resize in front of the first layer brings to
 * one size, whatever the size of the picture, where nothing else reads what came before. A Resize by factors, a pool
 * and a slice with steps count as strides there as they do elsewhere.
 * @param provenOf shapes without nominal numbers
 */
export function resizedPictures(view: GraphView, flow: Flow, provenOf: ShapeOf): ReadonlySet<string> {
  const found = new Set<string>();
  if (flow.input === null) return found;
  const lastReader = (name: string): number => flow.readers.get(name)?.at(-1) ?? -1;
  const raw = new Set([flow.input]);
  let lastRead = lastReader(flow.input);
  for (let at = 0; at <= lastRead && at < flow.rows.length; at++) {
    const node = nodeAt(flow, at);
    const reads = readsOf(node).filter((name) => flow.position.has(name));
    if (isLayer(node) || reads.length === 0 || !reads.every((name) => raw.has(name))) continue;
    if (node.opType === 'Resize' && lastRead === at && fixesSize(view, node, provenOf)) found.add(node.outputs[0]);
    for (const output of node.outputs) {
      if (!flow.position.has(output)) continue;
      raw.add(output);
      lastRead = Math.max(lastRead, lastReader(output));
    }
  }
  return found;
}

/** Whether a Resize says sizes, not factors, and says them itself: the picture's own do not come into it. */
function fixesSize(view: GraphView, { inputs, outputs }: Node, provenOf: ShapeOf): boolean {
  const sizes = inputs[3] ?? '';
  if (sizes === '') return false;
  if (isWeight(view, sizes)) return true;
  const shape = provenOf(outputs[0]);
  return shape !== null && shape.slice(-2).every((dim) => typeof dim === 'number');
}
