import type { GraphView } from '../onnx/graph.js';
import { realInputs } from './analysis.js';
import { executionOrder, flowBetween, reachableFrom } from './flow.js';

/** Tensors that the resolvers want to know the types of: the inputs, and everything on the way from them to an output. */
export function neededTensors(view: GraphView): Iterable<string> {
  const order = executionOrder(view);
  const inputs = realInputs(view);
  return [...inputs, ...flowBetween(order, null, reachableFrom(order, inputs), view.outputs.keys()).position.keys()];
}
