import { ModelFormatError } from '../../errors.js';
import type { GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { factsOf } from '../facts.js';
import type { CutOutput, Feature } from '../feature.js';
import { FEATURE_INFO_KEY, featureOfStored, type StoredInfo, type StoredOutput } from '../stored-info.js';
import type { OnnxModel } from '../../onnx/records.js';
import type { Answer } from './module-path.js';
import { parseJson } from '../../wire/json.js';

export interface StoredAnswer extends Answer {
  readonly outIndices: readonly number[];
  readonly cutOutputs: readonly CutOutput[];
}

/** Hundreds of times what a FeatureInfo of a hundred features takes; a model from elsewhere may say anything. */
const LARGEST_INFO = 4 * 1024 * 1024;

/**
 * What a cut remembers of its original, from `metadata_props`; null where the model is no cut.
 * @throws ModelFormatError where the entry is there and is not what featx writes
 */
export async function readStoredInfo(model: OnnxModel): Promise<StoredInfo | null> {
  const entry = model.metadata.find(({ key }) => key === FEATURE_INFO_KEY);
  if (entry === undefined) return null;
  const wrong = (why: string, cause?: unknown): ModelFormatError =>
    new ModelFormatError(`the metadata entry '${FEATURE_INFO_KEY}' ${why}`, {
      code: 'FEATX_GRAPH_METADATA',
      cause,
      path: model.source.path,
      hint: 'the model was changed after it was cut; cut it again, or remove the entry',
    });
  if (entry.value.end - entry.value.start > LARGEST_INFO)
    throw wrong(
      `takes ${entry.value.end - entry.value.start} bytes, more than the ${LARGEST_INFO} that any FeatureInfo needs`,
    );
  let info: unknown;
  try {
    info = parseJson(await model.text(entry.value));
  } catch (cause) {
    throw wrong('is not JSON', cause);
  }
  if (!isStoredInfo(info)) throw wrong('is not a FeatureInfo that featx wrote');
  return info;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStoredInfo(value: unknown): value is StoredInfo {
  if (!isRecord(value) || value['schema'] !== 1) return false;
  const { feature_info: features, out_indices: indices, outputs } = value;
  if (!Array.isArray(features) || !Array.isArray(indices) || !Array.isArray(outputs)) return false;
  const isIndex = (index: unknown): boolean =>
    Number.isInteger(index) && Number(index) >= 0 && Number(index) < features.length;
  const isName = (name: unknown): boolean => name === null || typeof name === 'string';
  const isFeature = (entry: unknown, at: number): boolean =>
    isRecord(entry) &&
    entry['index'] === at &&
    isName(entry['tensor']) &&
    isName(entry['module']) &&
    (entry['num_chs'] === null || typeof entry['num_chs'] === 'number') &&
    (entry['reduction'] === null || typeof entry['reduction'] === 'number') &&
    typeof entry['because'] === 'string';
  const isOutput = (entry: unknown): boolean =>
    isRecord(entry) &&
    (entry['index'] === null || isIndex(entry['index'])) &&
    typeof entry['output'] === 'string' &&
    typeof entry['converted'] === 'boolean' &&
    typeof entry['prefix_tokens'] === 'number';
  return features.every(isFeature) && indices.every(isIndex) && outputs.every(isOutput);
}

/** The features that a cut model remembers of its original: those it carries with their tensors, the others without. */
export function resolveStored(view: GraphView, analysis: Analysis, stored: StoredInfo): StoredAnswer {
  const isHere = (name: string): boolean =>
    view.producerOf.has(name) || view.inputs.has(name) || view.initializers.has(name);
  const outputs = stored.outputs.filter(({ output }) => isHere(output));
  const outputOf = new Map(
    outputs.flatMap((output) => (output.index === null ? [] : [[output.index, output] as const])),
  );
  const features = stored.feature_info.map((entry): Feature => {
    const feature = featureOfStored(entry);
    const output = outputOf.get(feature.index);
    const asCut = output !== undefined && (output.converted || feature.tensor === null || !isHere(feature.tensor));
    const tensor = asCut ? output.output : feature.tensor !== null && isHere(feature.tensor) ? feature.tensor : null;
    const seen = tensor === null ? null : factsOf(analysis, tensor);
    return {
      ...feature,
      ...(asCut ? arrangement(output) : {}),
      tensor,
      shape: seen?.shape ?? feature.shape,
      dtype: seen?.dtype ?? feature.dtype,
      resolvedBy: 'metadata',
      because:
        tensor === null
          ? 'the cut left it out'
          : entry.resolved_by === 'metadata'
            ? feature.because
            : `stored when the model was cut: ${feature.because}`,
    };
  });
  const here = stored.out_indices.filter((index) =>
    features.some((feature) => feature.index === index && feature.tensor !== null),
  );
  const cutOutputs = outputs.map((stored): CutOutput => {
    const { index, module, output } = stored;
    const { numChs = null, reduction = null } = (index === null ? undefined : features[index]) ?? {};
    const seen = factsOf(analysis, output);
    return {
      ...seen,
      ...arrangement(stored),
      index,
      module,
      output,
      numChs: numChs ?? seen.numChs,
      reduction: reduction ?? seen.reduction,
    };
  });
  return {
    features,
    outIndices: here,
    cutOutputs,
    outcome: `${features.length} features of the original, ${features.filter(({ tensor }) => tensor !== null).length} of them here`,
    warnings: [],
  };
}

/** How the values of an output are laid out: as it was cut, whatever its place in the graph suggests. */
function arrangement({
  layout,
  prefix_tokens: prefixTokens,
  converted,
}: StoredOutput): Pick<Feature, 'layout' | 'prefixTokens'> & Partial<Pick<Feature, 'grid'>> {
  return { layout, prefixTokens, ...(converted && (layout === 'NCHW' || layout === 'NHWC') ? { grid: null } : {}) };
}
