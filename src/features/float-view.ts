import {
  capturesOf,
  columnsAmong,
  columnsOf,
  consumersByName,
  executionOrder,
  producersByName,
  type GraphView,
} from '../onnx/graph.js';
import { smallNumbers } from '../onnx/small-values.js';
import type { Codes } from './feature.js';
import { emit, resolved, type Draft, type Scale } from './float-draft.js';
import { READINGS } from './float-readings.js';
import { operatorsOf, type Operator } from './operators.js';

/** Where the value of a tensor of the float view lies in the file. */
export interface Carrier {
  /** Null where fusion left no tensor of it. */
  readonly tensor: string | null;
  /** How its codes become the value; null where it is float. */
  readonly codes: Codes | null;
  /** Its channels where they are stored in blocks (NCHWc); null for every other layout. */
  readonly blocked: number | null;
  /** Its channels where the file says them and the tensor's shape may not; null elsewhere. */
  readonly channels: number | null;
  /** Whether its channels may be padded to whole blocks, and nothing says by how many. */
  readonly isPadded: boolean;
}

/**
 * The graph as a float network in plain operators, which is what every resolver looks at: weights in Constant nodes are
 * initializers, codes and casts are the float tensors they stand for, fused operators are taken apart. Names are the
 * file's, but of tensors that fusion removed.
 */
export interface FloatView {
  /** The graph as the file has it. */
  readonly file: GraphView;
  readonly view: GraphView;
  /** Whether its tensors have the numbers that they have in the file. */
  readonly keepsNumbers: boolean;
  /** Names of tensors of the file that it has under another name, with that. */
  readonly aliases: ReadonlyMap<string, string>;
  /** The name in the float view of a tensor of the file. */
  readonly nameOf: (tensor: string) => string;
  readonly carrierOf: (name: string) => Carrier;
  /** The tensor of the file whose type a tensor of the float view has. */
  readonly typedLike: (name: string) => string;
  /** Tensors of the file that are a tensor of the float view with channels first. */
  readonly turned: ReadonlyMap<string, string>;
}

const views = new WeakMap<GraphView, FloatView>();

/** The float view of a graph; one pass. */
export function floatView(file: GraphView): FloatView {
  const known = views.get(file);
  if (known !== undefined) return known;
  const made = readsAsItIs(file) ? asItIs(file) : drawn(file);
  views.set(file, made);
  return made;
}

/** Operators that their own inputs, attributes or domain tell to be plain, where nothing else in the graph is read. */
const OFTEN_PLAIN = new Set(['Conv', 'MaxPool', 'AveragePool', 'Mul']);

/** Whether no node of a graph may read otherwise than it stands there. */
function readsAsItIs({ sorted, columns }: GraphView): boolean {
  const isOther = ({ opType, domain }: Operator): boolean =>
    READINGS.has(opType) && !(domain === '' && OFTEN_PLAIN.has(opType));
  if (!sorted || operatorsOf(columns).kinds.some(isOther)) return false;
  return columns.nodes.every((node) => capturesOf(node).length === 0);
}

function drawn(file: GraphView): FloatView {
  const draft: Draft = {
    file,
    nodes: [],
    made: new Map(),
    placed: 0,
    alias: new Map(),
    weights: new Map(file.initializers),
    codes: new Map(),
    floats: new Map(),
    blocked: new Map(),
    widths: new Map(),
    removed: new Map(),
    products: new Map(),
    turning: new Map(),
    turned: new Map(),
    done: new Set(),
  };
  for (const node of executionOrder(file)) {
    if (draft.done.has(node)) continue;
    if (READINGS.get(node.opType)?.(draft, node) === true) continue;
    emit(draft, node);
  }
  return isUnchanged(draft) ? asItIs(file) : assembled(draft);
}

/** Whether the graph is a float network in plain operators already. */
function isUnchanged({ file, nodes, weights, alias, codes, blocked, products, turning }: Draft): boolean {
  const before = file.model.graph.nodes;
  return (
    file.sorted &&
    nodes.length === before.length &&
    weights.size === file.initializers.size &&
    [alias, codes, blocked, products, turning].every(({ size }) => size === 0) &&
    nodes.every((node, at) => node === before[at])
  );
}

function asItIs(view: GraphView): FloatView {
  return {
    file: view,
    view,
    keepsNumbers: true,
    aliases: new Map(),
    turned: new Map(),
    nameOf: (tensor) => tensor,
    typedLike: (name) => name,
    carrierOf: (tensor) => ({ tensor, codes: null, blocked: null, channels: null, isPadded: false }),
  };
}

function assembled(draft: Draft): FloatView {
  const { file, alias, nodes, codes, floats, blocked, removed, turned } = draft;
  const nameOf = (tensor: string): string => alias.get(tensor) ?? tensor;
  for (const name of file.outputs.keys()) resolved(draft, name);
  const among = columnsAmong(file.columns, nodes);
  const columns = among ?? columnsOf(nodes);
  const isOnlyQuantized = (name: string): boolean => {
    const readers = file.consumersOf.get(name) ?? [];
    return !file.outputs.has(name) && readers.length > 0 && readers.every(({ opType }) => opType === 'QuantizeLinear');
  };
  return {
    file,
    keepsNumbers: among !== null,
    aliases: alias,
    nameOf,
    turned,
    typedLike: (name) => removed.get(name) ?? name,
    view: {
      ...file,
      model: { ...file.model, graph: { ...file.model.graph, nodes } },
      columns,
      producerOf: producersByName(columns),
      consumersOf: consumersByName(columns),
      initializers: draft.weights,
      outputs: new Map([...file.outputs].map(([name, output]) => [nameOf(name), output])),
      sorted: true,
    },
    carrierOf: (name) => {
      const float = floats.get(name);
      const own = codesOf(draft, codes.get(name));
      const width = blocked.get(name);
      const channels = draft.widths.get(name) ?? null;
      const rest = { codes: null, blocked: null, channels, isPadded: false };
      if (removed.has(name)) return { ...rest, tensor: null };
      if (float !== undefined && (own !== null || width !== undefined || isOnlyQuantized(name)))
        return { ...rest, tensor: float };
      return {
        tensor: name,
        codes: own,
        blocked: width === undefined ? null : (channels ?? width),
        channels,
        isPadded: width !== undefined && channels === null,
      };
    },
  };
}

/** What codes stand for; null where the tensor holds none. */
function codesOf({ file, weights }: Draft, scale: Scale | undefined): Codes | null {
  if (scale === undefined) return null;
  const numbers = (name: string): number | readonly number[] | null => {
    const tensor = weights.get(name);
    const values = tensor === undefined ? null : smallNumbers(file.model, tensor);
    return values === null || values.length === 0 ? null : values.length === 1 ? values[0] : values;
  };
  const factor = numbers(scale.scale);
  const zeroPoint = scale.zeroPoint === '' ? 0 : numbers(scale.zeroPoint);
  return { scale: factor, zeroPoint, tensors: scale };
}
