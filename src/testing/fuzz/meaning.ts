import type {
  Attribute,
  FunctionDef,
  Graph,
  Node,
  OnnxModel,
  SparseTensor,
  Tensor,
  ValueInfo,
  ValueType,
} from '../../onnx/records.js';
import { encodeText } from '../../wire/text.js';

/**
 * What a model says, as JSON that two readers can be compared by. Text is bytes as Latin-1, or what a lossy decoder
 * makes of it.
 */
export type Meaning = readonly unknown[];

/** A message as protobufjs hands it out: fields by name, absent ones null or undefined. */
export interface Decoded {
  readonly [field: string]: unknown;
}

/** How text is compared and what a decoder has never heard of. */
export interface Dialect {
  /** From bytes of our own schema, or the string of a decoder. */
  readonly decoded: (text: unknown) => string;
  readonly own: (text: string) => string;
  /** Overloads, defaults of functions, opaque types: what came after IR 8. */
  readonly isRecent: boolean;
}

export const EXACT: Dialect = {
  decoded: (text) =>
    text instanceof Uint8Array ? Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1') : '',
  own: (text) => Buffer.from(encodeText(text)).toString('latin1'),
  isRecent: true,
};

export const LOSSY: Dialect = {
  decoded: (text) =>
    typeof text === 'string' ? text : text instanceof Uint8Array ? Buffer.from(text).toString('utf8') : '',
  own: (text) => Buffer.from(encodeText(text)).toString('utf8'),
  isRecent: false,
};

const LONGEST_LIST = 1024;
const LONGEST_STRING = 64 * 1024;
const SHOWN_BYTES = 64;

