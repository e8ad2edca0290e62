import type { Names } from '../onnx/by-name.js';
import { hasTensor, isInitializer, neededFor, tensorNames, type GraphView } from '../onnx/graph.js';
import { wholeFlow } from './flow.js';

/**
 * Tensors that the resolvers want to know the types of: the inputs, and everything on the way from them to an output.
 */
export function neededTensors(view: GraphView): Names {
  return wholeFlow(view).whole.position;
}

/** The tensors whose types finding features takes; all of the main graph where something is selected by name. */
export function typesWanted(view: GraphView, all: boolean): Names {
  return all ? { has: (name) => hasTensor(view, name), keys: () => tensorNames(view) } : neededTensors(view);
}

/** The inputs that tensors are computed of, in the order of the graph. */
export function inputsOf(view: GraphView, tensors: readonly string[]): readonly string[] {
  const needed = neededFor(view, tensors).tensors;
  return [...view.inputs.keys()].filter((name) => !isInitializer(view, name) && needed.has(name));
}
