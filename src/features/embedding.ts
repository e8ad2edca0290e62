import type { Node } from '../onnx/records.js';
import type { Analysis } from './analysis.js';
import { factsOf } from './facts.js';
import type { Embedding, Resolution } from './feature.js';

/** Ops between the classifier and the scores. */
const AFTERMATH = new Set([
  'Softmax',
  'LogSoftmax',
  'Sigmoid',
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Sum',
  'Mean',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
  'QLinearAdd',
  'Transpose',
  'Concat',
  'ReduceMean',
  'Log',
  'Neg',
  'Exp',
  'Clip',
  'Tanh',
]);
const CLASSIFIERS = new Set([
  'Gemm',
  'MatMul',
  'FusedGemm',
  'FusedMatMul',
  'QGemm',
  'QLinearMatMul',
  'MatMulInteger',
  'MatMulNBits',
  'Conv',
  'QLinearConv',
]);
/** Steps from the scores back to the classifier. */
const LONGEST_AFTERMATH = 32;

/** Every vector that may be the embedding, the likeliest first, and the one that is. */
export function embeddingsOf(analysis: Analysis): Pick<Resolution, 'embeddings' | 'embedding'> {
  const embedding = pooledVector(analysis);
  return { embedding, embeddings: embedding === null ? [] : [embedding] };
}

/** The pooled vector that enters the last Gemm or MatMul on the way to the scores; null where there is no classifier. */
function pooledVector(analysis: Analysis): Embedding | null {
  const { flow, geometry } = analysis;
  let node = flow.nodes.at(-1);
  for (let step = 0; node !== undefined && step < LONGEST_AFTERMATH; step++) {
    const source = dataInput(analysis, node);
    if (source === null) return null;
    if (CLASSIFIERS.has(node.opType)) {
      const place = geometry.get(source);
      const isVector = place?.pooled === true || place?.shape?.length === 2;
      return isVector
        ? {
            ...factsOf(analysis, source),
            numChs: place?.channels ?? null,
            tensor: source,
            role: 'pooled',
            because: `it enters the ${node.opType} in front of the scores`,
          }
        : null;
    }
    if (!AFTERMATH.has(node.opType)) return null;
    const at = flow.position.get(source) ?? -1;
    node = at < 0 ? undefined : flow.nodes[at];
  }
  return null;
}

/** The first input that carries data of the image. */
function dataInput({ flow }: Analysis, node: Node): string | null {
  return node.inputs.find((name) => flow.position.has(name)) ?? null;
}