function spelled(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function list(value: unknown): readonly Decoded[] {
  return Array.isArray(value) ? value : [];
}

function record(value: unknown): Decoded | null {
  return typeof value === 'object' && value !== null ? (value as Decoded) : null;
}

/** Digits of a number, or of the object that a decoder has for 64 bits. */
function integer(value: unknown): string {
  return value == null ? '0' : (value as { toString(): string }).toString();
}

function number(value: unknown): number {
  return Number(integer(value));
}

function shown(bytes: unknown): unknown {
  return bytes instanceof Uint8Array
    ? [bytes.length, Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('latin1')]
    : [0, ''];
}

// --- what a decoder read
// ------------------------------------------------------------------------------------------------------------

export function meaningOfDecoded(model: Decoded, dialect: Dialect): Meaning {
  const text = (value: unknown): string => dialect.decoded(value);
  const graphs = list(model['trainingInfo']).map((info) =>
    [record(info['initialization']), record(info['algorithm'])].flatMap((graph) =>
      graph === null ? [] : [decodedGraph(graph, dialect)],
    ),
  );
  return [
    number(model['irVersion']),
    text(model['producerName']),
    text(model['producerVersion']),
    list(model['opsetImport']).map(({ domain, version }) => [spelled(text(domain)), number(version)]),
    list(model['metadataProps']).map(({ key, value }) => [text(key), text(value)]),
    decodedGraph(record(model['graph']) ?? {}, dialect),
    list(model['functions']).map((definition) => decodedFunction(definition, dialect)),
    graphs,
  ];
}

function decodedFunction(definition: Decoded, dialect: Dialect): Meaning {
  const text = (value: unknown): string => dialect.decoded(value);
  const recent = dialect.isRecent
    ? [
        text(definition['overload']),
        list(definition['attributeProto']).map((attribute) => decodedAttribute(attribute, dialect)),
        list(definition['valueInfo']).map((value) => decodedValue(value, dialect)),
      ]
    : [];
  return [
    text(definition['name']),
    spelled(text(definition['domain'])),
    list(definition['input']).map(text),
    list(definition['output']).map(text),
    list(definition['node']).map((node) => decodedNode(node, dialect)),
    recent,
  ];
}

function decodedGraph(graph: Decoded, dialect: Dialect): Meaning {
  const text = (value: unknown): string => dialect.decoded(value);
  const values = (name: string): Meaning => list(graph[name]).map((value) => decodedValue(value, dialect));
  return [
    text(graph['name']),
    list(graph['node']).map((node) => decodedNode(node, dialect)),
    list(graph['initializer']).map((tensor) => decodedTensor(tensor, dialect)),
    list(graph['sparseInitializer']).map((sparse) => decodedSparse(sparse, dialect)),
    values('input'),
    values('output'),
    values('valueInfo'),
    list(graph['quantizationAnnotation']).map(({ tensorName, quantParameterTensorNames }) => [
      text(tensorName),
      list(quantParameterTensorNames).map(({ key, value }) => [text(key), text(value)]),
    ]),
  ];
}

function decodedNode(node: Decoded, dialect: Dialect): Meaning {
  const text = (value: unknown): string => dialect.decoded(value);
  return [
    text(node['name']),
    text(node['opType']),
    spelled(text(node['domain'])),
    dialect.isRecent ? text(node['overload']) : '',
    list(node['input']).map(text),
    list(node['output']).map(text),
    list(node['attribute']).map((attribute) => decodedAttribute(attribute, dialect)),
  ];
}

function decodedAttribute(attribute: Decoded, dialect: Dialect): Meaning {
  const value = (bytes: unknown): string =>
    bytes instanceof Uint8Array && bytes.length > LONGEST_STRING ? '' : dialect.decoded(bytes);
  const several = (one: unknown, many: unknown): readonly Decoded[] => [
    ...(record(one) === null ? [] : list([one])),
    ...list(many),
  ];
  return [
    dialect.decoded(attribute['name']),
    number(attribute['type']),
    dialect.decoded(attribute['refAttrName']),
    integer(attribute['i']),
    String(number(attribute['f'])),
    value(attribute['s']),
    list(attribute['ints']).slice(0, LONGEST_LIST).map(integer),
    list(attribute['floats']).slice(0, LONGEST_LIST).map(String),
    list(attribute['strings'])
      .filter((text) => !(text instanceof Uint8Array && text.length > LONGEST_STRING))
      .slice(0, LONGEST_LIST)
      .map(value),
    several(attribute['t'], attribute['tensors']).map((tensor) => decodedTensor(tensor, dialect)),
    several(attribute['sparseTensor'], attribute['sparseTensors']).map((sparse) => decodedSparse(sparse, dialect)),
    several(attribute['g'], attribute['graphs']).map((graph) => decodedGraph(graph, dialect)),
  ];
}

function decodedTensor(tensor: Decoded, dialect: Dialect): Meaning {
  const external =
    number(tensor['dataLocation']) === 1
      ? list(tensor['externalData']).map(({ key, value }) => [dialect.decoded(key), dialect.decoded(value)])
      : null;
  return [
    dialect.decoded(tensor['name']),
    list(tensor['dims']).map(integer),
    number(tensor['dataType']),
    external,
    shown(tensor['rawData']),
  ];
}

function decodedSparse(sparse: Decoded, dialect: Dialect): Meaning {
  const part = (tensor: unknown): Meaning | null =>
    record(tensor) === null ? null : decodedTensor(record(tensor) ?? {}, dialect);
  return [list(sparse['dims']).map(integer), part(sparse['values']), part(sparse['indices'])];
}

function decodedValue(value: Decoded, dialect: Dialect): Meaning {
  return [dialect.decoded(value['name']), decodedType(record(value['type']), dialect)];
}

function decodedType(type: Decoded | null, dialect: Dialect): Meaning | null {
  if (type === null) return null;
  const tensor = (kind: string, { elemType, shape }: Decoded): Meaning => [
    kind,
    number(elemType),
    record(shape) === null ? null : list(record(shape)?.['dim']).map((dim) => decodedDim(dim, dialect)),
  ];
  const members: readonly (readonly [string, (member: Decoded) => Meaning])[] = [
    ['tensorType', (member) => tensor('tensor', member)],
    ['sparseTensorType', (member) => tensor('sparse_tensor', member)],
    ['sequenceType', ({ elemType }) => ['sequence', decodedType(record(elemType), dialect)]],
    ['optionalType', ({ elemType }) => ['optional', decodedType(record(elemType), dialect)]],
    ['mapType', ({ keyType, valueType }) => ['map', number(keyType), decodedType(record(valueType), dialect)]],
    ['opaqueType', () => ['opaque']],
  ];
  for (const [name, meaning] of members) {
    const member = record(type[name]);
    if (member !== null) return meaning(member);
  }
  return null;
}

function decodedDim(dim: Decoded, dialect: Dialect): string | null {
  const parameter = dialect.decoded(dim['dimParam']);
  if (parameter !== '') return parameter;
  const { dimValue } = dim;
  // What is absent has its default on the prototype.
  const size = Object.hasOwn(dim, 'dimValue') && dimValue != null ? integer(dimValue) : null;
  return size === null || size.startsWith('-') || !Number.isSafeInteger(Number(size)) ? null : size;
}

// --- what featx read
// ------------------------------------------------------------------------------------------------------------------

export function meaningOfModel(model: OnnxModel, bytes: Uint8Array, dialect: Dialect): Meaning {
  const text = (value: string): string => dialect.own(value);
  return [
    model.irVersion,
    text(model.producerName),
    text(model.producerVersion),
    model.opsetImports.map(({ domain, version }) => [text(domain), version]),
    model.metadata.map(({ key, value: { start, end } }) => [text(key), dialect.decoded(bytes.subarray(start, end))]),
    ownGraph(model.graph, bytes, dialect),
    model.functions.map((definition) => ownFunction(definition, bytes, dialect)),
    model.trainingInfo.map(({ graphs }) => graphs.map((graph) => ownGraph(graph, bytes, dialect))),
  ];
}

function ownFunction(
  { name, domain, inputs, outputs, nodes, overload, defaults, valueInfo }: FunctionDef,
  bytes: Uint8Array,
  dialect: Dialect,
): Meaning {
  const recent = dialect.isRecent
    ? [
        dialect.own(overload),
        defaults.map((attribute) => ownAttribute(attribute, bytes, dialect)),
        valueInfo.map((value) => ownValue(value, dialect)),
      ]
    : [];
  return [
    dialect.own(name),
    dialect.own(domain),
    inputs.map(dialect.own),
    outputs.map(dialect.own),
    nodes.map((node) => ownNode(node, bytes, dialect)),
    recent,
  ];
}

function ownGraph(graph: Graph, bytes: Uint8Array, dialect: Dialect): Meaning {
  const values = (infos: readonly ValueInfo[]): Meaning => infos.map((info) => ownValue(info, dialect));
  return [
    dialect.own(graph.name),
    graph.nodes.map((node) => ownNode(node, bytes, dialect)),
    graph.initializers.map((tensor) => ownTensor(tensor, bytes, dialect)),
    graph.sparseInitializers.map((sparse) => ownSparse(sparse, bytes, dialect)),
    values(graph.inputs),
    values(graph.outputs),
    values(graph.valueInfo),
    graph.quantizationAnnotations.map(({ tensorName, parameters }) => [
      dialect.own(tensorName),
      parameters.map(({ key, value }) => [dialect.own(key), dialect.own(value)]),
    ]),
  ];
}

function ownNode(node: Node, bytes: Uint8Array, dialect: Dialect): Meaning {
  const { own } = dialect;
  return [
    own(node.name),
    own(node.opType),
    own(node.domain),
    dialect.isRecent ? own(node.overload) : '',
    node.inputs.map(own),
    node.outputs.map(own),
    node.attributes.map((attribute) => ownAttribute(attribute, bytes, dialect)),
  ];
}

function ownAttribute(attribute: Attribute, bytes: Uint8Array, dialect: Dialect): Meaning {
  const { own } = dialect;
  return [
    own(attribute.name),
    attribute.type,
    own(attribute.refAttrName),
    String(attribute.i ?? 0),
    String(attribute.f ?? 0),
    own(attribute.s ?? ''),
    attribute.ints.map(String),
    attribute.floats.map(String),
    attribute.strings.map(own),
    attribute.tensors.map((tensor) => ownTensor(tensor, bytes, dialect)),
    attribute.sparseTensors.map((sparse) => ownSparse(sparse, bytes, dialect)),
    attribute.graphs.map((graph) => ownGraph(graph, bytes, dialect)),
  ];
}

function ownTensor(tensor: Tensor, bytes: Uint8Array, dialect: Dialect): Meaning {
  const raw = tensor.payloads.find(({ fieldNumber }) => fieldNumber === 9);
  const external = tensor.external?.map(({ key, value }) => [dialect.own(key), dialect.own(value)]) ?? null;
  return [
    dialect.own(tensor.name),
    tensor.dims.map(String),
    tensor.dataType,
    external,
    shown(raw === undefined ? null : bytes.subarray(raw.start, raw.end)),
  ];
}

function ownSparse({ dims, values, indices }: SparseTensor, bytes: Uint8Array, dialect: Dialect): Meaning {
  return [dims.map(String), values && ownTensor(values, bytes, dialect), indices && ownTensor(indices, bytes, dialect)];
}

function ownValue({ name, type }: ValueInfo, dialect: Dialect): Meaning {
  return [dialect.own(name), type === null ? null : ownType(type, dialect)];
}

function ownType(type: ValueType, dialect: Dialect): Meaning | null {
  if ('elemType' in type)
    return [
      type.kind,
      type.elemType,
      type.shape?.map((dim) => (typeof dim === 'string' ? dialect.own(dim) : dim === null ? null : String(dim))) ??
        null,
    ];
  if (type.kind === 'map') return ['map', type.keyType, type.value && ownType(type.value, dialect)];
  if (type.kind === 'opaque') return dialect.isRecent ? ['opaque'] : null;
  return [type.kind, type.element && ownType(type.element, dialect)];
}
