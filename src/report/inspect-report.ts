import { undecided } from '../features/embedding.js';
import { takeIndices, type FeatureIndex } from '../features/feature-info.js';
import type { FeatureGroup, Resolution } from '../features/feature.js';
import { listModules, type ListedModule } from '../features/module-list.js';
import { selectorsOf, type Selection, type SelectOptions } from '../features/selectors.js';
import { isInitializer, tensorsOf, type GraphView } from '../onnx/graph.js';
import { graphsOf } from '../onnx/walk.js';
import type { OnnxModel } from '../onnx/records.js';
import { declaredTypes, tensorBytes, type InferredTypes, type TensorTypes } from '../onnx/types.js';
import { explanation, listedTensors } from './inspect-more.js';
import type { ByteRange } from '../wire/fields.js';
import {
  embeddingRecord,
  featureRecord,
  selectedRecord,
  tensorRecord,
  type InspectReport,
  type ModelRecord,
  type ModuleTreeRecord,
} from './records.js';

/** What a report of a model says. */
export interface ReportOptions extends SelectOptions {
  /** What the model is called; its path by default. */
  readonly name?: string;
  readonly listTensors?: boolean;
  readonly listModules?: boolean;
  /** An index into the FeatureInfo, or `neck:0`. */
  readonly explain?: number | string;
}

/** A model with its features, ready to be reported. */
export interface Described {
  readonly model: OnnxModel;
  readonly view: GraphView;
  readonly types: InferredTypes;
  readonly resolution: Resolution;
  readonly selections: readonly Selection[];
  readonly warnings: readonly string[];
}

/** The report of `inspect`, its time left at 0. @throws ResolveError for an index that the model does not have */
export async function inspectReport(
  { model, view, types, resolution, selections, warnings: noticed }: Described,
  options: ReportOptions,
): Promise<InspectReport> {
  const known = knownTypes(model, types);
  const path = options.name ?? model.source.path ?? null;
  const { embedding, embeddings } = resolution;
  const undecidedEmbedding = undecided(resolution);
  const warnings = [...new Set([...noticed, ...(undecidedEmbedding === null ? [] : [undecidedEmbedding])])];
  const metadata = await metadataOf(model, warnings);
  return {
    schema: 1,
    command: 'inspect',
    model: { ...modelRecord(model, view, path), metadata },
    inputs: [...view.inputs.keys()]
      .filter((name) => !isInitializer(view, name))
      .map((name) => tensorRecord(name, known.get(name))),
    outputs: model.graph.outputs.map(({ name }) => tensorRecord(name, known.get(name))),
    feature_info: resolution.features.map(featureRecord),
    groups: resolution.groups.map((group) => ({
      name: group.name,
      features: group.features.map(featureRecord),
      out_indices: groupIndices(resolution, group, options),
    })),
    out_indices: outIndices(resolution, options),
    embedding: embedding === null ? null : embeddingRecord(embedding),
    embeddings: embeddings.map(embeddingRecord),
    nominal_input_shape: Object.fromEntries(types.nominalInputShape),
    ...(selections.length > 0 ? { selected: selections.map(selectedRecord) } : {}),
    ...(options.listTensors ? { tensors: listedTensors(view, known, types) } : {}),
    ...(options.listModules ? { modules: listModules(view).map((module) => moduleTreeRecord(module, known)) } : {}),
    ...(options.explain === undefined ? {} : { explain: explanation(resolution, options.explain) }),
    warnings,
    elapsed_ms: 0,
  };
}

type KnownTypes = Pick<TensorTypes, 'get'>;

/** What was inferred of a tensor, else what the file declares. */
function knownTypes(model: OnnxModel, { types }: InferredTypes): KnownTypes {
  let declared: TensorTypes | null = null;
  return { get: (name) => types.get(name) ?? (declared ??= declaredTypes(model)).get(name) };
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

/** The same of a group: by default what a cut carries of it. */
function groupIndices(
  { cutOutputs }: Resolution,
  { name, features }: FeatureGroup,
  options: SelectOptions,
): readonly number[] {
  const asked = selectorsOf(options).flatMap((selector) =>
    selector.by === 'index' && selector.group === name ? [selector.indices] : [],
  );
  return asked.length > 0
    ? asked.flatMap((indices) => takeIndices(features.length, indices).indices)
    : cutOutputs.flatMap(({ group, index }) => (group === name ? (index ?? []) : []));
}

/** What featx writes into a model begins with it. */
const OWN = 'featx.';

/** Bytes of a value that a report holds; the classes of a detector take a few thousand. */
const LONGEST_VALUE = 2 ** 20;

/** What the exporter wrote into a model, by its keys; null for what is too long to be printed. */
async function metadataOf(model: OnnxModel, warnings: string[]): Promise<ModelRecord['metadata']> {
  // Of several entries with one key the last counts.
  const values = new Map<string, ByteRange>();
  for (const { key, value } of model.metadata) if (!key.startsWith(OWN)) values.set(key, value);
  const entries: [string, string | null][] = [];
  for (const [key, value] of values) {
    const bytes = value.end - value.start;
    if (bytes > LONGEST_VALUE) warnings.push(`the metadata '${key}' has ${bytes} bytes and is not shown`);
    entries.push([key, bytes > LONGEST_VALUE ? null : await model.text(value)]);
  }
  return Object.fromEntries(entries);
}

/** What a model is, in numbers. */
function modelRecord(model: OnnxModel, view: GraphView, path: string | null): Omit<ModelRecord, 'metadata'> {
  const { graph, irVersion, opsetImports, producerName, producerVersion, functions, source } = model;
  let weightsBytes = 0;
  for (const tensor of graph.initializers) weightsBytes += tensorBytes(tensor) ?? 0;
  for (const { values, indices } of graph.sparseInitializers)
    for (const part of [values, indices]) if (part !== null) weightsBytes += tensorBytes(part) ?? 0;
  const inner = innerNodes(model);
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
    ...(inner === 0 ? {} : { inner_nodes: inner }),
    initializers: graph.initializers.length + graph.sparseInitializers.length,
    overridable_initializers: [...view.inputs.keys()].filter((name) => isInitializer(view, name)).length,
    weights_bytes: weightsBytes,
    functions: functions.length,
    external_data: [...locations],
  };
}

/** Nodes inside bodies and functions; the graphs of training are no part of what is run. */
function innerNodes(model: OnnxModel): number {
  const own = new Set([model.graph, ...model.trainingInfo.flatMap(({ graphs }) => graphs)]);
  const inFunctions = model.functions.reduce((sum, { nodes }) => sum + nodes.length, 0);
  return graphsOf(model).reduce((sum, one) => (own.has(one) ? sum : sum + one.nodes.length), inFunctions);
}

function moduleTreeRecord(module: ListedModule, known: KnownTypes): ModuleTreeRecord {
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
