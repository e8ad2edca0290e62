import {
  DATA_TYPES,
  type AttributeSpec,
  type DataType,
  type Entries,
  type FunctionSpec,
  type GraphSpec,
  type ModelSpec,
  type NodeSpec,
  type SparseSpec,
  type TensorSpec,
  type TrainingSpec,
  type TypeSpec,
  type ValueSpec,
} from './model-spec.js';
import {
  bytes,
  double,
  float,
  floats,
  int,
  ints,
  joinAll,
  message,
  ordered,
  varint,
  type RawField,
  type Style,
  type Text,
} from './wire-writer.js';

/**
 * The bytes of a model, in any style a serializer may choose.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for the field numbers
 */
export function encodeModel(spec: ModelSpec, style: Style = {}): Uint8Array {
  const opset = typeof spec.opset === 'object' ? spec.opset : [['', spec.opset ?? 17] as const];
  const [producer, producerVersion] = spec.producer ?? [];
  return message(
    [
      int(1, spec.irVersion ?? 8, style),
      ...some(2, producer, style),
      ...some(3, producerVersion, style),
      ...some(4, spec.domain, style),
      ...(spec.modelVersion === undefined ? [] : [int(5, spec.modelVersion, style)]),
      ...some(6, spec.doc, style),
      ...graphPieces(graphFields(spec.graph, style), style).map((piece) => bytes(7, piece, style)),
      ...opset.map((entry) => bytes(8, opsetMessage(entry, style), style)),
      ...entries(14, spec.metadata, style),
      ...(spec.trainingInfo ?? []).map((info) => bytes(20, trainingMessage(info, style), style)),
      ...(spec.functions ?? []).map((definition) => bytes(25, functionMessage(definition, style), style)),
      ...(spec.configuration ?? []).map(([name, devices]) =>
        bytes(
          26,
          message(
            [bytes(1, name, style), int(2, devices.length, style), ...devices.map((device) => bytes(3, device, style))],
            style,
          ),
          style,
        ),
      ),
      ...(spec.extra ?? []),
    ],
    style,
  );
}

/** The fields of a graph, spread over several messages where the style asks for it. */
function graphPieces(fields: readonly RawField[], style: Style): Uint8Array[] {
  const pieces = style.graphPieces ?? 1;
  const all = ordered(fields, style.order ?? 'schema');
  const size = Math.ceil(all.length / pieces);
  return Array.from({ length: pieces }, (_, index) =>
    joinAll(all.slice(index * size, (index + 1) * size).map((field) => field.bytes)),
  );
}

function some(number: number, text: Text | undefined, style: Style): RawField[] {
  return text === undefined ? [] : [bytes(number, text, style)];
}

function entries(number: number, pairs: Entries | undefined, style: Style): RawField[] {
  return (pairs ?? []).map(([key, value]) =>
    bytes(number, message([bytes(1, key, style), bytes(2, value, style)], style), style),
  );
}

function opsetMessage([domain, version]: readonly [string, number], style: Style): Uint8Array {
  return message([...(domain === '' ? [] : [bytes(1, domain, style)]), int(2, version, style)], style);
}

export function graphMessage(spec: GraphSpec, style: Style = {}): Uint8Array {
  return message(graphFields(spec, style), style);
}

function graphFields(spec: GraphSpec, style: Style): RawField[] {
  return [
    ...(spec.nodes ?? []).map((node) => bytes(1, nodeMessage(node, style), style)),
    bytes(2, spec.name ?? 'graph', style),
    ...(spec.initializers ?? []).map((tensor) => bytes(5, tensorMessage(tensor, style), style)),
    ...some(10, spec.doc, style),
    ...(spec.inputs ?? []).map((value) => bytes(11, valueMessage(value, style), style)),
    ...(spec.outputs ?? []).map((value) => bytes(12, valueMessage(value, style), style)),
    ...(spec.valueInfo ?? []).map((value) => bytes(13, valueMessage(value, style), style)),
    ...(spec.annotations ?? []).map(([tensor, parameters]) =>
      bytes(14, message([bytes(1, tensor, style), ...entries(2, parameters, style)], style), style),
    ),
    ...(spec.sparseInitializers ?? []).map((sparse) => bytes(15, sparseMessage(sparse, style), style)),
    ...entries(16, spec.metadata, style),
    ...(spec.extra ?? []),
  ];
}

