import { ModelFormatError } from '../errors.js';
import { WireType, type ByteRange, type Field } from '../wire/fields.js';
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
const int32 = (value: number | bigint): number => (typeof value === 'number' ? value | 0 : Number(BigInt.asIntN(32, value)));

/** Most lists of a graph stay empty or short: the empty ones are this one, and the short ones take no more room than they need. */
const NONE: never[] = [];
Object.freeze(NONE);

/** The list with one more entry; only a longer list is extended in place, since `push` makes room for 16 more. */
function add<T>(list: T[], value: T): T[] {
  if (list.length === 0) return [value];
  if (list.length === 1) return [list[0], value];
  if (list.length === 2) return [list[0], list[1], value];
  if (list.length === 3) return [list[0], list[1], list[2], value];
  list.push(value);
  return list;
}

const entryRule: MessageRule<Draft<StringEntry>> = {
  fields: { 1: text((entry, value) => (entry.key = value)), 2: text((entry, value) => (entry.value = value)) },
};

type TensorDraft = Omit<Draft<Tensor>, 'enclosing' | 'external'> & { enclosing: readonly Field[]; external: StringEntry[] | null; externalEntries: StringEntry[] };

function newTensor(field: Field, enclosing: readonly Field[], place: string): TensorDraft {
  return { name: '', dims: NONE, dataType: 0, payloads: NONE, header: NONE, parts: [field], enclosing, place, external: null, externalEntries: NONE };
}

/** A list of numbers: packed runs, and runs of single values. */
const numbers = (scalar: WireType): FieldRule<TensorDraft> => ({
  kind: 'range',
  kept: false,
  scalar,
  set: (tensor, { number, wireType, start, payload, end }) => {
    if (wireType === WireType.bytes) tensor.payloads = add(tensor.payloads, { fieldNumber: number, contiguous: true, start: payload, end });
    else addSingle(tensor, number, start, end);
  },
});

/** One more value with a tag of its own; neighbours make one run. */
function addSingle(tensor: TensorDraft, fieldNumber: number, start: number, end: number): void {
  const { payloads } = tensor;
  const last = payloads.at(-1);
  if (last !== undefined && !last.contiguous && last.fieldNumber === fieldNumber && last.end === start) payloads[payloads.length - 1] = { ...last, end };
  else tensor.payloads = add(payloads, { fieldNumber, contiguous: false, start, end });
}

/** Fields of a TensorProto that hold values or say where they are. */
const VALUE_FIELDS = new Set([4, 5, 6, 7, 9, 10, 11, 13, 14]);

/** The ranges with one more, joined to the last where they touch. */
function extended(ranges: ByteRange[], { start, end }: ByteRange): ByteRange[] {
  const last = ranges.at(-1);
  if (last === undefined || last.end !== start) return add(ranges, { start, end });
  ranges[ranges.length - 1] = { start: last.start, end };
  return ranges;
}

const tensorRule: MessageRule<TensorDraft> = {
  each: (tensor, field) => void (VALUE_FIELDS.has(field.number) || (tensor.header = extended(tensor.header, field))),
  fields: {
    1: int((tensor, value, field) => {
      if (typeof value === 'bigint') {
        throw new ModelFormatError(`a dimension of ${tensor.place} is ${value}, outside what any tensor can have (byte ${field.start})`, { code: 'FEATX_GRAPH_DIMS', offset: field.start, field: tensor.place });
      }
      tensor.dims = add(tensor.dims, value);
    }),
    2: int((tensor, value) => (tensor.dataType = int32(value))),
    4: numbers(WireType.fixed32),
    5: numbers(WireType.varint),
    6: skipped((tensor, { number, start, end }) => addSingle(tensor, number, start, end)),
    7: numbers(WireType.varint),
    8: text((tensor, value) => (tensor.name = value)),
    // A singular field: the last one counts.
    9: skipped((tensor, { number, payload, end }) => {
      tensor.payloads = add(tensor.payloads.filter(({ fieldNumber }) => fieldNumber !== number), { fieldNumber: number, contiguous: true, start: payload, end });
    }),
    10: numbers(WireType.fixed64),
    11: numbers(WireType.varint),
    13: {
      kind: 'message',
      enter: (tensor, field) => {
        const entry: Draft<StringEntry> = { field, key: '', value: '' };
        tensor.externalEntries = add(tensor.externalEntries, entry);
        if (tensor.external !== null) tensor.external = tensor.externalEntries;
        return entered(entryRule, entry, 'external_data', tensor.externalEntries.length - 1);
      },
    },
    14: int((tensor, value) => (tensor.external = value === 1 ? tensor.externalEntries : null)),
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

function tensorList<B>(label: string, list: (record: B) => Tensor[], set: (record: B, list: Tensor[]) => void): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field, context) => {
      const index = list(record).length;
      const tensor = newTensor(field, context.enclosing(), `${context.path()}.${label}[${index}]`);
      set(record, add(list(record), tensor));
      return entered(tensorRule, tensor, label, index);
    },
  };
}

