import { makerOf, type GraphView } from '../../onnx/graph.js';
import { inputsEnd } from '../flow.js';
import { isOneOf } from '../operators.js';
import { shallow } from './paths.js';

/** Ops that hand a weight on, under a name of their own. */
const CARRIERS = new Set(['Identity', 'DequantizeLinear', 'Cast', 'QuantizeLinear', 'Transpose']);
/** Carriers behind each other. */
const LONGEST_CARRY = 4;
/** What PyTorch calls the parameters of a module; tools append words to it. */
const PARAMETER = /^(?:\w+_)?(?:weight|bias|kernel|gamma|beta)(?:_\w+)?$/;

/**
 * The module that a parameter's name tells, as its own or as the name of what carries it: `features.1.conv.weight`
 * belongs to `features.1.conv`. Null where it tells none.
 */
function moduleOfParameter(name: string): string | null {
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

const NONE: readonly ReadParameter[] = [];

/** What is known of a tensor: that it is not a parameter, perhaps one, one without a module, or one that tells its. */
const [NOT, PERHAPS, BARE, TELLING] = [0, 1, 2, 3];

/** The parameters of a graph, by the nodes that read them. */
export class Parameters {
  /** By the number of a tensor. */
  private readonly marks: Uint8Array;
  private readonly known = new Map<number, ReadParameter>();

  constructor(private readonly view: GraphView) {
    const { nodes, tensorOf, makes, maker } = view.columns;
    this.marks = new Uint8Array(maker.length);
    for (const name of view.initializers.keys()) this.marks[tensorOf.get(name) ?? maker.length] = PERHAPS;
    const carries = isOneOf(view.columns, CARRIERS);
    for (let row = 0; row < nodes.length; row++)
      if (carries(row))
        for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++) this.marks[makes.items[at]] = PERHAPS;
  }

  /** The parameters that the node of a row reads, itself or through nodes that only carry them. */
  of(row: number): readonly ReadParameter[] {
    return this.read(row, BARE);
  }

  /** Those that tell a module. */
  tellingIn(row: number): readonly ReadParameter[] {
    return this.read(row, TELLING);
  }

  private read(row: number, least: number): readonly ReadParameter[] {
    const { starts, items } = this.view.columns.reads;
    let read: ReadParameter[] | null = null;
    for (let at = starts[row]; at < starts[row + 1]; at++) {
      const mark = this.marks[items[at]];
      if (mark === NOT || (mark !== PERHAPS && mark < least)) continue;
      if (at >= inputsEnd(this.view.columns, row)) break;
      const parameter = this.at(items[at]);
      if (parameter !== null && this.marks[items[at]] >= least) (read ??= []).push(parameter);
    }
    return read ?? NONE;
  }

  private at(tensor: number): ReadParameter | null {
    const known = this.known.get(tensor);
    if (known !== undefined) return known;
    const parameter = parameterAt(this.view, this.view.columns.nameOf(tensor));
    this.marks[tensor] = parameter === null ? NOT : parameter.module === null ? BARE : TELLING;
    if (parameter !== null) this.known.set(tensor, parameter);
    return parameter;
  }
}

const cache = new WeakMap<GraphView, Parameters>();

/** The parameters of a graph; looked for once. */
export function parametersOf(view: GraphView): Parameters {
  let parameters = cache.get(view);
  if (parameters === undefined) cache.set(view, (parameters = new Parameters(view)));
  return parameters;
}

function parameterAt(view: GraphView, input: string): ReadParameter | null {
  const way = [input];
  for (let at = input; ; way.push(at)) {
    const dims = view.initializers.get(at)?.dims;
    if (dims !== undefined) {
      const name = way.find((told) => moduleOfParameter(told) !== null) ?? at;
      return { name, module: moduleOfParameter(name), rank: dims.length };
    }
    const node = makerOf(view, at);
    if (node === undefined || !CARRIERS.has(node.opType) || way.length > LONGEST_CARRY) return null;
    [at = ''] = node.inputs;
    if (at === '') return null;
  }
}