export function nodeMessage(spec: NodeSpec, style: Style = {}): Uint8Array {
  return message(
    [
      ...(spec.inputs ?? []).map((name) => bytes(1, name, style)),
      ...(spec.outputs ?? []).map((name) => bytes(2, name, style)),
      ...some(3, spec.name, style),
      bytes(4, spec.op, style),
      ...Object.entries(spec.attributes ?? {}).map(([name, attribute]) =>
        bytes(5, attributeMessage(name, attribute, style), style),
      ),
      ...some(6, spec.doc, style),
      ...some(7, spec.domain, style),
      ...some(8, spec.overload, style),
      ...entries(9, spec.metadata, style),
      ...(spec.device === undefined
        ? []
        : [bytes(10, message([bytes(1, spec.device, style), int(3, 0, style)], style), style)]),
      ...(spec.extra ?? []),
    ],
    style,
  );
}

function attributeMessage(name: string, spec: AttributeSpec, style: Style): Uint8Array {
  const [type, fields] = attributeValue(spec, style);
  return message(
    [
      bytes(1, name, style),
      ...fields,
      ...some(13, spec.doc, style),
      ...(spec.untyped ? [] : [int(20, type, style)]),
      ...('ref' in spec ? [bytes(21, spec.ref, style)] : []),
      ...(spec.extra ?? []),
    ],
    style,
  );
}

/** AttributeType and the fields that hold the value. */
function attributeValue(spec: AttributeSpec, style: Style): [type: number, fields: RawField[]] {
  if ('float' in spec) return [1, [float(2, spec.float)]];
  if ('int' in spec) return [2, [int(3, spec.int, style)]];
  if ('string' in spec) return [3, [bytes(4, spec.string, style)]];
  if ('tensor' in spec) return [4, [bytes(5, tensorMessage(spec.tensor, style), style)]];
  if ('graph' in spec) return [5, [bytes(6, graphMessage(spec.graph, style), style)]];
  if ('floats' in spec) return [6, floats(7, spec.floats, style)];
  if ('ints' in spec) return [7, ints(8, spec.ints, style)];
  if ('strings' in spec) return [8, spec.strings.map((text) => bytes(9, text, style))];
  if ('tensors' in spec) return [9, spec.tensors.map((tensor) => bytes(10, tensorMessage(tensor, style), style))];
  if ('graphs' in spec) return [10, spec.graphs.map((graph) => bytes(11, graphMessage(graph, style), style))];
  if ('sparse' in spec) return [11, [bytes(22, sparseMessage(spec.sparse, style), style)]];
  if ('sparses' in spec) return [12, spec.sparses.map((sparse) => bytes(23, sparseMessage(sparse, style), style))];
  if ('type' in spec) return [13, [bytes(14, typeMessage(spec.type, style), style)]];
  if ('types' in spec) return [14, spec.types.map((type) => bytes(15, typeMessage(type, style), style))];
  return [spec.refType, []];
}

function functionMessage(spec: FunctionSpec, style: Style): Uint8Array {
  return message(
    [
      bytes(1, spec.name, style),
      ...(spec.inputs ?? []).map((name) => bytes(4, name, style)),
      ...(spec.outputs ?? []).map((name) => bytes(5, name, style)),
      ...(spec.attributes ?? []).map((name) => bytes(6, name, style)),
      ...spec.nodes.map((node) => bytes(7, nodeMessage(node, style), style)),
      ...(spec.opset ?? [['', 17] as const]).map((entry) => bytes(9, opsetMessage(entry, style), style)),
      bytes(10, spec.domain, style),
      ...Object.entries(spec.defaults ?? {}).map(([name, attribute]) =>
        bytes(11, attributeMessage(name, attribute, style), style),
      ),
      ...(spec.valueInfo ?? []).map((value) => bytes(12, valueMessage(value, style), style)),
      ...some(13, spec.overload, style),
      ...entries(14, spec.metadata, style),
      ...(spec.extra ?? []),
    ],
    style,
  );
}

function trainingMessage(spec: TrainingSpec, style: Style): Uint8Array {
  return message(
    [
      ...(spec.initialization ? [bytes(1, graphMessage(spec.initialization, style), style)] : []),
      ...(spec.algorithm ? [bytes(2, graphMessage(spec.algorithm, style), style)] : []),
      ...entries(4, spec.updates, style),
    ],
    style,
  );
}

export function valueMessage(spec: ValueSpec, style: Style): Uint8Array {
  return message(
    [
      bytes(1, spec.name, style),
      ...(spec.type ? [bytes(2, typeMessage(spec.type, style), style)] : []),
      ...some(3, spec.doc, style),
      ...entries(4, spec.metadata, style),
      ...(spec.extra ?? []),
    ],
    style,
  );
}