const sparseTensorRule: MessageRule<Draft<SparseTensor>> = {
  fields: {
    1: tensorField('values', (sparse) => sparse.values, (sparse, tensor) => (sparse.values = tensor)),
    2: tensorField('indices', (sparse) => sparse.indices, (sparse, tensor) => (sparse.indices = tensor)),
    3: int((sparse, value) => (sparse.dims = add(sparse.dims, Number(value)))),
  },
};

function sparseTensors<B>(label: string, list: (record: B) => SparseTensor[], set: (record: B, list: SparseTensor[]) => void): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const sparse: Draft<SparseTensor> = { field, dims: NONE, values: null, indices: null };
      set(record, add(list(record), sparse));
      return entered(sparseTensorRule, sparse, label, list(record).length - 1);
    },
  };
}

type TypeHolder = { type: ValueType | null };
type TensorTypeDraft = { kind: 'tensor' | 'sparse_tensor'; elemType: number; shape: Dim[] | null };
type ShapeHolder = { shape: Dim[] };
type DimHolder = { readonly holder: ShapeHolder; readonly index: number };

const dimRule: MessageRule<DimHolder> = {
  fields: {
    1: int(({ holder, index }, value) => (holder.shape[index] = typeof value === 'number' && value >= 0 ? value : null)),
    2: text(({ holder, index }, value) => (holder.shape[index] = value === '' ? null : value)),
  },
};

const shapeRule: MessageRule<ShapeHolder> = {
  fields: {
    1: {
      kind: 'message',
      enter: (holder) => {
        holder.shape = add(holder.shape, null);
        return entered(dimRule, { holder, index: holder.shape.length - 1 }, 'dim', holder.shape.length - 1);
      },
    },
  },
};

const tensorTypeRule: MessageRule<TensorTypeDraft> = {
  fields: {
    1: int((type, value) => (type.elemType = int32(value))),
    2: {
      kind: 'message',
      enter: (type) => {
        type.shape ??= NONE;
        return entered(shapeRule, type as ShapeHolder, 'shape');
      },
    },
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
  each: (info, field) => void (field.number === 1 || (info.rest = extended(info.rest, field))),
  fields: { 1: text((info, value) => (info.name = value)), 2: { kind: 'message', enter: (info) => entered(typeRule, info, 'type') } },
};

function valueInfos<B>(label: string, list: (record: B) => ValueInfo[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const info: Draft<ValueInfo> = { field, name: '', type: null, rest: NONE };
      return entered(valueInfoRule, info, label, list(record).push(info) - 1);
    },
  };
}

type AttributeDraft = Draft<Attribute> & { t: Tensor | null; g: Draft<Graph> | null };

/** The list with one more entry, unless it is too long to keep. */
function bounded<T>(list: T[], value: T): T[] {
  return list.length < LONGEST_ATTRIBUTE_LIST ? add(list, value) : list;
}

const attributeRule: MessageRule<AttributeDraft> = {
  fields: {
    1: text((attribute, value) => (attribute.name = value)),
    2: float((attribute, value) => (attribute.f = value)),
    3: int((attribute, value) => (attribute.i = value)),
    4: { kind: 'value', set: (attribute, value) => (attribute.s = value) },
    5: tensorField('t', (attribute) => attribute.t, (attribute, tensor) => (attribute.tensors = [(attribute.t = tensor), ...attribute.tensors])),
    6: {
      kind: 'message',
      enter: (attribute, field) => {
        if (attribute.g !== null) attribute.g.parts.push(field);
        else attribute.graphs = [(attribute.g = newGraph(field)), ...attribute.graphs];
        return entered(graphRule, attribute.g, 'g');
      },
    },
    7: float((attribute, value) => (attribute.floats = bounded(attribute.floats, value))),
    8: int((attribute, value) => (attribute.ints = bounded(attribute.ints, value))),
    9: { kind: 'value', set: (attribute, value) => (attribute.strings = bounded(attribute.strings, value)) },
    10: tensorList('tensors', (attribute) => attribute.tensors, (attribute, list) => (attribute.tensors = list)),
    11: {
      kind: 'message',
      enter: (attribute, field) => {
        const graph = newGraph(field);
        attribute.graphs = add(attribute.graphs, graph);
        return entered(graphRule, graph, 'graphs', attribute.graphs.length - 1);
      },
    },
    20: int((attribute, value) => (attribute.type = int32(value))),
    21: text((attribute, value) => (attribute.refAttrName = value)),
    22: sparseTensors('sparse_tensor', (attribute) => attribute.sparseTensors, (attribute, list) => (attribute.sparseTensors = list)),
    23: sparseTensors('sparse_tensors', (attribute) => attribute.sparseTensors, (attribute, list) => (attribute.sparseTensors = list)),
  },
};

