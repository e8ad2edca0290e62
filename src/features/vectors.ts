import { readsOf, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { smallIntegers } from '../onnx/small-values.js';
import type { Analysis } from './analysis.js';
import { wholeFlow, type TensorSet } from './flow.js';
import { intOf } from './node-attributes.js';
import { weightDims } from './weights.js';

type Shape = readonly (number | null)[];

/** Ops that change how a vector looks, not what it says: a layer in front of them still speaks through them. */
const KEEPING = new Set([
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Dropout',
  'Transpose',
  'Clip',
  'Expand',
]);
/** Elementwise ops with a weight, a bias or a scale; between two values of the data they join. */
const AFFINE = new Set(['Add', 'Sub', 'Mul', 'Div', 'Sum', 'BatchNormalization', 'Neg']);
/** Ops that turn scores into probabilities or decisions. */
const DECISIONS = new Set(['Softmax', 'LogSoftmax', 'Sigmoid', 'HardSigmoid', 'ArgMax', 'TopK', 'LogSigmoid']);
/** Norms of a vector to unit length. */
const UNIT_NORMS = new Set(['LpNormalization']);
/** Further ops between a classifier and the outputs of heads. */
const AFTER_SCORES = new Set(['Concat', 'Mean', 'ReduceMean', 'Log', 'Exp', 'Tanh', 'Gather', 'Slice', 'Split']);
const LAYERS = new Set(['Gemm', 'MatMul', 'MatMulNBits', 'Conv']);
const POOLS = new Set([
  'GlobalAveragePool',
  'GlobalMaxPool',
  'GlobalLpPool',
  'ReduceMean',
  'ReduceMax',
  'ReduceSum',
  'AveragePool',
  'MaxPool',
]);
const NORMS = new Set(['LayerNormalization', 'SimplifiedLayerNormalization', 'RMSNormalization']);
/** Steps from an output back to a layer; a norm that is written out takes a dozen. */
const LONGEST_WALK = 48;

/** What lies between a tensor and the layer with weights that speaks through it. */
export interface Trace {
  /** The layer, or null where the walk met something else first. */
  readonly layer: { readonly node: Node; readonly from: number; readonly to: number } | null;
  /** The tensor that enters the layer, or that the walk ended at. */
  readonly source: string;
  /** Whether the values are probabilities or decisions. */
  readonly decided: boolean;
  /** Whether the vector has unit length. */
  readonly unit: boolean;
  /** Whether a batch norm follows the layer, also one that the exporter folded into it. */
  readonly normed: boolean;
  /** The two vectors that are compared, where the walk met a product of two. */
  readonly compared: readonly string[];
  /** Names of the tensors on the way. */
  readonly names: readonly string[];
}

/** The view with what depends on its inputs, and shapes with nominal numbers. */
export interface Vectors {
  readonly view: GraphView;
  readonly data: TensorSet;
  readonly inputs: readonly string[];
  readonly shapeOf: (tensor: string) => Shape | null;
  readonly provenOf: (tensor: string) => readonly unknown[] | null;
}

/** What is needed to look for vectors in a graph. */
export function vectorsOf({ view, types }: Analysis): Vectors {
  const { data, inputs } = wholeFlow(view);
  return {
    view,
    data,
    inputs,
    shapeOf: (tensor) => {
      const shape = types.nominal.get(tensor)?.shape ?? types.types.get(tensor)?.shape ?? null;
      return shape?.map((dim) => (typeof dim === 'number' ? dim : null)) ?? null;
    },
    provenOf: (tensor) => types.types.get(tensor)?.shape ?? null,
  };
}

/** Whether a tensor is one row of values per entry: [N, D], [N, D, 1, 1], [N, 1, D]; unknown shapes may be. */
export function isVector({ shapeOf }: Vectors, tensor: string): boolean | null {
  const shape = shapeOf(tensor);
  if (shape === null) return null;
  return shape.length >= 2 && shape.slice(1).filter((dim) => dim !== 1).length <= 1;
}

/** Values per entry of a vector. */
export function widthOf({ shapeOf }: Vectors, tensor: string): number | null {
  const shape = shapeOf(tensor);
  if (shape === null || shape.length < 2) return null;
  return shape.slice(1).find((dim) => dim !== 1) ?? (shape.slice(1).includes(null) ? null : 1);
}

/** Whether axis 0 counts the entries of the inputs, as far as sizes and symbols say. */
export function countsEntries({ inputs, shapeOf, provenOf }: Vectors, tensor: string): boolean {
  const batches = inputs.map((input) => provenOf(input)?.[0]).filter((dim) => typeof dim === 'string');
  const proven = provenOf(tensor);
  if (proven !== null && batches.includes(proven[0] as string)) return true;
  if (proven?.slice(1).some((dim) => typeof dim === 'string' && batches.includes(dim))) return false;
  const first = shapeOf(tensor)?.[0] ?? null;
  return first === null || first === 1 || inputs.some((input) => shapeOf(input)?.[0] === first);
}

/** Walks back from a tensor to the layer that speaks through it. */
export function trace(vectors: Vectors, tensor: string, afterScores: boolean): Trace {
  const { view } = vectors;
  const found = { decided: false, unit: false, normed: false, names: [tensor] };
  let at = tensor;
  for (let step = 0; step < LONGEST_WALK; step++) {
    const node = view.producerOf.get(at)?.node;
    if (node === undefined) break;
    const layer = layerOf(vectors, node);
    if (layer !== null) {
      const normed = found.normed || isNormFolded(node);
      return { ...found, normed, layer: { node, ...layer }, source: layer.source, compared: [] };
    }
    const sources = node.inputs.filter((name) => vectors.data.has(name));
    if (node.opType === 'MatMul' && sources.length > 1)
      return { ...found, layer: null, source: at, compared: sources.slice(0, 2) };
    const next = mainSource(vectors, at, sources);
    if (next === null) break;
    if (DECISIONS.has(node.opType)) found.decided = true;
    else if (UNIT_NORMS.has(node.opType) || isUnitNorm(view, node, next)) found.unit = true;
    else if (node.opType === 'BatchNormalization') found.normed = true;
    else if (!KEEPING.has(node.opType) && !AFFINE.has(node.opType) && !(afterScores && AFTER_SCORES.has(node.opType)))
      break;
    at = next;
    found.names.push(at);
  }
  return { ...found, layer: null, source: at, compared: [] };
}

/** A product of the data with a weight, data first. */
function layerOf(
  { view, data }: Vectors,
  node: Node,
): { readonly source: string; readonly from: number; readonly to: number } | null {
  const { opType, inputs } = node;
  const [source, weight] = inputs;
  if (!LAYERS.has(opType) || !data.has(source)) return null;
  const dims = weightDims(view, weight);
  if (dims === null) return null;
  if (opType === 'MatMul') return { source, from: dims.at(-2) ?? 0, to: dims.at(-1) ?? 0 };
  if (opType === 'Gemm' && intOf(node, 'transB', 0) === 0) return { source, from: dims[0] ?? 0, to: dims[1] ?? 0 };
  return { source, from: dims.slice(1).reduce((product, dim) => product * dim, 1), to: dims[0] ?? 0 };
}

/**
 * onnxscript's optimizer writes the bias of a layer that had none, and that it folded a batch norm into, as
 * `<weight>_bias`.
 */
function isNormFolded({ inputs }: Node): boolean {
  const [, weight = '', bias = ''] = inputs;
  return bias !== '' && bias === `${weight}_bias`;
}

/** Of several inputs with data the one that has as many values as the output: the others are scales. */
function mainSource({ shapeOf }: Vectors, output: string, sources: readonly string[]): string | null {
  if (sources.length <= 1) return sources[0] ?? null;
  const size = (tensor: string): number =>
    shapeOf(tensor)?.reduce<number>((product, dim) => product * (dim ?? 1), 1) ?? -1;
  return sources.find((source) => size(source) === size(output)) ?? sources[0];
}

/** Whether a division, or a product, brings `value` to unit length: the other side is its own root of squares. */
function isUnitNorm(view: GraphView, { opType, inputs }: Node, value: string): boolean {
  if (opType !== 'Div' && opType !== 'Mul') return false;
  let at = inputs.find((name) => name !== value);
  for (let step = 0; at !== undefined && step < 8; step++) {
    const node: Node | undefined = view.producerOf.get(at)?.node;
    if (node === undefined) return false;
    if (node.opType === 'ReduceL2') return leadsTo(view, node.inputs[0], value);
    if (node.opType === 'ReduceSum' || node.opType === 'ReduceSumSquare') {
      const squares = view.producerOf.get(node.inputs[0])?.node;
      if (node.opType === 'ReduceSumSquare') return leadsTo(view, node.inputs[0], value);
      return (
        squares !== undefined && ['Pow', 'Mul'].includes(squares.opType) && leadsTo(view, squares.inputs[0], value)
      );
    }
    if (
      !['Sqrt', 'Pow', 'Clip', 'Max', 'Add', 'Expand', 'Unsqueeze', 'Reshape', 'Cast', 'Reciprocal'].includes(
        node.opType,
      )
    )
      return false;
    at = node.inputs.find((name) => view.producerOf.has(name)) ?? node.inputs[0];
  }
  return false;
}

/** Whether two names are one value, casts and absolute values aside. */
function leadsTo(view: GraphView, from: string, value: string): boolean {
  let at = from;
  for (let step = 0; step < 3; step++) {
    if (at === value) return true;
    const node = view.producerOf.get(at)?.node;
    if (node === undefined || !['Cast', 'Abs', 'Identity'].includes(node.opType)) return false;
    [at] = node.inputs;
  }
  return false;
}

/**
 * Whether a vector was a vector all the way from an input: a hidden layer of a network that sees no maps and no
 * sequences.
 */
export function isHiddenLayer(vectors: Vectors, tensor: string): boolean {
  const { view, data } = vectors;
  const waiting = [tensor];
  const seen = new Set(waiting);
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (isVector(vectors, at) !== true) return false;
    for (const name of view.producerOf.get(at)?.node.inputs ?? []) {
      if (!data.has(name) || seen.has(name)) continue;
      seen.add(name);
      waiting.push(name);
    }
  }
  return true;
}

