import { ModelFormatError } from '../errors.js';
import type { ByteRange, Field } from '../wire/fields.js';
import { BufferSource, type ByteSource } from '../wire/source.js';
import { decodeText } from '../wire/text.js';
import { assertOnnxFile } from './file-kind.js';
import { DEFAULT_LIMITS, entered, readMessage, type FieldRule, type MessageRule, type ReadLimits } from './reader.js';
import type {
  Attribute, Dim, FunctionDef, Graph, MetadataEntry, Node, OnnxModel, OpsetImport, QuantizationAnnotation, SparseTensor, StringEntry, Tensor, TrainingInfo, ValueInfo, ValueType,
} from './records.js';

/** Lists in attributes longer than this stay in the file. */
const LONGEST_ATTRIBUTE_LIST = 1024;

/** A record while the reader fills it. */
type Draft<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

export interface OpenOptions {
  readonly limits?: Partial<ReadLimits>;
}

/**
 * Indexes a model: every message of the graph, no payload. Costs one pass of windowed reads over what is not weights.
 * @throws ModelFormatError with the byte offset and the field path where the bytes are not a valid model
 * @throws PolicyError where a limit is exceeded
 */
export async function indexModel(input: Uint8Array | ByteSource, options: OpenOptions = {}): Promise<OnnxModel> {
  const source: ByteSource = ArrayBuffer.isView(input) ? new BufferSource(input) : input;
  await assertOnnxFile(source);
  const warnings: string[] = [];
  const draft: ModelDraft = {
    irVersion: 0, producerName: '', producerVersion: '', opsetImports: [], metadata: [], graph: null, functions: [], trainingInfo: [], modelFields: [], graphFields: [],
  };
  const window = await readMessage(source, modelRule, draft, { ...DEFAULT_LIMITS, ...options.limits }, (message) => warnings.push(message));
  const { graph } = draft;
  if (graph === null) {
    throw new ModelFormatError(`${source.path ?? 'the model'} holds no graph`, { code: 'FEATX_GRAPH_MISSING', path: source.path, hint: 'is it really an ONNX model?' });
  }
  const read = async (range: ByteRange): Promise<Uint8Array> => window.resident(range) ?? source.read(range.start, range.end);
  return {
    ...draft,
    graph,
    source,
    warnings,
    resident: (range) => window.resident(range),
    read,
    text: async (range) => decodeText(await read(range)),
    [Symbol.asyncDispose]: async () => source.close?.(),
  };
}

interface ModelDraft extends Draft<Omit<OnnxModel, 'source' | 'graph' | 'warnings' | 'resident' | 'read' | 'text' | typeof Symbol.asyncDispose>> {
  graph: Draft<Graph> | null;
}

// --- rules: how each message of onnx.proto fills its record -------------------------------------------------------------------------
// Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

const text = <B>(set: (record: B, value: string, field: Field) => void): FieldRule<B> => ({ kind: 'text', set });
const int = <B>(set: (record: B, value: number | bigint, field: Field) => void): FieldRule<B> => ({ kind: 'int', set });
const float = <B>(set: (record: B, value: number) => void): FieldRule<B> => ({ kind: 'float', set });
const skipped = <B>(set: (record: B, field: Field) => void): FieldRule<B> => ({ kind: 'range', kept: false, set });
const kept = <B>(set: (record: B, field: Field) => void): FieldRule<B> => ({ kind: 'range', kept: true, set });

/** Protobuf's int32: the low 32 bits. */
const int32 = (value: number | bigint): number => Number(BigInt.asIntN(32, BigInt(value)));

const entryRule: MessageRule<Draft<StringEntry>> = {
  fields: { 1: text((entry, value) => (entry.key = value)), 2: text((entry, value) => (entry.value = value)) },
};

function entries<B>(list: (record: B) => StringEntry[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const entry: Draft<StringEntry> = { field, key: '', value: '' };
      return entered(entryRule, entry, `entry[${list(record).push(entry) - 1}]`);
    },
  };
}

type TensorDraft = Draft<Omit<Tensor, 'external'>> & { externalEntries: StringEntry[]; isExternal: boolean; readonly external: readonly StringEntry[] | null };

function newTensor(field: Field, enclosing: readonly Field[], place: string): TensorDraft {
  return {
    name: '', dims: [], dataType: 0, payloads: [], header: [], parts: [field], enclosing: [...enclosing], place, externalEntries: [], isExternal: false,
    get external() {
      return this.isExternal ? this.externalEntries : null;
    },
  };
}

const payload: FieldRule<TensorDraft> = skipped((tensor, { number, wireType, start, payload: values, end }) => {
  const last = tensor.payloads.at(-1);
  if (wireType === 2) tensor.payloads.push({ fieldNumber: number, contiguous: number !== 6, start: values, end });
  else if (last !== undefined && !last.contiguous && last.fieldNumber === number && last.end === start) tensor.payloads[tensor.payloads.length - 1] = { ...last, end };
  else tensor.payloads.push({ fieldNumber: number, contiguous: false, start, end });
});

