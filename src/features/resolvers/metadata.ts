import { plural } from '../../wire/counted.js';
import { MAP_LAYOUTS, PIXEL_CHANNELS } from '../../options/choices.js';
import { isRecord } from '../../options/schema.js';
import { ModelFormatError } from '../../errors.js';
import { hasTensor, type GraphView } from '../../onnx/graph.js';
import type { Analysis } from '../analysis.js';
import { factsOf } from '../facts.js';
import { EMBEDDING_ROLES, type CutOutput, type Embedding, type Feature, type FeatureGroup } from '../feature.js';
import {
  carriersOf,
  FEATURE_INFO_KEY,
  featureOfStored,
  type StoredFeature,
  type StoredInfo,
  type StoredOutput,
} from '../stored-info.js';
import type { OnnxModel } from '../../onnx/records.js';
import type { Answer } from './module-path.js';
import { parseJson } from '../../wire/json.js';

/** What a cut remembers of the features of its original. */
export interface StoredAnswer extends Answer {
  readonly outIndices: readonly number[];
  readonly cutOutputs: readonly CutOutput[];
  readonly groups: readonly FeatureGroup[];
  readonly embeddings: readonly Embedding[];
}

/** Hundreds of times what a FeatureInfo of a hundred features takes; a model from elsewhere may say anything. */
const LARGEST_INFO = 4 * 1024 * 1024;
/** More channels, or a larger reduction, than any tensor has. */
const LARGEST_SIZE = 2 ** 31;

/**
 * What a cut remembers of its original, from `metadata_props`; null where the model is no cut.
 * @throws ModelFormatError where the entry is there and is not what featx writes
 */