function typeMessage(spec: TypeSpec, style: Style): Uint8Array {
  return message([typeMember(spec, style), ...some(6, spec.denotation, style), ...(spec.extra ?? [])], style);
}

function typeMember(spec: TypeSpec, style: Style): RawField {
  if ('tensor' in spec) return bytes(1, shapedType(spec.tensor, spec.shape, style), style);
  if ('sequence' in spec) return bytes(4, message([bytes(1, typeMessage(spec.sequence, style), style)], style), style);
  if ('map' in spec)
    return bytes(
      5,
      message([int(1, DATA_TYPES[spec.map], style), bytes(2, typeMessage(spec.value, style), style)], style),
      style,
    );
  if ('opaque' in spec) return bytes(7, message([bytes(2, spec.opaque, style)], style), style);
  if ('sparse' in spec) return bytes(8, shapedType(spec.sparse, spec.shape, style), style);
  return bytes(9, message([bytes(1, typeMessage(spec.optional, style), style)], style), style);
}

function shapedType(
  type: DataType,
  shape: readonly (number | bigint | string | null)[] | undefined,
  style: Style,
): Uint8Array {
  const dims = (shape ?? []).map((dim) =>
    bytes(
      1,
      dim === null
        ? new Uint8Array(0)
        : message([typeof dim === 'string' ? bytes(2, dim, style) : int(1, dim, style)], style),
      style,
    ),
  );
  return message([int(1, DATA_TYPES[type], style), ...(shape ? [bytes(2, message(dims, style), style)] : [])], style);
}

function sparseMessage(spec: SparseSpec, style: Style): Uint8Array {
  return message(
    [
      bytes(1, tensorMessage(spec.values, style), style),
      bytes(2, tensorMessage(spec.indices, style), style),
      ...ints(3, spec.dims, style),
    ],
    style,
  );
}

export function tensorMessage(spec: TensorSpec, style: Style = {}): Uint8Array {
  return message(
    [
      ...ints(1, spec.dims, style),
      int(2, DATA_TYPES[spec.type ?? 'float32'], style),
      ...tensorValues(spec, style),
      ...some(8, spec.name, style),
      ...some(12, spec.doc, style),
      ...entries(13, spec.external, style),
      ...(spec.external ? [int(14, 1, style)] : []),
      ...entries(16, spec.metadata, style),
      ...(spec.extra ?? []),
    ],
    style,
  );
}

function tensorValues({ data, type = 'float32', typed = false }: TensorSpec, style: Style): RawField[] {
  if (data === undefined) return [];
  if (data instanceof Uint8Array) return [bytes(9, data, style)];
  if (isStrings(data)) return data.map((text) => bytes(6, text, style));
  if (!typed) return [bytes(9, rawBytes(data, type), style)];
  if (type === 'float32' || type === 'complex64') return floats(4, data.map(Number), style);
  if (type === 'float64' || type === 'complex128')
    return style.packed === false
      ? data.map((value) => double(10, Number(value)))
      : [bytes(10, rawBytes(data, 'float64'), style)];
  if (type === 'int64') return ints(7, data, style);
  if (type === 'uint64' || type === 'uint32') return ints(11, data, style);
  return style.packed === false
    ? data.map((value) => int(5, value, style))
    : [bytes(5, joinAll(data.map((value) => varint(value))), style)];
}

function isStrings(data: readonly (number | bigint)[] | readonly string[]): data is readonly string[] {
  return typeof data[0] === 'string';
}

/** Values as `raw_data` holds them: little-endian, tightly packed. Types without an array of their own take bytes. */
function rawBytes(data: readonly (number | bigint)[], type: DataType): Uint8Array {
  const numbers = (): number[] => data.map(Number);
  const arrays: { readonly [type: string]: () => { readonly buffer: ArrayBufferLike } } = {
    float32: () => Float32Array.from(numbers()),
    float64: () => Float64Array.from(numbers()),
    int8: () => Int8Array.from(numbers()),
    int16: () => Int16Array.from(numbers()),
    int32: () => Int32Array.from(numbers()),
    int64: () => BigInt64Array.from(data.map(BigInt)),
    uint8: () => Uint8Array.from(numbers()),
    uint16: () => Uint16Array.from(numbers()),
    uint32: () => Uint32Array.from(numbers()),
    uint64: () => BigUint64Array.from(data.map(BigInt)),
    bool: () => Uint8Array.from(numbers()),
  };
  const array = arrays[type];
  if (array === undefined) throw new Error(`give the raw bytes of a ${type} tensor`);
  return new Uint8Array(array().buffer);
}
