import type { Analysis } from './analysis.js';
import { factsOf } from './facts.js';
import type { Codes } from './feature.js';
import type { Selection } from './selectors.js';

/** How a tensor that is not the value that people mean by it holds that value. */
interface Held {
  /** A float tensor of the file with that value; null where there is none. */
  readonly float: string | null;
  readonly codes: Codes | null;
  /** Channels of a tensor in blocks (NCHWc). */
  readonly blocked: number | null;
}

const CODES = /^u?int(4|8|16)$/;

/** Null where a tensor is its own value. */
function heldIn({ float, types, file }: Analysis, tensor: string): Held | null {
  const name = float.nameOf(tensor);
  const carrier = float.carrierOf(name);
  const isCodes = CODES.test(types.types.get(tensor)?.dtype ?? '');
  if (name === tensor) {
    if (carrier.tensor !== null && carrier.tensor !== tensor && isCodes) return { ...carrier, float: carrier.tensor };
    return carrier.codes === null && carrier.blocked === null ? null : { ...carrier, float: null };
  }
  const producer = file.producerOf.get(tensor)?.node;
  if (!isCodes && producer?.opType !== 'ReorderInput') return null;
  const [, scale = '', zeroPoint = ''] =
    producer?.opType === 'DynamicQuantizeLinear' ? producer.outputs : (producer?.inputs ?? []);
  const codes =
    producer !== undefined && producer.opType.endsWith('QuantizeLinear')
      ? { scale: null, zeroPoint: null, tensors: { scale, zeroPoint } }
      : carrier.codes;
  return { float: carrier.codes === null && carrier.blocked === null ? carrier.tensor : null, codes, blocked: null };
}

/**
 * A selection as the value that it stands for. Codes and blocks stay as they are if `keep` says so; by default that is
 * for tensors and nodes that were named, which are what their names say.
 */
export function asValue(analysis: Analysis, selection: Selection, keep: boolean | undefined): Selection {
  const [tensor] = selection.tensors;
  const held = selection.tensors.length === 1 ? heldIn(analysis, tensor) : null;
  const handed = (chosen: Selection): Selection => (keep === true ? chosen : asHandedOver(chosen));
  if (held === null) return handed(selection);
  const { float, codes, blocked } = held;
  if (keep ?? (selection.by === 'tensor' || selection.by === 'node')) return handed({ ...selection, codes, blocked });
  if (float === null) return { ...selection, codes, blocked, asValue: true };
  const { dtype, shape } = factsOf(analysis, float);
  return { ...selection, tensors: [float], dtype, shape: shape ?? selection.shape, codes: null, blocked: null };
}

/** Types that no runtime gives back as they are: an int4 output ends a Node.js process. */
export const NOT_HANDED_OVER = /^(bfloat16|float8|float4|u?int[24]$)/;

/** A selection in a type that runtimes give back. */
function asHandedOver(selection: Selection): Selection {
  const isOne = selection.tensors.length === 1;
  return isOne && NOT_HANDED_OVER.test(selection.dtype ?? '') ? { ...selection, asFloat: true } : selection;
}