/** Whether a vector is one token of a sequence, norms aside. */
export function isToken({ view, shapeOf, data }: Vectors, tensor: string): boolean {
  let at = tensor;
  for (let step = 0; step < 4; step++) {
    const node = view.producerOf.get(at)?.node;
    if (node === undefined) return false;
    const source = node.inputs.find((name) => data.has(name)) ?? '';
    const from = shapeOf(source);
    if (from?.length === 3 && (node.opType === 'Split' || isFirst(view, node))) return true;
    if (!KEEPING.has(node.opType) && !NORMS.has(node.opType)) return false;
    at = source;
  }
  return false;
}

/** Whether a lookup or a slice takes the first of its axis; a last step of a recurrence is another thing. */
function isFirst({ model, initializers }: GraphView, { opType, inputs }: Node): boolean {
  if (opType !== 'Gather' && opType !== 'Slice') return false;
  const place = initializers.get(inputs[1] ?? '');
  return place === undefined || smallIntegers(model, place)?.[0] === 0;
}

/** Whether a vector was pooled from a map that a bare convolution made: scores per place, averaged. */
export function pooledLayer(vectors: Vectors, tensor: string): Trace | null {
  const node = vectors.view.producerOf.get(tensor)?.node;
  const source = node === undefined ? undefined : readsOf(node).find((name) => vectors.data.has(name));
  if (node === undefined || source === undefined || !POOLS.has(node.opType)) return null;
  const behind = trace(vectors, source, false);
  return behind.layer === null ? null : behind;
}
