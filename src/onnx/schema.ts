/**
 * The numbers of onnx.proto, and the sizes that go with it. No other file writes one down.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */

/** Fields of ModelProto. */
export const ModelField = {
  irVersion: 1,
  producerName: 2,
  producerVersion: 3,
  graph: 7,
  opsetImport: 8,
  metadataProps: 14,
  trainingInfo: 20,
  functions: 25,
} as const;

/** Fields of TrainingInfoProto. */
export const TrainingField = { initialization: 1, algorithm: 2 } as const;

/** Fields of GraphProto. */
export const GraphField = {
  node: 1,
  name: 2,
  initializer: 5,
  input: 11,
  output: 12,
  valueInfo: 13,
  quantizationAnnotation: 14,
  sparseInitializer: 15,
} as const;

/** Fields of NodeProto. */
export const NodeField = {
  input: 1,
  output: 2,
  name: 3,
  opType: 4,
  attribute: 5,
  domain: 7,
  overload: 8,
  metadataProps: 9,
} as const;

/** Fields of AttributeProto. */
export const AttributeField = {
  name: 1,
  f: 2,
  i: 3,
  s: 4,
  t: 5,
  g: 6,
  floats: 7,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  type: 20,
  refAttrName: 21,
  sparseTensor: 22,
  sparseTensors: 23,
} as const;

/** AttributeProto.AttributeType, as far as featx writes or looks for single ones; `last` is TYPE_PROTOS. */
export const AttributeType = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  last: 14,
} as const;

/** Fields of FunctionProto. */
export const FunctionField = {
  name: 1,
  input: 4,
  output: 5,
  node: 7,
  opsetImport: 9,
  domain: 10,
  attributeProto: 11,
  valueInfo: 12,
  overload: 13,
} as const;

/** Fields of OperatorSetIdProto. */
export const OpsetField = { domain: 1, version: 2 } as const;

/** Fields of StringStringEntryProto. */
export const EntryField = { key: 1, value: 2 } as const;

/** Fields of TensorAnnotation. */
export const AnnotationField = { tensorName: 1, parameters: 2 } as const;

/** Fields of ValueInfoProto. */
export const ValueInfoField = { name: 1, type: 2 } as const;

/** Fields of TypeProto: the members of its oneof. */
export const TypeField = { tensor: 1, sequence: 4, map: 5, opaque: 7, sparseTensor: 8, optional: 9 } as const;

/** Fields of TypeProto.Tensor and TypeProto.SparseTensor. */
export const TensorTypeField = { elemType: 1, shape: 2 } as const;

/** Fields of TypeProto.Sequence and TypeProto.Optional. */
export const ElementField = { elemType: 1 } as const;

/** Fields of TypeProto.Map. */
export const MapField = { keyType: 1, valueType: 2 } as const;

/** Fields of TensorShapeProto. */
export const ShapeField = { dim: 1 } as const;

/** Fields of TensorShapeProto.Dimension. */
export const DimField = { value: 1, param: 2 } as const;

/** Fields of SparseTensorProto. */
export const SparseField = { values: 1, indices: 2, dims: 3 } as const;

/** Fields of TensorProto. */
export const TensorField = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;

/** TensorProto.DataLocation.EXTERNAL */
export const EXTERNAL = 1;

/** TensorProto.DataType. */
export const DataType = {
  undefined: 0,
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
} as const;

/** The data types that arithmetic rounds, but for the 8-bit ones, which are only stored. */
export const FLOAT_TYPES: ReadonlySet<number> = new Set([
  DataType.float,
  DataType.float16,
  DataType.double,
  DataType.bfloat16,
]);

/** The most bytes that protobuf reads in one message, and so in one model, one graph and one tensor. */
export const LARGEST_MESSAGE = 2 ** 31 - 1;

/**
 * Values up to this size stay in the graph: shapes, axes, scales and pads, which ONNX Runtime's shape inference needs
 * at hand.
 * @see https://github.com/microsoft/onnxruntime/issues/26261
 */
export const INLINE_BYTES = 1024;