/** Fields of a TensorProto that hold values or say where they are. */
const VALUE_FIELDS = new Set([4, 5, 6, 7, 9, 10, 11, 13, 14]);

function extend(ranges: ByteRange[], { start, end }: ByteRange): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.end === start) ranges[ranges.length - 1] = { start: last.start, end };
  else ranges.push({ start, end });
}

const tensorRule: MessageRule<TensorDraft> = {
  each: (tensor, field) => void (VALUE_FIELDS.has(field.number) || extend(tensor.header, field)),
  fields: {
    1: int((tensor, value, field) => {
      if (typeof value === 'bigint') {
        throw new ModelFormatError(`a dimension of ${tensor.place} is ${value}, outside what any tensor can have (byte ${field.start})`, { code: 'FEATX_GRAPH_DIMS', offset: field.start, field: tensor.place });
      }
      tensor.dims.push(value);
    }),
    2: int((tensor, value) => (tensor.dataType = int32(value))),
    4: payload, 5: payload, 6: payload, 7: payload, 9: payload, 10: payload, 11: payload,
    8: text((tensor, value) => (tensor.name = value)),
    13: entries((tensor) => tensor.externalEntries),
    14: int((tensor, value) => (tensor.isExternal = value === 1)),
  },
};

/** A singular tensor field: a second occurrence merges into the first. */
function tensorField<B>(label: string, current: (record: B) => Tensor | null, set: (record: B, tensor: Tensor) => void): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field, context) => {
      const existing = current(record);
      if (existing !== null) {
        (existing as TensorDraft).parts.push(field);
        return entered(tensorRule, existing as TensorDraft, label);
      }
      const tensor = newTensor(field, context.enclosing(), `${context.path()}.${label}`);
      set(record, tensor);
      return entered(tensorRule, tensor, label);
    },
  };
}

function tensorList<B>(label: string, list: (record: B) => Tensor[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field, context) => {
      const item = `${label}[${list(record).length}]`;
      const tensor = newTensor(field, context.enclosing(), `${context.path()}.${item}`);
      list(record).push(tensor);
      return entered(tensorRule, tensor, item);
    },
  };
}

const sparseTensorRule: MessageRule<Draft<SparseTensor>> = {
  fields: {
    1: tensorField('values', (sparse) => sparse.values, (sparse, tensor) => (sparse.values = tensor)),
    2: tensorField('indices', (sparse) => sparse.indices, (sparse, tensor) => (sparse.indices = tensor)),
    3: int((sparse, value) => sparse.dims.push(Number(value))),
  },
};

function sparseTensors<B>(label: string, list: (record: B) => SparseTensor[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const sparse: Draft<SparseTensor> = { field, dims: [], values: null, indices: null };
      return entered(sparseTensorRule, sparse, `${label}[${list(record).push(sparse) - 1}]`);
    },
  };
}

type TypeHolder = { type: ValueType | null };
type DimHolder = { readonly shape: Dim[]; readonly index: number };

const dimRule: MessageRule<DimHolder> = {
  fields: {
    1: int(({ shape, index }, value) => (shape[index] = typeof value === 'number' && value >= 0 ? value : null)),
    2: text(({ shape, index }, value) => (shape[index] = value === '' ? null : value)),
  },
};

const shapeRule: MessageRule<{ readonly shape: Dim[] }> = {
  fields: { 1: { kind: 'message', enter: ({ shape }) => entered(dimRule, { shape, index: shape.push(null) - 1 }, 'dim') } },
};

type TensorTypeDraft = { kind: 'tensor' | 'sparse_tensor'; elemType: number; shape: Dim[] | null };
const tensorTypeRule: MessageRule<TensorTypeDraft> = {
  fields: {
    1: int((type, value) => (type.elemType = int32(value))),
    2: { kind: 'message', enter: (type) => entered(shapeRule, { shape: (type.shape ??= []) }, 'shape') },
  },
};

/** A member of TypeProto's oneof: the same member again merges, another replaces. */
function typeMember<K extends ValueType['kind'], D extends ValueType>(kind: K, create: () => D, rule: MessageRule<D>): FieldRule<TypeHolder> {
  return {
    kind: 'message',
    enter: (holder) => {
      const draft = holder.type?.kind === kind ? (holder.type as D) : create();
      holder.type = draft;
      return entered(rule, draft, `${kind}_type`);
    },
  };
}

