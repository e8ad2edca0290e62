import type { GraphView } from '../onnx/graph.js';
import { realInputs } from './analysis.js';
import { executionOrder, flowBetween, reachableFrom } from './flow.js';

/** Tensors that the resolvers want to know the types of: everything on the way from an input to an output. */
export function neededTensors(view: GraphView): Iterable<string> {
  const order = executionOrder(view);
  return flowBetween(order, null, reachableFrom(order, realInputs(view)), view.outputs.keys()).position.keys();
}
