import type { Attribute, Graph, Node, OnnxModel, SparseTensor, Tensor } from './records.js';
import { bodiesOf } from './scopes.js';

const graphs = new WeakMap<OnnxModel, readonly Graph[]>();
const tensors = new WeakMap<OnnxModel, readonly Tensor[]>();

/** Every graph of the model: the main graph, its bodies at any depth, and those of functions and of training. */
export function graphsOf(model: OnnxModel): readonly Graph[] {
  let found = graphs.get(model);
  if (found === undefined) graphs.set(model, (found = [...walkGraphs(model)]));
  return found;
}

/** Every TensorProto of the model, wherever it stands. */
export function tensorsOf(model: OnnxModel): readonly Tensor[] {
  let found = tensors.get(model);
  if (found === undefined) tensors.set(model, (found = [...walkTensors(model)]));
  return found;
}

function* walkGraphs(model: OnnxModel): Generator<Graph> {
  const stack: Graph[] = [model.graph, ...model.trainingInfo.flatMap((info) => info.graphs)];
  for (const { nodes, defaults } of model.functions) {
    for (const node of nodes) for (const body of bodiesOf(node)) stack.push(body);
    for (const body of bodiesOf({ attributes: defaults })) stack.push(body);
  }
  for (let graph = stack.pop(); graph !== undefined; graph = stack.pop()) {
    yield graph;
    for (const node of graph.nodes) for (const body of bodiesOf(node)) stack.push(body);
  }
}

function* walkTensors(model: OnnxModel): Generator<Tensor> {
  for (const graph of graphsOf(model)) {
    yield* graph.initializers;
    for (const sparse of graph.sparseInitializers) yield* sparseParts(sparse);
    yield* tensorsIn(graph.nodes);
  }
  for (const { nodes, defaults } of model.functions) {
    yield* tensorsIn(nodes);
    if (defaults.length > 0) yield* attributeTensors({ attributes: defaults });
  }
}

function* tensorsIn(nodes: readonly Node[]): Generator<Tensor> {
  for (const node of nodes) if (node.attributes.length > 0) yield* attributeTensors(node);
}

/** The tensors in a node's attributes, the parts of sparse ones among them. */
export function* attributeTensors(node: { readonly attributes: readonly Attribute[] }): Generator<Tensor> {
  for (const attribute of node.attributes) {
    yield* attribute.tensors;
    for (const sparse of attribute.sparseTensors) yield* sparseParts(sparse);
  }
}

function* sparseParts(sparse: SparseTensor): Generator<Tensor> {
  if (sparse.values) yield sparse.values;
  if (sparse.indices) yield sparse.indices;
}
