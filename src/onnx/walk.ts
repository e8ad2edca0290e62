import { rowsOf } from './node-rows.js';
import type { Attribute, Graph, Node, OnnxModel, SparseTensor, Tensor } from './records.js';
import { bodiesOf } from './scopes.js';

const graphs = new WeakMap<OnnxModel, readonly Graph[]>();
const tensors = new WeakMap<OnnxModel, readonly Tensor[]>();

/** Every graph of the model: the main graph, its bodies at any depth, and those of functions and of training. */
export function graphsOf(model: OnnxModel): readonly Graph[] {
  let found = graphs.get(model);
  if (found === undefined) graphs.set(model, (found = walkGraphs(model)));
  return found;
}

/** Every TensorProto of the model, wherever it stands. */
export function tensorsOf(model: OnnxModel): readonly Tensor[] {
  let found = tensors.get(model);
  if (found === undefined) tensors.set(model, (found = walkTensors(model)));
  return found;
}

function walkGraphs(model: OnnxModel): readonly Graph[] {
  const found: Graph[] = [];
  const stack: Graph[] = [model.graph, ...model.trainingInfo.flatMap((info) => info.graphs)];
  for (const { nodes, defaults } of model.functions) {
    for (const node of nodes) for (const body of bodiesOf(node)) stack.push(body);
    for (const body of bodiesOf({ attributes: defaults })) stack.push(body);
  }
  for (let graph = stack.pop(); graph !== undefined; graph = stack.pop()) {
    found.push(graph);
    for (const node of attributedNodes(graph.nodes)) for (const body of bodiesOf(node)) stack.push(body);
  }
  return found;
}

/** The nodes that may have attributes. */
function attributedNodes(nodes: readonly Node[]): Iterable<Node> {
  const rows = rowsOf(nodes);
  return rows === null ? nodes : rows.withAttributes();
}

function walkTensors(model: OnnxModel): readonly Tensor[] {
  const found: Tensor[] = [];
  for (const { initializers, sparseInitializers, nodes } of graphsOf(model)) {
    for (const tensor of initializers) found.push(tensor);
    for (const sparse of sparseInitializers) addParts(found, sparse);
    for (const { attributes } of attributedNodes(nodes)) addTensors(found, attributes);
  }
  for (const { nodes, defaults } of model.functions) {
    for (const { attributes } of nodes) addTensors(found, attributes);
    addTensors(found, defaults);
  }
  return found;
}

/** The tensors in a node's attributes, the parts of sparse ones among them. */
export function attributeTensors({ attributes }: { readonly attributes: readonly Attribute[] }): readonly Tensor[] {
  const found: Tensor[] = [];
  addTensors(found, attributes);
  return found;
}

function addTensors(found: Tensor[], attributes: readonly Attribute[]): void {
  for (const { tensors: own, sparseTensors } of attributes) {
    for (const tensor of own) found.push(tensor);
    for (const sparse of sparseTensors) addParts(found, sparse);
  }
}

function addParts(found: Tensor[], { values, indices }: SparseTensor): void {
  if (values) found.push(values);
  if (indices) found.push(indices);
}
