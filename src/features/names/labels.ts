import type { GraphView } from '../../onnx/graph.js';
import type { Node } from '../../onnx/records.js';
import { parametersOf } from './parameters.js';
import { commonPath, parentOf } from './paths.js';

/** Modules by the parameters that layers read, in a graph whose nodes name none. */
export interface ParameterLabels {
  /** How many nodes read a parameter whose name tells a module. */
  readonly own: number;
  /** These, and nodes that read a parameter of rank 2 or more without such a name. */
  readonly layers: number;
  /** The module that a node lies in, by its place in the list; null where its neighbours must tell. */
  readonly of: (at: number) => string | null;
  /** The outermost module that ends in each of these tensors, none of them inside another; null where none does. */
  readonly ofTensors: (tensors: readonly (string | null)[]) => readonly (string | null)[];
}

/**
 * Ops that a module may end with behind its last layer. What reshapes or pools stands between modules as often as
 * inside.
 */
const CLOSING = new Set(
  `Add Sub Mul Div Max Min Pow Sqrt Erf Relu LeakyRelu PRelu Elu Selu Celu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Gelu Mish Swish QuickGelu
  Identity Dropout Cast QuantizeLinear DequantizeLinear BatchNormalization Concat`.split(/\s+/),
);

/** Ops that hand on what a layer made. */
const KEEPING = new Set(['Identity', 'Dropout', 'Cast', 'QuantizeLinear', 'DequantizeLinear', 'BatchNormalization']);

/** A graph as its layers: the nodes that read a parameter whose name tells a module. */
interface Layers {
  readonly count: number;
  /** The module of the node at each position; null where it is no layer. */
  readonly modules: readonly (string | null)[];
  /** Position of the last layer inside each module. */
  readonly last: ReadonlyMap<string, number>;
  /** Modules with modules inside. */
  readonly around: ReadonlySet<string>;
  /** Position of the node that makes a tensor. */
  readonly made: ReadonlyMap<string, number>;
  /** Position of the last layer that a tensor comes from; -1 where it comes from none. */
  readonly behind: ReadonlyMap<string, number>;
  /** Position of the first layer that a tensor goes to. */
  readonly ahead: ReadonlyMap<string, number>;
  /** Tensors that hold what a layer made, and nothing that was done to it. */
  readonly plain: ReadonlySet<string>;
}

/**
 * Modules that the names of parameters tell. They label: where a module ends is for the shape of the graph to say.
 * @param nodes in execution order
 */
export function parameterLabels(view: GraphView, nodes: readonly Node[]): ParameterLabels {
  const layers = layersOf(view, nodes);
  return {
    own: layers.modules.reduce((count, module) => (module === null ? count : count + 1), 0),
    layers: layers.count,
    of: (at) => layers.modules[at] ?? (CLOSING.has(nodes[at].opType) ? closedBy(layers, nodes[at]) : null),
    ofTensors: (tensors) => {
      const chains = tensors.map((tensor) => endingIn(layers, tensor));
      const held = new Map<string, number>();
      for (const [leaf = null] of chains)
        for (let up: string | null = leaf; up !== null; up = parentOf(up)) held.set(up, (held.get(up) ?? 0) + 1);
      return chains.map((chain, index) => {
        const path = chain.findLast((module) => held.get(module) === 1) ?? null;
        const isLayer = path === chain[0] && !layers.around.has(path);
        return isLayer && !layers.plain.has(tensors[index] ?? '') ? null : path;
      });
    },
  };
}

/** The module of a sum, a gate or an activation that lost its name among nodes that did not; null for any other. */
export function closingModules(
  view: GraphView,
  nodes: readonly Node[],
  moduleOf: (at: number) => string | null,
): (at: number) => string | null {
  let layers: Layers | null = null;
  return (at) => {
    if (!CLOSING.has(nodes[at].opType)) return null;
    layers ??= layersOf(view, nodes, moduleOf);
    return closedBy(layers, nodes[at]);
  };
}

function layersOf(view: GraphView, nodes: readonly Node[], moduleOf?: (at: number) => string | null): Layers {
  let count = 0;
  const modules: (string | null)[] = [];
  const [last, around, plain] = [new Map<string, number>(), new Set<string>(), new Set<string>()];
  const [made, behind, ahead] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  for (const name of view.inputs.keys()) if (!view.initializers.has(name)) behind.set(name, -1);
  nodes.forEach((node, at) => {
    const parameters = parametersOf(view, node);
    if (parameters.some(({ rank, module }) => rank > 1 || module !== null)) count++;
    const module = moduleOf?.(at) ?? parameters.find((read) => read.module !== null)?.module ?? null;
    modules.push(module);
    for (let up = module; up !== null && up !== ''; up = parentOf(up)) {
      last.set(up, at);
      if (up !== module) around.add(up);
    }
    const from = module === null ? node.inputs.reduce((last, name) => Math.max(last, behind.get(name) ?? -1), -1) : at;
    const isPlain = module !== null || (KEEPING.has(node.opType) && plain.has(node.inputs[0]));
    for (const output of node.outputs) {
      if (output === '') continue;
      if (isPlain) plain.add(output);
      made.set(output, at);
      behind.set(output, from);
    }
  });
  for (let at = nodes.length - 1; at >= 0; at--) {
    const { inputs, outputs } = nodes[at];
    const to =
      modules[at] === null
        ? outputs.reduce((first, name) => Math.min(first, ahead.get(name) ?? Infinity), Infinity)
        : at;
    for (const name of inputs) if (to < (ahead.get(name) ?? Infinity)) ahead.set(name, to);
  }
  return { count, modules, last, around, made, behind, ahead, plain };
}

/**
 * The module that a sum, a gate or an activation behind a layer lies in: the one around that layer; where a tensor
 * joins that went round the layer, the one around what it comes from or goes to as well.
 */
function closedBy({ modules, around, behind, ahead }: Layers, node: Node): string | null {
  const operands = [...new Set(node.inputs)].filter((name) => behind.has(name));
  const from = operands.reduce((last, name) => Math.max(last, behind.get(name) ?? -1), -1);
  const layer = from < 0 ? null : modules[from];
  if (layer === null) return null;
  let module = around.has(layer) ? layer : parentOf(layer);
  for (const name of operands) {
    if (behind.get(name) === from) continue;
    const joint = [behind.get(name) ?? -1, ahead.get(name) ?? -1].flatMap((at) => {
      const other = at < 0 || at === Infinity ? null : modules[at];
      return other === null ? [] : [commonPath(layer, other, '.')];
    });
    const deepest = joint.reduce((a, b) => (b.length > a.length ? b : a), '');
    if (module !== null && deepest.length < module.length) module = deepest;
  }
  return module;
}

/**
 * The modules that may end in a tensor, each around the one before it: the last layer it comes from, then what holds no
 * later layer.
 */
function endingIn({ modules, behind, made, last }: Layers, tensor: string | null): readonly string[] {
  const from = tensor === null ? -1 : (behind.get(tensor) ?? -1);
  const at = tensor === null ? -1 : (made.get(tensor) ?? -1);
  const chain: string[] = [];
  for (let up = from < 0 ? null : modules[from]; up !== null && up !== ''; up = parentOf(up)) {
    if (chain.length > 0 && (last.get(up) ?? 0) > at) break;
    chain.push(up);
  }
  return chain;
}