const nodeRule: MessageRule<Draft<Node>> = {
  fields: {
    1: text((node, value) => (node.inputs = add(node.inputs, value))),
    2: text((node, value) => (node.outputs = add(node.outputs, value))),
    3: text((node, value) => (node.name = value)),
    4: text((node, value) => (node.opType = value)),
    5: {
      kind: 'message',
      enter: (node, field) => {
        const attribute: AttributeDraft = {
          name: '', type: 0, refAttrName: '', field, i: null, f: null, s: null, ints: NONE, floats: NONE, strings: NONE, tensors: NONE, sparseTensors: NONE, graphs: NONE, t: null, g: null,
        };
        node.attributes = add(node.attributes, attribute);
        return entered(attributeRule, attribute, 'attribute', node.attributes.length - 1);
      },
    },
    7: text((node, value) => (node.domain = value === 'ai.onnx' ? '' : value)),
    8: text((node, value) => (node.overload = value)),
    9: kept((node, { payload: start, end }) => (node.metadata = add(node.metadata, { start, end }))),
  },
};

function nodes<B>(list: (record: B) => Node[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const index = list(record).length;
      const node: Draft<Node> = { index, field, name: '', opType: '', domain: '', overload: '', inputs: NONE, outputs: NONE, attributes: NONE, metadata: NONE };
      list(record).push(node);
      return entered(nodeRule, node, 'node', index);
    },
  };
}

const annotationRule: MessageRule<Draft<QuantizationAnnotation>> = {
  fields: {
    1: text((annotation, value) => (annotation.tensorName = value)),
    2: {
      kind: 'message',
      enter: (annotation, field) => {
        const entry: Draft<StringEntry> = { field, key: '', value: '' };
        return entered(entryRule, entry, 'quant_parameter_tensor_names', annotation.parameters.push(entry) - 1);
      },
    },
  },
};

function newGraph(field: Field): Draft<Graph> {
  return { name: '', nodes: [], initializers: [], sparseInitializers: [], inputs: [], outputs: [], valueInfo: [], quantizationAnnotations: [], parts: [field] };
}

const graphRule: MessageRule<Draft<Graph>> = {
  fields: {
    1: nodes((graph) => graph.nodes),
    2: text((graph, value) => (graph.name = value)),
    5: tensorList('initializer', (graph) => graph.initializers, (graph, list) => (graph.initializers = list)),
    11: valueInfos('input', (graph) => graph.inputs),
    12: valueInfos('output', (graph) => graph.outputs),
    13: valueInfos('value_info', (graph) => graph.valueInfo),
    14: {
      kind: 'message',
      enter: (graph, field) => {
        const annotation: Draft<QuantizationAnnotation> = { field, tensorName: '', parameters: [] };
        return entered(annotationRule, annotation, 'quantization_annotation', graph.quantizationAnnotations.push(annotation) - 1);
      },
    },
    15: sparseTensors('sparse_initializer', (graph) => graph.sparseInitializers, (graph, list) => (graph.sparseInitializers = list)),
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
        return entered(opsetRule, opset, 'opset_import', model.opsetImports.push(opset) - 1);
      },
    },
    14: {
      kind: 'message',
      enter: (model, field) => {
        const entry: Draft<MetadataEntry> = { field, key: '', value: { start: field.end, end: field.end } };
        return entered(metadataRule, entry, 'metadata_props', model.metadata.push(entry) - 1);
      },
    },
    20: {
      kind: 'message',
      enter: (model, field) => {
        const info: Draft<TrainingInfo> = { field, graphs: [] };
        return entered(trainingInfoRule, info, 'training_info', model.trainingInfo.push(info) - 1);
      },
    },
    25: {
      kind: 'message',
      enter: (model, field) => {
        const definition: Draft<FunctionDef> = { field, name: '', domain: '', overload: '', inputs: [], outputs: [], nodes: [], valueInfo: [] };
        return entered(functionRule, definition, 'functions', model.functions.push(definition) - 1);
      },
    },
  },
};
