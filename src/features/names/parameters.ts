import type { GraphView } from '../../onnx/graph.js';
import type { Node } from '../../onnx/records.js';
import { parentOf, shallow } from './paths.js';

/** Ops that hand a weight on, under a name of their own. */
const CARRIERS = new Set(['Identity', 'DequantizeLinear', 'Cast', 'QuantizeLinear', 'Transpose']);
/** Carriers behind each other. */
const LONGEST_CARRY = 4;
/** What PyTorch calls the parameters of a module; tools append words to it. */
const PARAMETER = /^(?:\w+_)?(?:weight|bias|kernel|gamma|beta)(?:_\w+)?$/;

/** The module that a parameter's name tells, as its own or as the name of what carries it: `features.1.conv.weight` belongs to `features.1.conv`. Null where it tells none. */
export function moduleOfParameter(name: string): string | null {
  const cut = name.lastIndexOf('.');
  if (cut <= 0 || name.includes('/') || name.includes(':')) return null;
  return PARAMETER.test(name.slice(cut + 1)) ? shallow(name.slice(0, cut), '.') : null;
}

/** A parameter that a node reads. */
export interface ReadParameter {
  /** The first name on the way from the node to the initializer that tells a module, else the initializer's. */
  readonly name: string;
  readonly module: string | null;
  readonly rank: number;
}

/** The parameters that a node reads, itself or through nodes that only carry them. */
export function parametersOf(view: GraphView, node: Node): readonly ReadParameter[] {
  const read: ReadParameter[] = [];
  for (const input of node.inputs) {
    const parameter = input === '' ? null : parameterAt(view, input);
    if (parameter !== null) read.push(parameter);
  }
  return read;
}

function parameterAt(view: GraphView, input: string): ReadParameter | null {
  let told: string | null = null;
  let at: string | undefined = input;
  for (let step = 0; at !== undefined && at !== '' && step <= LONGEST_CARRY; step++) {
    if (moduleOfParameter(at) !== null) told ??= at;
    const dims = view.initializers.get(at)?.dims;
    if (dims !== undefined) {
      const name = told ?? at;
      return { name, module: moduleOfParameter(name), rank: dims.length };
    }
    const node: Node | undefined = view.producerOf.get(at)?.node;
    at = node !== undefined && CARRIERS.has(node.opType) ? node.inputs[0] : undefined;
  }
  return null;
}

/** Modules by the parameters that layers read, in a graph whose nodes name none. */
export interface ParameterLabels {
  /** Nodes that read a parameter whose name tells a module. */
  readonly own: ReadonlyMap<Node, string>;
  /** These, and nodes that read a parameter of rank 2 or more without such a name. */
  readonly layers: number;
  /** The module that a node lies in; null where its neighbours must tell. */
  readonly of: (node: Node) => string | null;
  /** The outermost module that ends in each of these tensors, none of them inside another; null where none does. */
  readonly ofTensors: (tensors: readonly (string | null)[]) => readonly (string | null)[];
}

/** Ops that a module may end with behind its last layer. What reshapes or pools stands between modules as often as inside. */
const CLOSING = new Set(
  `Add Sub Mul Div Max Min Pow Sqrt Erf Relu LeakyRelu PRelu Elu Selu Celu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Gelu Mish Swish QuickGelu
  Identity Dropout Cast QuantizeLinear DequantizeLinear BatchNormalization Concat`.split(/\s+/),
);

/** Ops that hand on what a layer made. */
const KEEPING = new Set(['Identity', 'Dropout', 'Cast', 'QuantizeLinear', 'DequantizeLinear', 'BatchNormalization']);

/**
 * Modules that the names of parameters tell. They label: where a module ends is for the shape of the graph to say.
 * @param nodes in execution order
 */
export function parameterLabels(view: GraphView, nodes: readonly Node[]): ParameterLabels {
  const own = new Map<Node, string>();
  let layers = 0;
  /** Position of the last layer inside each module. */
  const last = new Map<string, number>();
  /** Modules with modules inside. */
  const around = new Set<string>();
  /** Position of the last layer in front of what makes a tensor, that node included. */
  const behind = new Map<string, number>();
  /** Tensors that hold what a layer made, and nothing that was done to it. */
  const isOwn = new Set<string>();
  const layer: (string | null)[] = [];
  const position = new Map<string, number>();
  nodes.forEach((node, at) => {
    const parameters = parametersOf(view, node);
    if (parameters.some(({ rank, module: owner }) => rank > 1 || owner !== null)) layers++;
    const module = parameters.find((read) => read.module !== null)?.module ?? null;
    layer.push(module);
    if (module !== null) own.set(node, module);
    for (let up = module; up !== null && up !== ''; up = parentOf(up)) {
      last.set(up, at);
      if (up !== module) around.add(up);
    }
    let from = module === null ? -1 : at;
    if (module === null) for (const input of node.inputs) from = Math.max(from, behind.get(input) ?? -1);
    const isLayer = module !== null || (KEEPING.has(node.opType) && isOwn.has(node.inputs[0]));
    for (const output of node.outputs) {
      if (output === '') continue;
      if (isLayer) isOwn.add(output);
      position.set(output, at);
      behind.set(output, from);
    }
  });
  const nearest = (node: Node): string | null => {
    const from = behind.get(node.outputs.find((name) => name !== '') ?? '') ?? -1;
    return from < 0 ? null : layer[from];
  };
  const chainOf = (tensor: string | null): readonly string[] => {
    const from = tensor === null ? -1 : (behind.get(tensor) ?? -1);
    const at = tensor === null ? -1 : (position.get(tensor) ?? -1);
    const chain: string[] = [];
    for (let up = from < 0 ? null : layer[from]; up !== null && up !== ''; up = parentOf(up)) {
      if (chain.length > 0 && (last.get(up) ?? 0) > at) break;
      chain.push(up);
    }
    return chain;
  };
  return {
    own,
    layers,
    of: (node) => {
      const module = own.get(node);
      if (module !== undefined) return module;
      const before = CLOSING.has(node.opType) ? nearest(node) : null;
      return before === null ? null : parentOf(before);
    },
    ofTensors: (tensors) => {
      const chains = tensors.map(chainOf);
      const held = new Map<string, number>();
      for (const [leaf = null] of chains)
        for (let up: string | null = leaf; up !== null; up = parentOf(up)) held.set(up, (held.get(up) ?? 0) + 1);
      return chains.map((chain, index) => {
        const path = chain.findLast((module) => held.get(module) === 1) ?? null;
        const isLayer = path === chain[0] && !around.has(path);
        return isLayer && !isOwn.has(tensors[index] ?? '') ? null : path;
      });
    },
  };
}
