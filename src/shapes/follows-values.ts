import { bodiesOf, executionOrder, functionsUsedBy, readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { ruleOf } from './table.js';

/** Operators whose outputs have as many elements as their values say. */
const COUNTING = new Set([
  'NonZero',
  'NonMaxSuppression',
  'Unique',
  'Compress',
  'Loop',
  'SequenceAt',
  'SplitToSequence',
  'ConcatFromSequence',
  'StringSplit',
  'Optional',
  'OptionalGetElement',
]);

/** The inputs whose values are sizes. */
const SIZE_INPUTS: { readonly [operator: string]: readonly number[] } = {
  Reshape: [1],
  Expand: [1],
  Tile: [1],
  Slice: [1, 2, 3, 4],
  Range: [0, 1, 2],
  ConstantOfShape: [0],
  OneHot: [1],
  Resize: [2, 3],
  Upsample: [1],
  Pad: [1, 3],
  CenterCropPad: [1],
  TopK: [1],
  Split: [1],
  MaxUnpool: [2],
  Col2Im: [1, 2],
  AffineGrid: [1],
  DFT: [1],
  STFT: [1, 3],
  If: [0],
  BlackmanWindow: [0],
  HannWindow: [0],
  HammingWindow: [0],
};

/** What follows from the values of inputs, not from their sizes alone. */
export interface ByValue {
  /** Tensors whose values do. */
  readonly valued: ReadonlySet<string>;
  /** Tensors whose sizes may. */
  readonly sized: ReadonlySet<string>;
}

/**
 * Tensors with other values, and such as may have another size, for other values of an input of the same shape: what
 * NonZero and its kind make, and what is cut or repeated by numbers that are calculated from values. Too many rather
 * than too few.
 */
export function followsValues(view: GraphView): ByValue {
  const { model } = view;
  const valued = new Set([...view.inputs.keys()].filter((name) => !view.initializers.has(name)));
  const sized = new Set<string>();
  for (const node of executionOrder(view)) {
    const reads = readsOf(node);
    const readsSized = reads.some((name) => sized.has(name));
    const saysSize = node.domain === '' && (node.opType === 'Shape' || node.opType === 'Size');
    const isValued = saysSize ? readsSized : reads.some((name) => valued.has(name));
    const isSized =
      !saysSize && (readsSized || (isValued && sizesByValue(node, valued, model.functions.length > 0 ? view : null)));
    for (const output of node.outputs) {
      if (isValued) valued.add(output);
      if (isSized) sized.add(output);
    }
  }
  return { valued, sized };
}

function sizesByValue(node: Node, valued: ReadonlySet<string>, calling: GraphView | null): boolean {
  const { domain, opType, inputs } = node;
  const called = calling === null ? [] : [...functionsUsedBy(calling.model, [node])];
  const inner = [...called.flatMap(({ nodes }) => nodes), ...bodiesOf(node).flatMap(({ nodes }) => nodes)];
  if (inner.some(countsInside)) return true;
  if (called.length > 0) return false;
  if (ruleOf(domain, opType) === undefined) return true;
  if (domain !== '') return false;
  return COUNTING.has(opType) || (SIZE_INPUTS[opType] ?? []).some((at) => valued.has(inputs[at] ?? ''));
}

function countsInside(node: Node): boolean {
  return (
    (node.domain === '' && COUNTING.has(node.opType)) ||
    bodiesOf(node).some(({ nodes }) => nodes.some((inner) => countsInside(inner)))
  );
}
