import type { GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { factsOf } from '../facts.js';
import type { Feature } from '../feature.js';
import { featureOfStored, type StoredInfo } from '../stored-info.js';
import type { Answer } from './module-path.js';

export interface StoredAnswer extends Answer {
  readonly outIndices: readonly number[];
}

/** The features that a cut model remembers of its original: those it carries with their tensors, the others without. */
export function resolveStored(view: GraphView, analysis: Analysis, stored: StoredInfo): StoredAnswer {
  const isHere = (name: string): boolean => view.producerOf.has(name) || view.inputs.has(name) || view.initializers.has(name);
  const outputOf = new Map(stored.outputs.flatMap(({ index, output }) => (index === null ? [] : [[index, output] as const])));
  const features = stored.feature_info.map((entry): Feature => {
    const feature = featureOfStored(entry);
    const output = outputOf.get(feature.index);
    const tensor = [feature.tensor, output].find((name) => name != null && isHere(name)) ?? null;
    const seen = tensor === null ? null : factsOf(analysis, tensor);
    return {
      ...feature, tensor, shape: seen?.shape ?? feature.shape, dtype: seen?.dtype ?? feature.dtype, resolvedBy: 'metadata',
      because: tensor === null ? `cut away; in the original: ${feature.because}` : `stored when the model was cut: ${feature.because}`,
    };
  });
  const here = stored.out_indices.filter((index) => features.some((feature) => feature.index === index && feature.tensor !== null));
  return { features, outIndices: here, outcome: `${features.length} features of the original, ${features.filter(({ tensor }) => tensor !== null).length} of them here`, warnings: [] };
}
