import type { Attribute, Graph, OnnxModel, SparseTensor, Tensor } from './records.js';
import { bodiesOf } from './scopes.js';

/** Every graph of the model: the main graph, its bodies at any depth, and those of functions and of training. */
export function* graphsOf(model: OnnxModel): Generator<Graph> {
  const stack: Graph[] = [model.graph, ...model.trainingInfo.flatMap((info) => info.graphs)];
  for (const { nodes, defaults } of model.functions)
    for (const holder of [...nodes, { attributes: defaults }]) for (const body of bodiesOf(holder)) stack.push(body);
  for (let graph = stack.pop(); graph !== undefined; graph = stack.pop()) {
    yield graph;
    for (const node of graph.nodes) for (const body of bodiesOf(node)) stack.push(body);
  }
}

/** Every TensorProto of the model, wherever it stands. */
export function* tensorsOf(model: OnnxModel): Generator<Tensor> {
  for (const graph of graphsOf(model)) {
    yield* graph.initializers;
    for (const sparse of graph.sparseInitializers) yield* sparseParts(sparse);
    for (const node of graph.nodes) yield* attributeTensors(node);
  }
  for (const { nodes, defaults } of model.functions)
    for (const holder of [...nodes, { attributes: defaults }]) yield* attributeTensors(holder);
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