type ElementDraft = { kind: 'sequence' | 'optional'; element: ValueType | null };
type MapDraft = { kind: 'map'; keyType: number; value: ValueType | null };
const elementRule: MessageRule<ElementDraft> = {
  fields: { 1: { kind: 'message', enter: (draft) => entered(typeRule, { get type() { return draft.element; }, set type(type) { draft.element = type; } }, 'elem_type') } },
};
const mapRule: MessageRule<MapDraft> = {
  fields: {
    1: int((map, value) => (map.keyType = int32(value))),
    2: { kind: 'message', enter: (draft) => entered(typeRule, { get type() { return draft.value; }, set type(type) { draft.value = type; } }, 'value_type') },
  },
};

const typeRule: MessageRule<TypeHolder> = {
  fields: {
    1: typeMember('tensor', (): TensorTypeDraft => ({ kind: 'tensor', elemType: 0, shape: null }), tensorTypeRule),
    4: typeMember('sequence', (): ElementDraft => ({ kind: 'sequence', element: null }), elementRule),
    5: typeMember('map', (): MapDraft => ({ kind: 'map', keyType: 0, value: null }), mapRule),
    7: typeMember('opaque', () => ({ kind: 'opaque' as const }), { fields: {} }),
    8: typeMember('sparse_tensor', (): TensorTypeDraft => ({ kind: 'sparse_tensor', elemType: 0, shape: null }), tensorTypeRule),
    9: typeMember('optional', (): ElementDraft => ({ kind: 'optional', element: null }), elementRule),
  },
};

const valueInfoRule: MessageRule<Draft<ValueInfo>> = {
  each: (info, field) => void (field.number === 1 || extend(info.rest, field)),
  fields: { 1: text((info, value) => (info.name = value)), 2: { kind: 'message', enter: (info) => entered(typeRule, info, 'type') } },
};

function valueInfos<B>(label: string, list: (record: B) => ValueInfo[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const info: Draft<ValueInfo> = { field, name: '', type: null, rest: [] };
      return entered(valueInfoRule, info, `${label}[${list(record).push(info) - 1}]`);
    },
  };
}

type AttributeDraft = Draft<Attribute> & { t: Tensor | null; g: Draft<Graph> | null };

function bounded<T>(list: T[], value: T): void {
  if (list.length < LONGEST_ATTRIBUTE_LIST) list.push(value);
}

const attributeRule: MessageRule<AttributeDraft> = {
  fields: {
    1: text((attribute, value) => (attribute.name = value)),
    2: float((attribute, value) => (attribute.f = value)),
    3: int((attribute, value) => (attribute.i = value)),
    4: { kind: 'value', set: (attribute, value) => (attribute.s = value) },
    5: tensorField('t', (attribute) => attribute.t, (attribute, tensor) => attribute.tensors.unshift((attribute.t = tensor))),
    6: {
      kind: 'message',
      enter: (attribute, field) => {
        if (attribute.g !== null) attribute.g.parts.push(field);
        else attribute.graphs.unshift((attribute.g = newGraph(field)));
        return entered(graphRule, attribute.g, 'g');
      },
    },
    7: float((attribute, value) => bounded(attribute.floats, value)),
    8: int((attribute, value) => bounded(attribute.ints, value)),
    9: { kind: 'value', set: (attribute, value) => bounded(attribute.strings, value) },
    10: tensorList('tensors', (attribute) => attribute.tensors),
    11: {
      kind: 'message',
      enter: (attribute, field) => {
        const graph = newGraph(field);
        return entered(graphRule, graph, `graphs[${attribute.graphs.push(graph) - 1}]`);
      },
    },
    20: int((attribute, value) => (attribute.type = int32(value))),
    21: text((attribute, value) => (attribute.refAttrName = value)),
    22: sparseTensors('sparse_tensor', (attribute) => attribute.sparseTensors),
    23: sparseTensors('sparse_tensors', (attribute) => attribute.sparseTensors),
  },
};

const nodeRule: MessageRule<Draft<Node>> = {
  fields: {
    1: text((node, value) => node.inputs.push(value)),
    2: text((node, value) => node.outputs.push(value)),
    3: text((node, value) => (node.name = value)),
    4: text((node, value) => (node.opType = value)),
    5: {
      kind: 'message',
      enter: (node, field) => {
        const attribute: AttributeDraft = {
          name: '', type: 0, refAttrName: '', field, i: null, f: null, s: null, ints: [], floats: [], strings: [], tensors: [], sparseTensors: [], graphs: [], t: null, g: null,
        };
        return entered(attributeRule, attribute, `attribute[${node.attributes.push(attribute) - 1}]`);
      },
    },
    7: text((node, value) => (node.domain = value === 'ai.onnx' ? '' : value)),
    8: text((node, value) => (node.overload = value)),
    9: kept((node, { payload: start, end }) => node.metadata.push({ start, end })),
  },
};

