import type { GraphView } from '../../onnx/graph.js';
import { inputsEnd, type Stretch } from '../flow.js';
import { isOneOf } from '../operators.js';
import { parametersOf } from './parameters.js';
import { NO_PATH, PathTree, ROOT } from './path-tree.js';

/** Modules by the parameters that layers read, in a graph whose nodes name none. */
export interface ParameterLabels {
  /** How many nodes read a parameter whose name tells a module. */
  readonly own: number;
  /** These, and nodes that read a parameter of rank 2 or more without such a name. */
  readonly layers: number;
  /** The module that the node at a position lies in; `NO_PATH` where its neighbours must tell. */
  readonly pathAt: (at: number) => number;
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
  readonly stretch: Stretch;
  readonly paths: PathTree;
  readonly count: number;
  /** The module of the node at each position; `NO_PATH` where it is no layer. */
  readonly modules: Int32Array;
  /** Position of the last layer inside each module. */
  readonly last: ReadonlyMap<number, number>;
  /** Modules with modules inside. */
  readonly around: ReadonlySet<number>;
  /** Position of the node that makes a tensor; -1 where none does. */
  readonly made: Int32Array;
  /** Position of the last layer that a tensor comes from; -1 where it comes from none, `FOREIGN` where nothing does. */
  readonly behind: Int32Array;
  /** Position of the first layer that a tensor goes to; `NOWHERE` where it goes to none. */
  readonly ahead: Int32Array;
  /** Tensors that hold what a layer made, and nothing that was done to it. */
  readonly plain: Uint8Array;
}

/** Neither an input nor made here. */
const FOREIGN = -2;
const NOWHERE = 2 ** 31 - 1;

/** Modules that the names of parameters tell. They label: where a module ends is for the shape of the graph to say. */
export function parameterLabels(view: GraphView, stretch: Stretch, paths = new PathTree('.')): ParameterLabels {
  const layers = layersOf(view, stretch, paths);
  const closes = isOneOf(stretch.columns, CLOSING);
  const { modules, around, plain } = layers;
  const { tensorOf } = stretch.columns;
  return {
    own: modules.reduce((count, module) => (module === NO_PATH ? count : count + 1), 0),
    layers: layers.count,
    pathAt: (at) =>
      modules[at] === NO_PATH && closes(stretch.rows[at]) ? closedBy(layers, stretch.rows[at]) : modules[at],
    ofTensors: (tensors) => {
      const numbers = tensors.map((name) => tensorOf.get(name ?? '') ?? NO_PATH);
      const chains = numbers.map((tensor) => endingIn(layers, tensor));
      const held = new Map<number, number>();
      for (const [leaf = NO_PATH] of chains)
        for (let up = leaf; up !== NO_PATH; up = paths.parentOf(up)) held.set(up, (held.get(up) ?? 0) + 1);
      return chains.map((chain, index) => {
        const path = chain.findLast((module) => held.get(module) === 1);
        const isLayer = path === chain[0] && !around.has(path);
        return path === undefined || (isLayer && plain[numbers[index]] !== 1) ? null : paths.textOf(path);
      });
    },
  };
}

/** The module of a sum, a gate or an activation that lost its name among nodes that did not; `NO_PATH` for others. */
export function closingModules(
  view: GraphView,
  stretch: Stretch,
  paths: PathTree,
  places: Int32Array,
): (at: number) => number {
  const closes = isOneOf(stretch.columns, CLOSING);
  let layers: Layers | null = null;
  return (at) => {
    if (!closes(stretch.rows[at])) return NO_PATH;
    layers ??= layersOf(view, stretch, paths, places);
    return closedBy(layers, stretch.rows[at]);
  };
}

