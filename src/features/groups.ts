import type { Node } from '../onnx/records.js';
import type { Analysis } from './analysis.js';
import { factsOf } from './facts.js';
import type { Feature, FeatureGroup } from './feature.js';
import { wholeFlow } from './flow.js';
import { modulesOf } from './modules.js';
import { hasAny } from './operators.js';
import { ATTENDING, rowFrom } from './rows.js';
import { rowFeatures, sequenceGroups } from './resolvers/sequences.js';

/**
 * What a network has beside its main features, as far as every network may have it: further sequences, blocks behind a
 * pyramid, attention maps.
 */
export function groupsBeside(analysis: Analysis, features: readonly Feature[]): readonly FeatureGroup[] {
  const isSequence = features.some(({ resolvedBy }) => resolvedBy === 'sequence');
  const groups = isSequence ? [] : [...sequenceGroups(analysis), ...blocksBehind(analysis, features)];
  const attention = attentionMaps(analysis);
  return attention.length === 0 ? groups : [...groups, { name: 'attention', features: attention }];
}

/** The row of blocks with attention that the last map of a pyramid enters, as in a hybrid. */
function blocksBehind(analysis: Analysis, features: readonly Feature[]): readonly FeatureGroup[] {
  const carrier = features.at(-1)?.tensor;
  const last = carrier == null ? null : analysis.float.nameOf(carrier);
  const strides = new Set(features.map(({ reduction }) => reduction));
  if (
    last == null ||
    strides.size < 2 ||
    !hasAny(analysis.view.columns, ATTENDING) ||
    !analysis.view.producerOf.has(last)
  )
    return [];
  const row = rowFrom(analysis.view, last);
  if (row?.attends !== true) return [];
  const reduction = features.at(-1)?.reduction ?? null;
  const source = `the last map '${last}'`;
  return [{ name: 'blocks', features: rowFeatures(analysis, row, { source, reduction, input: null }) }];
}

const SOFTMAX = new Set(['Softmax']);

/** Softmax maps of attention, [N, heads, L, L], in the order of execution. */
function attentionMaps(analysis: Analysis): readonly Feature[] {
  const { view, types } = analysis;
  if (!hasAny(view.columns, SOFTMAX)) return [];
  const { whole } = wholeFlow(view);
  const weighs = (node: Node): boolean =>
    node.opType === 'Softmax' &&
    (types.nominal.get(node.outputs[0])?.shape?.length ?? 4) >= 3 &&
    productOf(analysis, node.outputs[0]) !== null;
  const nodes = view.model.graph.nodes.filter(weighs);
  if (nodes.length === 0) return [];
  const tree = modulesOf(view, whole);
  return nodes.map(({ outputs: [tensor] }, index): Feature => {
    const facts = factsOf(analysis, tensor);
    const shape = types.nominal.get(tensor)?.shape ?? facts.shape;
    const heads = shape?.length === 4 ? shape[1] : null;
    const at = whole.position.get(tensor) ?? -1;
    const path = at < 0 ? '' : tree.ownerAt(at).path;
    return {
      ...facts,
      index,
      module: path === '' ? null : path,
      tensor,
      folded: null,
      hookType: 'forward',
      numChs: typeof heads === 'number' ? heads : null,
      reduction: null,
      layout: null,
      prefixTokens: 0,
      grid: null,
      resolvedBy: 'sequence',
      confidence: 'high',
      because: 'a Softmax over one axis weighs the values that a product sums up',
    };
  });
}

/** The product of two values of the data that reads a map of weights. */
function productOf({ view }: Analysis, tensor: string): Node | null {
  let at = tensor;
  for (let step = 0; step < 4; step++) {
    const readers: readonly Node[] = view.consumersOf.get(at) ?? [];
    const product = readers.find(({ opType, inputs }) => opType === 'MatMul' && inputs[0] === at);
    if (product !== undefined) return view.initializers.has(product.inputs[1]) ? null : product;
    const next = readers.find(({ opType }) => ['Cast', 'Dropout', 'Reshape', 'Where', 'Mul'].includes(opType));
    if (next === undefined) return null;
    [at] = next.outputs;
  }
  return null;
}
