import { makerOf, type GraphView } from '../../onnx/graph.js';
import type { Node } from '../../onnx/records.js';
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
  if (!view.initializers.has(input) && !CARRIERS.has(makerOf(view, input)?.opType ?? '')) return null;
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
