import { FeatxError } from './errors.js';
import { undecided } from './features/embedding.js';
import type { Attempt, Feature, Resolution } from './features/feature.js';
import { takeIndices, type FeatureIndex } from './features/feature-info.js';
import { selectorsOf, type SelectOptions } from './features/selectors.js';

import { listModules, type ListedModule } from './features/module-list.js';
import { nodePaths } from './features/names.js';
import type { ResolveOptions } from './features/resolve.js';
import { externalReference, openContained } from './onnx/external-data.js';
import { referenceOf } from './onnx/fingerprint.js';
import { executionOrder, isInitializer, tensorsOf, type GraphView } from './onnx/graph.js';
import type { OnnxModel, Tensor } from './onnx/records.js';
import { declaredTypes, tensorBytes, type TensorTypes } from './onnx/types.js';
import { checkOptions } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { prepare, type PreparedModel } from './prepare.js';
import {
  embeddingRecord,
  featureRecord,
  selectedRecord,
  tensorRecord,
  type ExplanationRecord,
  type InspectReport,
  type ModelRecord,
  type ModuleTreeRecord,
  type NodeTensorRecord,
} from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { InferOptions } from './runtime/type-questions.js';
import type { FileSystem } from './wire/fs.js';
import type { ByteSource } from './wire/source.js';

/** What `inspect` takes: the options of the table, and what only a program can give. */
export type InspectOptions = OptionsOf<'inspect'> &
  Pick<InferOptions, 'child'> & {
    readonly fileSystem?: FileSystem;
    /** How features are looked for. */
    readonly resolve?: ResolveOptions;
  };

/**
 * What a model is and which features it has, as timm's `features_only=True` would list them. Reads the graph, never the
 * weights; runs nothing of the model.
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError; ResolveError for an index that the model does
 * not have
 */