function layersOf(view: GraphView, stretch: Stretch, paths: PathTree, places?: Int32Array): Layers {
  const { columns, rows } = stretch;
  const { tensorOf, reads, makes, maker } = columns;
  const parameters = parametersOf(view);
  const keeps = isOneOf(columns, KEEPING);
  let count = 0;
  const modules = new Int32Array(rows.length).fill(NO_PATH);
  const [last, around] = [new Map<number, number>(), new Set<number>()];
  const made = new Int32Array(maker.length).fill(-1);
  const behind = new Int32Array(maker.length).fill(FOREIGN);
  const ahead = new Int32Array(maker.length).fill(NOWHERE);
  const plain = new Uint8Array(maker.length);
  const layers = { stretch, paths, modules, last, around, made, behind, ahead, plain };
  for (const name of view.inputs.keys())
    if (!view.initializers.has(name)) behind[tensorOf.get(name) ?? maker.length] = -1;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    const read = parameters.of(row);
    let told: string | null = null;
    let isCounted = false;
    for (const { rank, module } of read) {
      if (rank > 1 || module !== null) isCounted = true;
      told ??= module;
    }
    if (isCounted) count++;
    let module = places?.[at] ?? NO_PATH;
    if (module === NO_PATH && told !== null) module = paths.at(told);
    modules[at] = module;
    for (let up = module; up > ROOT; up = paths.parentOf(up)) {
      last.set(up, at);
      if (up !== module) around.add(up);
    }
    const from = module === NO_PATH ? lastBehind(layers, row) : at;
    const first = reads.starts[row];
    const hands = first < reads.starts[row + 1] && plain[reads.items[first]] === 1 && keeps(row);
    const isPlain = module !== NO_PATH || hands;
    for (let out = makes.starts[row]; out < makes.starts[row + 1]; out++) {
      const tensor = makes.items[out];
      if (isPlain) plain[tensor] = 1;
      made[tensor] = at;
      behind[tensor] = from;
    }
  }
  for (let at = rows.length - 1; at >= 0; at--) {
    const row = rows[at];
    let to = modules[at] === NO_PATH ? NOWHERE : at;
    if (modules[at] === NO_PATH)
      for (let out = makes.starts[row]; out < makes.starts[row + 1]; out++) to = Math.min(to, ahead[makes.items[out]]);
    const end = inputsEnd(columns, row);
    for (let read = reads.starts[row]; read < end; read++)
      if (to < ahead[reads.items[read]]) ahead[reads.items[read]] = to;
  }
  return { ...layers, count };
}

/** Position of the last layer that the inputs of a node come from; -1 where they come from none. */
function lastBehind({ stretch: { columns }, behind }: Pick<Layers, 'stretch' | 'behind'>, row: number): number {
  const { starts, items } = columns.reads;
  const end = inputsEnd(columns, row);
  let last = -1;
  for (let at = starts[row]; at < end; at++) last = Math.max(last, behind[items[at]]);
  return last;
}

/**
 * The module that a sum, a gate or an activation behind a layer lies in: the one around that layer; where a tensor
 * joins that went round the layer, the one around what it comes from or goes to as well.
 */
function closedBy(layers: Layers, row: number): number {
  const { stretch, paths, modules, around, behind, ahead } = layers;
  const { starts, items } = stretch.columns.reads;
  const from = lastBehind(layers, row);
  const layer = from < 0 ? NO_PATH : modules[from];
  if (layer === NO_PATH) return NO_PATH;
  let module = around.has(layer) ? layer : paths.parentOf(layer);
  const end = inputsEnd(stretch.columns, row);
  for (let at = starts[row]; at < end; at++) {
    const operand = items[at];
    if (behind[operand] === FOREIGN || behind[operand] === from) continue;
    let deepest = ROOT;
    for (const other of [behind[operand], ahead[operand]]) {
      const path = other < 0 || other === NOWHERE ? NO_PATH : modules[other];
      const joint = path === NO_PATH ? ROOT : paths.common(layer, path);
      // Both lie around the layer: the longer one is the one inside.
      if (joint > deepest) deepest = joint;
    }
    if (module > deepest) module = deepest;
  }
  return module;
}

/**
 * The modules that may end in a tensor, each around the one before it: the last layer it comes from, then what holds no
 * later layer.
 */
function endingIn({ paths, modules, behind, made, last }: Layers, tensor: number): readonly number[] {
  const from = tensor < 0 ? -1 : behind[tensor];
  const at = tensor < 0 ? -1 : made[tensor];
  const chain: number[] = [];
  for (let up = from < 0 ? NO_PATH : modules[from]; up > ROOT; up = paths.parentOf(up)) {
    if (chain.length > 0 && (last.get(up) ?? 0) > at) break;
    chain.push(up);
  }
  return chain;
}
