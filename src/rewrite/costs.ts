import { attributeTensors, bodiesOf, type GraphView } from '../onnx/graph.js';
import type { Graph, Node, Tensor } from '../onnx/records.js';
import { tensorBytes, type TensorTypes } from '../onnx/types.js';
import { weightsBehind } from './balance.js';
import type { Divisible } from './partition.js';

/** What nodes cost, in one of the measures that parts are balanced by. */

/** Bytes of weights: each counts where it is read first, or wherever it is read. */
export function weightCosts(graph: Divisible, everywhere: boolean): ReadonlyMap<Node, number> {
  const { view } = graph;
  const weightsOf = weightsBehind(graph);
  const counted = new Set<string>();
  return new Map(
    graph.nodes.map((node) => {
      let bytes = ownBytes(node);
      for (const name of weightsOf(node)) {
        if (!everywhere && counted.has(name)) continue;
        counted.add(name);
        bytes += weightBytes(view, name);
      }
      return [node, bytes];
    }),
  );
}

/** Bytes of an initializer, or of what a node without inputs holds. */
export function weightBytes(view: GraphView, name: string): number {
  const tensor = view.initializers.get(name) ?? view.sparseInitializers.get(name)?.values;
  if (tensor != null) return tensorBytes(tensor) ?? 0;
  const made = view.producerOf.get(name)?.node;
  return made === undefined ? 0 : ownBytes(made);
}

/** Bytes of the tensors in the attributes and bodies of a node. */
function ownBytes(node: Node): number {
  let bytes = sum([...attributeTensors(node)]);
  for (const body of bodiesOf(node)) bytes += bodyBytes(body);
  return bytes;
}

function bodyBytes({ initializers, nodes }: Graph): number {
  return sum(initializers) + nodes.reduce((total, node) => total + ownBytes(node), 0);
}

function sum(tensors: readonly Tensor[]): number {
  return tensors.reduce((total, tensor) => total + (tensorBytes(tensor) ?? 0), 0);
}

/** One for each node. */
export function nodeCosts({ nodes }: Divisible): ReadonlyMap<Node, number> {
  return new Map(nodes.map((node) => [node, 1]));
}

/** Multiplications and additions of convolutions and matrix products; of other nodes the values that they make. */
export function flopCosts({ nodes }: Divisible, types: TensorTypes): ReadonlyMap<Node, number> {
  const shapeOf = (name: string | undefined): readonly number[] | null => {
    const shape = types.get(name ?? '')?.shape ?? null;
    return shape?.every((dim): dim is number => typeof dim === 'number') ? shape : null;
  };
  const product = (shape: readonly number[]): number => shape.reduce((all, dim) => all * dim, 1);
  return new Map(
    nodes.map((node) => {
      const made = shapeOf(node.outputs[0]);
      const values = made === null ? 1 : product(made);
      const weight = shapeOf(node.inputs[1]);
      switch (node.opType) {
        case 'Conv':
        case 'FusedConv':
        case 'ConvInteger':
        case 'QLinearConv': {
          const kernel = shapeOf(node.inputs[node.opType === 'QLinearConv' ? 3 : 1]);
          return [node, kernel === null ? values : 2 * values * product(kernel.slice(1))];
        }
        case 'ConvTranspose': {
          const read = shapeOf(node.inputs[0]);
          return [node, weight === null || read === null ? values : 2 * product(read) * product(weight.slice(1))];
        }
        case 'MatMul':
        case 'Gemm':
        case 'MatMulInteger': {
          const inner = shapeOf(node.inputs[0]);
          return [node, inner === null ? values : 2 * values * (inner[inner.length - 1] ?? 1)];
        }
        default:
          return [node, values];
      }
    }),
  );
}