export async function inspect(
  source: string | Uint8Array | ByteSource,
  options: InspectOptions = {},
): Promise<InspectReport> {
  const started = performance.now();
  checkOptions('inspect', options);
  await using prepared = await prepare(source, {
    ...options,
    resolve: { explain: options.explain !== undefined, ...options.resolve },
    isListing: true,
    mayLackOriginal: true,
    typesOfAll: options.listTensors === true || options.listModules === true,
  });
  const { model, view, types, resolution, selections, warnings } = prepared;
  await noteSidecars(prepared);
  const undecidedEmbedding = undecided(resolution);
  if (undecidedEmbedding !== null) prepared.warn(undecidedEmbedding);
  const known: TensorTypes = new Map([...declaredTypes(model), ...types.types]);
  const path = options.name ?? model.source.path ?? null;
  if (options.strict) assertNoWarnings(warnings, path ?? undefined);
  await model.source.assertUnchanged?.();
  const { embedding, embeddings } = resolution;
  return {
    schema: 1,
    command: 'inspect',
    model: modelRecord(model, view, path),
    inputs: [...view.inputs.keys()]
      .filter((name) => !isInitializer(view, name))
      .map((name) => tensorRecord(name, known.get(name))),
    outputs: model.graph.outputs.map(({ name }) => tensorRecord(name, known.get(name))),
    feature_info: resolution.features.map(featureRecord),
    groups: resolution.groups.map(({ name, features }) => ({ name, features: features.map(featureRecord) })),
    out_indices: outIndices(resolution, options),
    embedding: embedding === null ? null : embeddingRecord(embedding),
    embeddings: embeddings.map(embeddingRecord),
    nominal_input_shape: Object.fromEntries(types.nominalInputShape),
    ...(selections.length > 0 ? { selected: selections.map(selectedRecord) } : {}),
    ...(options.listTensors ? { tensors: tensorList(view, known) } : {}),
    ...(options.listModules ? { modules: listModules(view).map((module) => moduleTreeRecord(module, known)) } : {}),
    ...(options.explain === undefined ? {} : { explain: explanation(resolution, options.explain) }),
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** Files of weights that are looked for; a graph may name any number of them. */
const MOST_SIDECARS = 100;

/**
 * Says which files of weights are missing or would be refused; inspecting needs none of them. The original of a
 * reference cut was looked at already.
 */
async function noteSidecars({ model, files, warn }: PreparedModel): Promise<void> {
  const original = (await referenceOf(model))?.file;
  const users = new Map<string, Tensor>();
  for (const tensor of tensorsOf(model)) {
    const location = tensor.external?.find(({ key }) => key === 'location')?.value ?? '';
    if (tensor.external !== null && location !== original && !users.has(location)) users.set(location, tensor);
  }
  for (const tensor of [...users.values()].slice(0, MOST_SIDECARS)) {
    try {
      const { location } = externalReference(tensor, warn);
      if (model.source.path !== undefined) await openContained(location, tensor.place, tensor.place, files);
    } catch (error) {
      if (!(error instanceof FeatxError)) throw error;
      warn(
        error.code === 'FEATX_IO_NOT_FOUND'
          ? `${error.path ?? 'a file of weights'} is missing: ${tensor.place} keeps its values there`
          : error.message,
      );
    }
  }
  if (users.size > MOST_SIDECARS)
    warn(`the weights lie in ${users.size} files; the first ${MOST_SIDECARS} were looked for`);
}

/**
 * The indices of the FeatureInfo that are asked for; where nothing is, or names and groups alone, those in use by
 * default.
 */
function outIndices({ features, outIndices: stored }: Resolution, options: SelectOptions): readonly number[] {
  const asked = selectorsOf(options).flatMap((selector): FeatureIndex[] =>
    selector.by === 'index' && selector.group === undefined
      ? [selector.indices]
      : selector.by === 'last'
        ? [selector.count]
        : [],
  );
  return asked.length === 0 ? stored : asked.flatMap((indices) => takeIndices(features.length, indices).indices);
}

/** What a model is, in numbers. */
export function modelRecord(model: OnnxModel, view: GraphView, path: string | null): ModelRecord {
  const { graph, irVersion, opsetImports, producerName, producerVersion, functions, source } = model;
  let weightsBytes = 0;
  for (const tensor of graph.initializers) weightsBytes += tensorBytes(tensor) ?? 0;
  for (const { values, indices } of graph.sparseInitializers)
    for (const part of [values, indices]) if (part !== null) weightsBytes += tensorBytes(part) ?? 0;
  const locations = new Set<string>();
  for (const tensor of tensorsOf(model))
    for (const { key, value } of tensor.external ?? []) if (key === 'location') locations.add(value);
  return {
    path,
    size_bytes: source.size,
    ir_version: irVersion,
    opset_imports: Object.fromEntries(opsetImports.map(({ domain, version }) => [domain, version])),
    producer: `${producerName} ${producerVersion}`.trim(),
    nodes: graph.nodes.length,
    initializers: graph.initializers.length + graph.sparseInitializers.length,
    overridable_initializers: [...view.inputs.keys()].filter((name) => isInitializer(view, name)).length,
    weights_bytes: weightsBytes,
    functions: functions.length,
    external_data: [...locations],
  };
}

function tensorList(view: GraphView, known: TensorTypes): readonly NodeTensorRecord[] {
  const { nodes } = view.model.graph;
  const paths = nodePaths(view, executionOrder(view));
  return nodes.flatMap((node) =>
    node.outputs
      .filter((name) => name !== '')
      .map((name) => ({
        ...tensorRecord(name, known.get(name)),
        op_type: node.opType,
        node: node.name,
        module: paths.of(node),
      })),
  );
}

function moduleTreeRecord(module: ListedModule, known: TensorTypes): ModuleTreeRecord {
  return {
    path: module.path,
    class: module.class,
    calls: module.calls,
    nodes: module.nodes,
    outputs: module.outputs.map((tensor) => {
      const { shape = null, dtype = null } = known.get(tensor) ?? {};
      return { tensor, shape, dtype };
    }),
  };
}

/** @throws ResolveError for an index that the model does not have */
function explanation({ features, tried }: Resolution, asked: number): ExplanationRecord {
  const [index] = takeIndices(features.length, [asked]).indices;
  const said = ({ features: found }: Attempt): Feature | undefined => found.find((feature) => feature.index === index);
  return {
    index,
    tried: tried.map((attempt) => {
      const feature = said(attempt);
      return {
        resolver: attempt.resolver,
        outcome: attempt.outcome,
        feature: feature === undefined ? null : featureRecord(feature),
      };
    }),
  };
}
