import { FeatxError, IoError } from './errors.js';
import type { Attempt, Feature, Resolution } from './features/feature.js';
import { takeIndices, type FeatureIndex } from './features/feature-info.js';
import { selectFeatures } from './features/select.js';
import { asksBeyondFeatures, selectorsOf, type SelectOptions } from './features/selectors.js';
import { nodePaths } from './features/names.js';
import type { ResolveOptions } from './features/resolve.js';
import { externalReference, openContained } from './onnx/external-data.js';
import { assertReference, referenceOf } from './onnx/fingerprint.js';
import { tensorsOf, viewGraph, type GraphView } from './onnx/graph.js';
import type { ReadLimits } from './onnx/limits.js';
import type { OnnxModel, Tensor } from './onnx/records.js';
import { declaredTypes, tensorBytes, type TensorTypes } from './onnx/types.js';
import { openModel } from './open.js';
import {
  embeddingRecord,
  featureRecord,
  selectedRecord,
  tensorRecord,
  type ExplanationRecord,
  type InspectReport,
  type ModelRecord,
  type NodeTensorRecord,
} from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { InferOptions } from './runtime/type-questions.js';
import { startChild, surveyModel } from './survey.js';
import type { FileSystem } from './wire/fs.js';
import { DirectorySidecars } from './wire/sidecar-files.js';
import type { ByteSource } from './wire/source.js';

export interface InspectOptions extends InferOptions, SelectOptions {
  readonly limits?: Partial<ReadLimits>;
  readonly fileSystem?: FileSystem;
  /** What the report calls the model; default: its path. */
  readonly name?: string;
  /** How features are looked for. */
  readonly resolve?: ResolveOptions;
  /** Add `tensors`: every tensor that a node of the main graph makes. */
  readonly listTensors?: boolean;
  /** Add `explain`: what every resolver said of this feature. */
  readonly explain?: number;
  /** Fail where there would be warnings. */
  readonly strict?: boolean;
}

/**
 * What a model is and which features it has, as timm's `features_only=True` would list them. Reads the graph, never the weights; runs nothing of the model.
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError; ResolveError for an index that the model does not have
 */
export async function inspect(
  source: string | Uint8Array | ByteSource,
  options: InspectOptions = {},
): Promise<InspectReport> {
  const started = performance.now();
  await using model = await openModel(source, { limits: options.limits, fileSystem: options.fileSystem });
  const notes: string[] = [];
  const original = await checkReference(model, options, notes);
  using child = await startChild(model, options);
  const view = viewGraph(model);
  await noteSidecars(model, options, original, notes);
  const byName = asksBeyondFeatures(options);
  const made = options.listTensors || byName ? view.producerOf.keys() : [];
  const { types, resolution } = await surveyModel(view, {
    ...options,
    resolve: { explain: options.explain !== undefined, ...options.resolve },
    child: options.child ?? child ?? undefined,
    tensors: made,
  });
  const selected = byName ? selectFeatures(view, types, resolution, options).map(selectedRecord) : undefined;
  const known: TensorTypes = new Map([...declaredTypes(model), ...types.types]);
  const path = options.name ?? model.source.path ?? null;
  const warnings = [
    ...new Set([...model.warnings, ...view.warnings, ...notes, ...types.warnings, ...resolution.warnings]),
  ];
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
    ...(selected === undefined ? {} : { selected }),
    ...(options.listTensors ? { tensors: tensorList(view, known) } : {}),
    ...(options.explain === undefined ? {} : { explain: explanation(resolution, options.explain) }),
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** A cut that points into another file says nothing true once that file is another; without the file its graph can still be read. Returns the name of that file. */
async function checkReference(
  model: OnnxModel,
  { fileSystem }: InspectOptions,
  notes: string[],
): Promise<string | null> {
  const record = await referenceOf(model);
  if (record === null) return null;
  const { path } = model.source;
  if (path === undefined) {
    notes.push(`this model points into ${record.file}, which is not checked because the model has no directory`);
    return record.file;
  }
  const files = new DirectorySidecars(path, { fileSystem });
  try {
    await assertReference(model, files);
  } catch (error) {
    if (!(error instanceof IoError && error.code === 'FEATX_IO_NOT_FOUND')) throw error;
    notes.push(`this model points into ${record.file}, which is missing`);
  } finally {
    await files.close();
  }
  return record.file;
}

/** Files of weights that are looked for; a graph may name any number of them. */
const MOST_SIDECARS = 100;

/** Says which files of weights are missing or would be refused; inspecting needs none of them. `original` is the one that was looked at already. */
async function noteSidecars(
  model: OnnxModel,
  { fileSystem }: InspectOptions,
  original: string | null,
  notes: string[],
): Promise<void> {
  const users = new Map<string, Tensor>();
  for (const tensor of tensorsOf(model)) {
    const location = tensor.external?.find(({ key }) => key === 'location')?.value ?? '';
    if (tensor.external !== null && location !== original && !users.has(location)) users.set(location, tensor);
  }
  const { path } = model.source;
  const warn = (message: string): void => void notes.push(message);
  const files = path === undefined ? null : new DirectorySidecars(path, { fileSystem, warn });
  try {
    for (const tensor of [...users.values()].slice(0, MOST_SIDECARS)) {
      try {
        const { location } = externalReference(tensor, warn);
        if (files !== null) await openContained(location, tensor.place, tensor.place, files);
      } catch (error) {
        if (!(error instanceof FeatxError)) throw error;
        notes.push(
          error.code === 'FEATX_IO_NOT_FOUND'
            ? `${error.path ?? 'a file of weights'} is missing: ${tensor.place} keeps its values there`
            : error.message,
        );
      }
    }
  } finally {
    await files?.close();
  }
  if (users.size > MOST_SIDECARS)
    notes.push(`the weights lie in ${users.size} files; the first ${MOST_SIDECARS} were looked for`);
}

function isInitializer({ initializers, sparseInitializers }: GraphView, name: string): boolean {
  return initializers.has(name) || sparseInitializers.has(name);
}

/** The indices of the FeatureInfo that are asked for; where nothing is, or names and groups alone, those in use by default. */
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
  const paths = nodePaths(view, nodes);
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