export async function readStoredInfo(model: OnnxModel): Promise<StoredInfo | null> {
  const entry = model.metadata.find(({ key }) => key === FEATURE_INFO_KEY);
  if (entry === undefined) return null;
  const wrong = (why: string, cause?: unknown): ModelFormatError => wrongEntry(model, why, cause);
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

function wrongEntry(model: OnnxModel, why: string, cause?: unknown): ModelFormatError {
  return new ModelFormatError(`the metadata entry '${FEATURE_INFO_KEY}' ${why}`, {
    code: 'FEATX_GRAPH_METADATA',
    cause,
    path: model.source.path,
    hint: 'the model was changed after it was cut; cut it again, or remove the entry',
  });
}

/** Everything that later code relies on; whatever else the entry says is carried through. */
function isStoredInfo(value: unknown): value is StoredInfo {
  if (!isRecord(value) || value['schema'] !== 1) return false;
  const {
    feature_info: features,
    out_indices: indices,
    outputs,
    groups = [],
    inputs = [],
    dims = [],
    preprocess = [],
  } = value;
  if (!isFeatureList(features) || !Array.isArray(indices) || !Array.isArray(outputs) || !Array.isArray(groups))
    return false;
  const lists = new Map<unknown, readonly StoredFeature[]>([[undefined, features]]);
  for (const group of groups as readonly unknown[]) {
    if (!isRecord(group) || typeof group['name'] !== 'string' || !isFeatureList(group['features'])) return false;
    lists.set(group['name'], group['features']);
  }
  const isIndexOf = (list: readonly unknown[] | undefined, index: unknown): boolean =>
    list !== undefined && Number.isInteger(index) && Number(index) >= 0 && Number(index) < list.length;
  const isPart = (entry: unknown): boolean =>
    isRecord(entry) &&
    (entry['index'] === null || isIndexOf(lists.get(entry['group']), entry['index'])) &&
    isBefore(entry['before']);
  const isOutput = (entry: unknown): boolean =>
    isRecord(entry) &&
    (entry['index'] === null || isIndexOf(lists.get(entry['group']), entry['index'])) &&
    (entry['embedding'] === undefined || EMBEDDING_ROLES.some((role) => role === entry['embedding'])) &&
    typeof entry['output'] === 'string' &&
    isHeld(entry) &&
    (entry['steps'] === undefined || isStepList(entry['steps'])) &&
    (entry['before'] === undefined || isBefore(entry['before'])) &&
    (entry['parts'] === undefined || (Array.isArray(entry['parts']) && entry['parts'].every(isPart)));
  const isInput = (entry: unknown): boolean =>
    isRecord(entry) && typeof entry['input'] === 'string' && typeof entry['tensor'] === 'string';
  const isPixels = (entry: unknown): boolean =>
    isInput(entry) &&
    isRecord(entry) &&
    MAP_LAYOUTS.some((layout) => layout === entry['layout']) &&
    PIXEL_CHANNELS.some((channels) => channels === entry['channels']);
  return (
    Array.isArray(preprocess) &&
    preprocess.every(isPixels) &&
    indices.every((index) => isIndexOf(features, index)) &&
    outputs.every(isOutput) &&
    Array.isArray(inputs) &&
    inputs.every(isInput) &&
    Array.isArray(dims) &&
    dims.every(isSizeOfInput)
  );
}

function isHeld(entry: { readonly [key: string]: unknown }): boolean {
  return typeof entry['converted'] === 'boolean' && typeof entry['prefix_tokens'] === 'number';
}

function isBefore(value: unknown): boolean {
  return isRecord(value) && typeof value['tensor'] === 'string' && isHeld(value);
}

function isStepList(list: unknown): boolean {
  return Array.isArray(list) && list.every((entry) => isRecord(entry) && typeof entry['step'] === 'string');
}

function isSizeOfInput(entry: unknown): boolean {
  return (
    isRecord(entry) && typeof entry['input'] === 'string' && isCountFrom0(entry['axis']) && isCountFrom0(entry['size'])
  );
}

function isCountFrom0(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isFeatureList(list: unknown): list is readonly StoredFeature[] {
  const isName = (name: unknown): boolean => name === null || typeof name === 'string';
  const isSize = (size: unknown): boolean =>
    size === null || (typeof size === 'number' && size >= 1 / LARGEST_SIZE && size <= LARGEST_SIZE);
  const isFeature = (entry: unknown, at: number): boolean =>
    isRecord(entry) &&
    entry['index'] === at &&
    isName(entry['tensor']) &&
    isName(entry['module']) &&
    isSize(entry['num_chs']) &&
    (entry['num_chs'] === null || Number.isInteger(entry['num_chs'])) &&
    isSize(entry['reduction']) &&
    typeof entry['because'] === 'string';
  return Array.isArray(list) && list.every(isFeature);
}

/**
 * The features that a cut model remembers of its original: those it carries with their tensors, the others without.
 * @throws ModelFormatError naming every weight that is said to be a feature
 */
export function resolveStored(view: GraphView, analysis: Analysis, stored: StoredInfo): StoredAnswer {
  assertNoWeights(view, stored);
  const isHere = (name: string): boolean => hasTensor(view, name);
  // A cut that begins at tensors may have nothing but the outputs of its original.
  const isOfFeatures = stored.outputs.length > 0 || stored.out_indices.length > 0;
  const listed = isOfFeatures ? stored.outputs : [...view.outputs.keys()].map((output) => ownOutput(output));
  const outputs = listed.filter(({ output }) => isHere(output));
  const carriers = outputs.flatMap(givenBy).filter(({ output }) => isHere(output));
  const remembered = (list: readonly StoredFeature[], group: string | undefined): readonly Feature[] => {
    const outputOf = new Map(
      carriers.flatMap((output) =>
        output.index === null || output.group !== group ? [] : [[output.index, output] as const],
      ),
    );
    return list.map((entry) => rememberedFeature(analysis, entry, outputOf.get(entry.index), isHere));
  };
  const features = remembered(stored.feature_info, undefined);
  const groups = (stored.groups ?? []).map(
    ({ name, features: list }): FeatureGroup => ({
      name,
      features: remembered(list, name),
    }),
  );
  const here = stored.out_indices.filter((index) =>
    features.some((feature) => feature.index === index && feature.tensor !== null),
  );
  const listOf = (group: string | undefined): readonly Feature[] =>
    group === undefined ? features : (groups.find(({ name }) => name === group)?.features ?? []);
  const cutOutputs = outputs.map((output): CutOutput => {
    const { index, group, module, output: name } = output;
    const { numChs = null, reduction = null } = (index === null ? undefined : listOf(group)[index]) ?? {};
    const seen = factsOf(analysis, name);
    return {
      ...seen,
      ...arrangement(output),
      index,
      group: group ?? null,
      module,
      output: name,
      numChs: output.steps === undefined ? (numChs ?? seen.numChs) : seen.numChs,
      reduction: reduction ?? seen.reduction,
      ...(output.steps === undefined ? {} : { done: output.steps }),
    };
  });
  const embeddings = carriers.flatMap(({ embedding: role, output, steps }): Embedding[] =>
    role === undefined
      ? []
      : [
          {
            ...factsOf(analysis, output),
            tensor: output,
            role,
            because: 'stored when the model was cut',
            ...(steps === undefined ? {} : { done: steps }),
          },
        ],
  );
  return {
    features,
    groups,
    embeddings,
    outIndices: here,
    cutOutputs,
    outcome: `${plural(features.length, 'feature')} of the original, ${features.filter(({ tensor }) => tensor !== null).length} of them here`,
    warnings: [],
  };
}

/**
 * The tensors of a cut that are its features: what leaves it, with all that was computed of a feature; of several that
 * leave as one, what that was computed of.
 */
function givenBy(output: StoredOutput): readonly StoredOutput[] {
  return output.parts === undefined ? [output] : carriersOf(output);
}

function ownOutput(output: string): StoredOutput {
  return { index: null, module: null, tensor: output, output, layout: null, converted: false, prefix_tokens: 0 };
}

/** Tensors that were selected by their names may be weights; features are not. */
function assertNoWeights(view: GraphView, stored: StoredInfo): void {
  const lists = [stored.feature_info, ...(stored.groups ?? []).map(({ features }) => features)];
  const features = lists.flatMap((list) => list.map(({ tensor }) => tensor));
  const outputs = stored.outputs.flatMap(({ index, output }) => (index === null ? [] : [output]));
  const weights = [...new Set([...features, ...outputs])].filter(
    (name) => name !== null && (view.initializers.has(name) || view.sparseInitializers.has(name)),
  );
  if (weights.length > 0) throw wrongEntry(view.model, `takes weights for features: ${weights.join(', ')}`);
}

function rememberedFeature(
  analysis: Analysis,
  entry: StoredFeature,
  output: StoredOutput | undefined,
  isHere: (name: string) => boolean,
): Feature {
  const feature = featureOfStored(entry);
  const done = output?.steps;
  const asCut =
    output !== undefined &&
    (done !== undefined || output.converted || feature.tensor === null || !isHere(feature.tensor));
  const tensor = asCut ? output.output : feature.tensor !== null && isHere(feature.tensor) ? feature.tensor : null;
  const seen = tensor === null ? null : factsOf(analysis, tensor);
  return {
    ...feature,
    ...(asCut ? arrangement(output) : {}),
    tensor,
    shape: seen?.shape ?? feature.shape,
    dtype: seen?.dtype ?? feature.dtype,
    ...(done === undefined ? {} : { done, numChs: seen?.numChs ?? null, codes: null, blocked: null, grid: null }),
    resolvedBy: 'metadata',
    because:
      tensor === null
        ? 'the cut left it out'
        : entry.resolved_by === 'metadata'
          ? feature.because
          : `stored when the model was cut: ${feature.because}`,
  };
}

/** How the values of an output are laid out: as it was cut, whatever its place in the graph suggests. */
function arrangement({
  layout,
  prefix_tokens: prefixTokens,
  converted,
}: StoredOutput): Pick<Feature, 'layout' | 'prefixTokens'> & Partial<Pick<Feature, 'grid' | 'codes' | 'blocked'>> {
  return {
    layout,
    prefixTokens,
    ...(converted ? { codes: null, blocked: null } : {}),
    ...(converted && (layout === 'NCHW' || layout === 'NHWC') ? { grid: null } : {}),
  };
}
