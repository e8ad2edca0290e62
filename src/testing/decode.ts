import { createHash } from 'node:crypto';
import { onnx } from './onnx-proto.js';
import type { Attribute, Graph, Node, OnnxModel, SparseTensor, Tensor, ValueInfo, ValueType } from '../onnx/records.js';
import { encodeText } from '../wire/text.js';

/**
 * The second, independent decoder, and what a model means in words that both can say. `onnx-proto` is frozen at IR 8
 * and takes the last of two `graph` messages where protobuf merges them, so those are joined first.
 */
export function decodeModel(bytes: Uint8Array): onnx.ModelProto {
  return onnx.ModelProto.decode(Buffer.from(joinGraphs(bytes)));
}

interface TopField {
  readonly number: number;
  readonly start: number;
  readonly payload: number;
  readonly end: number;
}

function joinGraphs(file: Uint8Array): Uint8Array {
  const fields = topFields(file);
  const graphs = fields.filter(({ number }) => number === 7);
  if (graphs.length < 2) return file;
  const content = Buffer.concat(graphs.map(({ payload, end }) => file.subarray(payload, end)));
  const length: number[] = [];
  let rest = content.length;
  for (; rest > 127; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  const others = fields.filter(({ number }) => number !== 7).map(({ start, end }) => file.subarray(start, end));
  return Buffer.concat([...others, Uint8Array.of(0x3a, ...length, rest), content]);
}

/** Length-delimited and varint fields of a message; throws RangeError where it is cut off or holds anything else. */
function topFields(file: Uint8Array): TopField[] {
  let at = 0;
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      if (at >= file.length) throw new RangeError('cut off');
      const byte = file[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const fields: TopField[] = [];
  while (at < file.length) {
    const start = at;
    const tag = varint();
    const length = varint();
    const isBytes = tag % 8 === 2;
    const payload = at;
    if (isBytes) at += length;
    else if (tag % 8 !== 0) return [];
    if (at > file.length) throw new RangeError('cut off');
    fields.push({ number: Math.floor(tag / 8), start, payload, end: at });
  }
  return fields;
}

/** Anything that is plain data, for `toEqual`. */
export type Meaning = unknown;

type Integer = { toString(): string } | number;

const LONGEST_LIST = 1024;
const LONGEST_STRING = 64 * 1024;

function sha1(bytes: Uint8Array | null | undefined): string {
  return bytes == null || bytes.length === 0 ? 'empty' : createHash('sha1').update(bytes).digest('hex');
}

function spelled(domain: string | null | undefined): string {
  return domain === 'ai.onnx' ? '' : (domain ?? '');
}

// --- what onnx-proto read
// -------------------------------------------------------------------------------------------------------------

export function meaningOfProto(model: onnx.IModelProto): Meaning {
  return {
    irVersion: String(model.irVersion ?? 0),
    producer: [model.producerName ?? '', model.producerVersion ?? ''],
    opsets: (model.opsetImport ?? []).map(({ domain, version }) => [spelled(domain), String(version ?? 0)]),
    metadata: (model.metadataProps ?? []).map(({ key }) => key ?? ''),
    graph: graphOfProto(model.graph ?? {}),
    functions: (model.functions ?? []).map((definition) => ({
      name: definition.name ?? '',
      domain: spelled(definition.domain),
      inputs: definition.input ?? [],
      outputs: definition.output ?? [],
      nodes: (definition.node ?? []).map(nodeOfProto),
    })),
    training: (model.trainingInfo ?? []).flatMap(({ initialization, algorithm }) =>
      [initialization, algorithm].flatMap((graph) => (graph ? [graphOfProto(graph)] : [])),
    ),
  };
}

function graphOfProto(graph: onnx.IGraphProto): Meaning {
  return {
    name: graph.name ?? '',
    nodes: (graph.node ?? []).map(nodeOfProto),
    initializers: (graph.initializer ?? []).map(tensorOfProto),
    sparse: (graph.sparseInitializer ?? []).map(sparseOfProto),
    inputs: (graph.input ?? []).map(valueOfProto),
    outputs: (graph.output ?? []).map(valueOfProto),
    valueInfo: (graph.valueInfo ?? []).map(valueOfProto),
    annotations: (graph.quantizationAnnotation ?? []).map(({ tensorName, quantParameterTensorNames }) => [
      tensorName ?? '',
      (quantParameterTensorNames ?? []).map(({ key, value }) => [key ?? '', value ?? '']),
    ]),
  };
}

function nodeOfProto(node: onnx.INodeProto): Meaning {
  return {
    name: node.name ?? '',
    op: node.opType ?? '',
    domain: spelled(node.domain),
    inputs: node.input ?? [],
    outputs: node.output ?? [],
    attributes: (node.attribute ?? []).map(attributeOfProto),
  };
}

function attributeOfProto(attribute: onnx.IAttributeProto): Meaning {
  const text = (bytes: Uint8Array): string => (bytes.length > LONGEST_STRING ? sha1(null) : sha1(bytes));
  const integers = (list: readonly Integer[] | null | undefined): string[] =>
    (list ?? []).slice(0, LONGEST_LIST).map(String);
  const { t, g, sparseTensor } = attribute;
  return {
    name: attribute.name ?? '',
    type: attribute.type ?? 0,
    ref: attribute.refAttrName ?? '',
    i: String(attribute.i ?? 0),
    f: attribute.f ?? 0,
    s: text(attribute.s ?? new Uint8Array(0)),
    ints: integers(attribute.ints),
    floats: (attribute.floats ?? []).slice(0, LONGEST_LIST),
    strings: (attribute.strings ?? []).slice(0, LONGEST_LIST).map(text),
    tensors: [...(t ? [t] : []), ...(attribute.tensors ?? [])].map(tensorOfProto),
    sparse: [...(sparseTensor ? [sparseTensor] : []), ...(attribute.sparseTensors ?? [])].map(sparseOfProto),
    graphs: [...(g ? [g] : []), ...(attribute.graphs ?? [])].map(graphOfProto),
  };
}

function tensorOfProto(tensor: onnx.ITensorProto): Meaning {
  const lists: readonly (readonly [number, readonly unknown[] | null | undefined])[] = [
    [4, tensor.floatData],
    [5, tensor.int32Data],
    [6, tensor.stringData],
    [7, tensor.int64Data],
    [10, tensor.doubleData],
    [11, tensor.uint64Data],
  ];
  return {
    name: tensor.name ?? '',
    dims: (tensor.dims ?? []).map(String),
    dataType: tensor.dataType ?? 0,
    external:
      tensor.dataLocation === 1 ? (tensor.externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']) : null,
    raw: sha1(tensor.rawData),
    counts: lists.filter(([, list]) => (list ?? []).length > 0).map(([number, list]) => [number, (list ?? []).length]),
  };
}

function sparseOfProto(sparse: onnx.ISparseTensorProto): Meaning {
  return {
    dims: (sparse.dims ?? []).map(String),
    values: sparse.values ? tensorOfProto(sparse.values) : null,
    indices: sparse.indices ? tensorOfProto(sparse.indices) : null,
  };
}

function valueOfProto(value: onnx.IValueInfoProto): Meaning {
  return { name: value.name ?? '', type: value.type ? typeOfProto(value.type) : null };
}

function typeOfProto(type: onnx.ITypeProto): Meaning {
  const shaped = (kind: string, { elemType, shape }: onnx.TypeProto.ITensor): Meaning => ({
    kind,
    elemType: elemType ?? 0,
    shape: shape
      ? (shape.dim ?? []).map(
          ({ dimValue, dimParam }) =>
            dimParam || (dimValue != null && Number(dimValue) >= 0 && dimParam !== '' ? String(dimValue) : null),
        )
      : null,
  });
  const inner = (element: onnx.ITypeProto | null | undefined): Meaning => (element ? typeOfProto(element) : null);
  if (type.tensorType) return shaped('tensor', type.tensorType);
  if (type.sparseTensorType) return shaped('sparse_tensor', type.sparseTensorType);
  if (type.sequenceType) return { kind: 'sequence', element: inner(type.sequenceType.elemType) };
  if (type.optionalType) return { kind: 'optional', element: inner(type.optionalType.elemType) };
  if (type.mapType) return { kind: 'map', keyType: type.mapType.keyType ?? 0, value: inner(type.mapType.valueType) };
  return null;
}

// --- what featx read
// ------------------------------------------------------------------------------------------------------------------

/** A name as a lossy decoder sees it. */
function lossy(name: string): string {
  return /[^\0-\x7f]/.test(name) ? Buffer.from(encodeText(name)).toString('utf8') : name;
}

export async function meaningOfModel(model: OnnxModel): Promise<Meaning> {
  return {
    irVersion: String(model.irVersion),
    producer: [lossy(model.producerName), lossy(model.producerVersion)],
    opsets: model.opsetImports.map(({ domain, version }) => [lossy(domain), String(version)]),
    metadata: model.metadata.map(({ key }) => lossy(key)),
    graph: await graphOf(model, model.graph),
    functions: await all(model.functions, async ({ name, domain, inputs, outputs, nodes }) => ({
      name: lossy(name),
      domain: lossy(domain),
      inputs: inputs.map(lossy),
      outputs: outputs.map(lossy),
      nodes: await all(nodes, (node) => nodeOf(model, node)),
    })),
    training: await all(
      model.trainingInfo.flatMap(({ graphs }) => graphs),
      (graph) => graphOf(model, graph),
    ),
  };
}

function all<T>(items: readonly T[], meaning: (item: T) => Promise<Meaning>): Promise<Meaning[]> {
  return Promise.all(items.map(meaning));
}

async function graphOf(model: OnnxModel, graph: Graph): Promise<Meaning> {
  return {
    name: lossy(graph.name),
    nodes: await all(graph.nodes, (node) => nodeOf(model, node)),
    initializers: await all(graph.initializers, (tensor) => tensorOf(model, tensor)),
    sparse: await all(graph.sparseInitializers, (sparse) => sparseOf(model, sparse)),
    inputs: graph.inputs.map(valueOf),
    outputs: graph.outputs.map(valueOf),
    valueInfo: graph.valueInfo.map(valueOf),
    annotations: graph.quantizationAnnotations.map(({ tensorName, parameters }) => [
      lossy(tensorName),
      parameters.map(({ key, value }) => [lossy(key), lossy(value)]),
    ]),
  };
}

async function nodeOf(model: OnnxModel, node: Node): Promise<Meaning> {
  return {
    name: lossy(node.name),
    op: lossy(node.opType),
    domain: lossy(node.domain),
    inputs: node.inputs.map(lossy),
    outputs: node.outputs.map(lossy),
    attributes: await all(node.attributes, (attribute) => attributeOf(model, attribute)),
  };
}

async function attributeOf(model: OnnxModel, attribute: Attribute): Promise<Meaning> {
  return {
    name: lossy(attribute.name),
    type: attribute.type,
    ref: lossy(attribute.refAttrName),
    i: String(attribute.i ?? 0),
    f: attribute.f ?? 0,
    s: sha1(encodeText(attribute.s ?? '')),
    ints: attribute.ints.map(String),
    floats: attribute.floats,
    strings: attribute.strings.map((text) => sha1(encodeText(text))),
    tensors: await all(attribute.tensors, (tensor) => tensorOf(model, tensor)),
    sparse: await all(attribute.sparseTensors, (sparse) => sparseOf(model, sparse)),
    graphs: await all(attribute.graphs, (graph) => graphOf(model, graph)),
  };
}

async function tensorOf(model: OnnxModel, tensor: Tensor): Promise<Meaning> {
  const counts = new Map<number, number>();
  let raw = sha1(null);
  for (const payload of tensor.payloads) {
    const bytes = await model.read(payload);
    if (payload.fieldNumber === 9) raw = sha1(bytes);
    else
      counts.set(
        payload.fieldNumber,
        (counts.get(payload.fieldNumber) ?? 0) + countValues(bytes, payload.fieldNumber, payload.contiguous),
      );
  }
  return {
    name: lossy(tensor.name),
    dims: tensor.dims.map(String),
    dataType: tensor.dataType,
    external: tensor.external?.map(({ key, value }) => [lossy(key), lossy(value)]) ?? null,
    raw,
    counts: [...counts].filter(([, count]) => count > 0).sort(([a], [b]) => a - b),
  };
}

function countValues(bytes: Uint8Array, fieldNumber: number, packed: boolean): number {
  const width = fieldNumber === 4 ? 4 : 8;
  if (!packed && fieldNumber === 6) return topFields(bytes).length;
  if (fieldNumber === 4 || fieldNumber === 10) return bytes.length / (packed ? width : width + 1);
  const varints = bytes.filter((byte) => byte < 128).length;
  return packed ? varints : varints / 2;
}

async function sparseOf(model: OnnxModel, sparse: SparseTensor): Promise<Meaning> {
  return {
    dims: sparse.dims.map(String),
    values: sparse.values ? await tensorOf(model, sparse.values) : null,
    indices: sparse.indices ? await tensorOf(model, sparse.indices) : null,
  };
}

function valueOf(value: ValueInfo): Meaning {
  return { name: lossy(value.name), type: value.type ? typeOf(value.type) : null };
}

function typeOf(type: ValueType): Meaning {
  if ('elemType' in type)
    return {
      ...type,
      shape:
        type.shape?.map((dim) => (typeof dim === 'string' ? lossy(dim) : dim === null ? null : String(dim))) ?? null,
    };
  if (type.kind === 'map') return { ...type, value: type.value ? typeOf(type.value) : null };
  if (type.kind === 'opaque') return null;
  return { ...type, element: type.element ? typeOf(type.element) : null };
}