function nodes<B>(list: (record: B) => Node[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const index = list(record).length;
      const node: Draft<Node> = { index, field, name: '', opType: '', domain: '', overload: '', inputs: [], outputs: [], attributes: [], metadata: [] };
      list(record).push(node);
      return entered(nodeRule, node, `node[${index}]`);
    },
  };
}

const annotationRule: MessageRule<Draft<QuantizationAnnotation>> = {
  fields: { 1: text((annotation, value) => (annotation.tensorName = value)), 2: entries((annotation) => annotation.parameters) },
};

function newGraph(field: Field): Draft<Graph> {
  return { name: '', nodes: [], initializers: [], sparseInitializers: [], inputs: [], outputs: [], valueInfo: [], quantizationAnnotations: [], parts: [field] };
}

const graphRule: MessageRule<Draft<Graph>> = {
  fields: {
    1: nodes((graph) => graph.nodes),
    2: text((graph, value) => (graph.name = value)),
    5: tensorList('initializer', (graph) => graph.initializers),
    11: valueInfos('input', (graph) => graph.inputs),
    12: valueInfos('output', (graph) => graph.outputs),
    13: valueInfos('value_info', (graph) => graph.valueInfo),
    14: {
      kind: 'message',
      enter: (graph, field) => {
        const annotation: Draft<QuantizationAnnotation> = { field, tensorName: '', parameters: [] };
        return entered(annotationRule, annotation, `quantization_annotation[${graph.quantizationAnnotations.push(annotation) - 1}]`);
      },
    },
    15: sparseTensors('sparse_initializer', (graph) => graph.sparseInitializers),
  },
};

const functionRule: MessageRule<Draft<FunctionDef>> = {
  fields: {
    1: text((definition, value) => (definition.name = value)),
    4: text((definition, value) => definition.inputs.push(value)),
    5: text((definition, value) => definition.outputs.push(value)),
    7: nodes((definition) => definition.nodes),
    10: text((definition, value) => (definition.domain = value === 'ai.onnx' ? '' : value)),
    12: valueInfos('value_info', (definition) => definition.valueInfo),
    13: text((definition, value) => (definition.overload = value)),
  },
};

const opsetRule: MessageRule<Draft<OpsetImport>> = {
  fields: { 1: text((opset, value) => (opset.domain = value === 'ai.onnx' ? '' : value)), 2: int((opset, value) => (opset.version = Number(value))) },
};

const metadataRule: MessageRule<Draft<MetadataEntry>> = {
  fields: { 1: text((entry, value) => (entry.key = value)), 2: skipped((entry, { payload: start, end }) => (entry.value = { start, end })) },
};

const trainingInfoRule: MessageRule<Draft<TrainingInfo>> = {
  fields: { 1: bodyOf('initialization'), 2: bodyOf('algorithm') },
};

function bodyOf(label: string): FieldRule<Draft<TrainingInfo>> {
  return {
    kind: 'message',
    enter: (info, field) => {
      const graph = newGraph(field);
      info.graphs.push(graph);
      return entered(graphRule, graph, label);
    },
  };
}

const mainGraphRule: (fields: Field[]) => MessageRule<Draft<Graph>> = (fields) => ({ ...graphRule, each: (_graph, field) => void fields.push(field) });

const modelRule: MessageRule<ModelDraft> = {
  each: (model, field) => void model.modelFields.push(field),
  fields: {
    1: int((model, value) => (model.irVersion = Number(value))),
    2: text((model, value) => (model.producerName = value)),
    3: text((model, value) => (model.producerVersion = value)),
    7: {
      kind: 'message',
      enter: (model, field) => {
        if (model.graph !== null) model.graph.parts.push(field);
        else model.graph = newGraph(field);
        return entered(mainGraphRule(model.graphFields), model.graph, 'graph');
      },
    },
    8: {
      kind: 'message',
      enter: (model, field) => {
        const opset: Draft<OpsetImport> = { field, domain: '', version: 0 };
        return entered(opsetRule, opset, `opset_import[${model.opsetImports.push(opset) - 1}]`);
      },
    },
    14: {
      kind: 'message',
      enter: (model, field) => {
        const entry: Draft<MetadataEntry> = { field, key: '', value: { start: field.end, end: field.end } };
        return entered(metadataRule, entry, `metadata_props[${model.metadata.push(entry) - 1}]`);
      },
    },
    20: {
      kind: 'message',
      enter: (model, field) => {
        const info: Draft<TrainingInfo> = { field, graphs: [] };
        return entered(trainingInfoRule, info, `training_info[${model.trainingInfo.push(info) - 1}]`);
      },
    },
    25: {
      kind: 'message',
      enter: (model, field) => {
        const definition: Draft<FunctionDef> = { field, name: '', domain: '', overload: '', inputs: [], outputs: [], nodes: [], valueInfo: [] };
        return entered(functionRule, definition, `functions[${model.functions.push(definition) - 1}]`);
      },
    },
  },
};
