/**
 * The messages of ONNX, for mutation and for the second opinion. `*` is repeated; `unread` marks what featx leaves
 * unread, so that what is wrong inside it is not noticed; `|group` is a oneof.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
const SOURCE = {
  Model: {
    1: 'irVersion int64',
    2: 'producerName string',
    3: 'producerVersion string',
    4: 'domain string unread',
    5: 'modelVersion int64 unread',
    6: 'docString string unread',
    7: 'graph Graph',
    8: 'opsetImport OperatorSetId*',
    14: 'metadataProps StringStringEntry*',
    20: 'trainingInfo TrainingInfo*',
    25: 'functions Function*',
  },
  OperatorSetId: { 1: 'domain string', 2: 'version int64' },
  StringStringEntry: { 1: 'key string', 2: 'value string' },
  TrainingInfo: {
    1: 'initialization Graph',
    2: 'algorithm Graph',
    3: 'initializationBinding StringStringEntry* unread',
    4: 'updateBinding StringStringEntry* unread',
  },
  Graph: {
    1: 'node Node*',
    2: 'name string',
    5: 'initializer Tensor*',
    10: 'docString string unread',
    11: 'input ValueInfo*',
    12: 'output ValueInfo*',
    13: 'valueInfo ValueInfo*',
    14: 'quantizationAnnotation TensorAnnotation*',
    15: 'sparseInitializer SparseTensor*',
    16: 'metadataProps StringStringEntry* unread',
  },
  Node: {
    1: 'input string*',
    2: 'output string*',
    3: 'name string',
    4: 'opType string',
    5: 'attribute Attribute*',
    6: 'docString string unread',
    7: 'domain string',
    8: 'overload string',
    9: 'metadataProps StringStringEntry* unread',
  },
  Attribute: {
    1: 'name string',
    2: 'f float',
    3: 'i int64',
    4: 's bytes',
    5: 't Tensor',
    6: 'g Graph',
    7: 'floats float*',
    8: 'ints int64*',
    9: 'strings bytes*',
    10: 'tensors Tensor*',
    11: 'graphs Graph*',
    13: 'docString string unread',
    14: 'tp Type unread',
    15: 'typeProtos Type* unread',
    20: 'type enum14',
    21: 'refAttrName string',
    22: 'sparseTensor SparseTensor',
    23: 'sparseTensors SparseTensor*',
  },
  Tensor: {
    1: 'dims int64*',
    2: 'dataType int32',
    3: 'segment Segment unread',
    4: 'floatData float* unread',
    5: 'int32Data int32* unread',
    6: 'stringData bytes* unread',
    7: 'int64Data int64* unread',
    8: 'name string',
    9: 'rawData bytes',
    10: 'doubleData double* unread',
    11: 'uint64Data uint64* unread',
    12: 'docString string unread',
    13: 'externalData StringStringEntry*',
    14: 'dataLocation enum1',
    16: 'metadataProps StringStringEntry* unread',
  },
  Segment: { 1: 'begin int64 unread', 2: 'end int64 unread' },
  SparseTensor: { 1: 'values Tensor', 2: 'indices Tensor', 3: 'dims int64*' },
  TensorAnnotation: { 1: 'tensorName string', 2: 'quantParameterTensorNames StringStringEntry*' },
  ValueInfo: {
    1: 'name string',
    2: 'type Type',
    3: 'docString string unread',
    4: 'metadataProps StringStringEntry* unread',
  },
  Type: {
    1: 'tensorType TensorType |value',
    4: 'sequenceType Element |value',
    5: 'mapType MapType |value',
    6: 'denotation string unread',
    7: 'opaqueType Opaque |value',
    8: 'sparseTensorType TensorType |value',
    9: 'optionalType Element |value',
  },
  TensorType: { 1: 'elemType int32', 2: 'shape Shape' },
  Shape: { 1: 'dim Dimension*' },
  Dimension: { 1: 'dimValue int64 |value', 2: 'dimParam string |value', 3: 'denotation string unread' },
  Element: { 1: 'elemType Type' },
  MapType: { 1: 'keyType int32', 2: 'valueType Type' },
  Opaque: { 1: 'domain string unread', 2: 'name string unread' },
  Function: {
    1: 'name string',
    2: 'sinceVersion int64 unread',
    3: 'status int32 unread',
    4: 'input string*',
    5: 'output string*',
    6: 'attribute string* unread',
    7: 'node Node*',
    8: 'docString string unread',
    9: 'opsetImport OperatorSetId*',
    10: 'domain string',
    11: 'attributeProto Attribute*',
    12: 'valueInfo ValueInfo*',
    13: 'overload string',
    14: 'metadataProps StringStringEntry* unread',
  },
} as const;

export type MessageName = keyof typeof SOURCE;
export type ScalarKind = 'varint' | 'fixed32' | 'fixed64' | 'bytes';

export interface FieldType {
  readonly name: string;
  readonly repeated: boolean;
  readonly unread: boolean;
  readonly oneof: string | null;
  /** The message, where it is one. */
  readonly message: MessageType | null;
  readonly kind: ScalarKind | 'message';
  /** Whether a list of it may stand in one run. */
  readonly packable: boolean;
  /** The largest value of an enum; null for other integers. */
  readonly largest: number | null;
  /** The word of protobufjs for it. */
  readonly word: string;
}

export interface MessageType {
  readonly name: MessageName;
  readonly fields: ReadonlyMap<number, FieldType>;
}

const KINDS: { readonly [word: string]: ScalarKind } = {
  int64: 'varint',
  int32: 'varint',
  uint64: 'varint',
  float: 'fixed32',
  double: 'fixed64',
  string: 'bytes',
  bytes: 'bytes',
};

/** Every message, by name. */
export const MESSAGES: ReadonlyMap<string, MessageType> = link();
/** The whole file. */
export const MODEL = messageNamed('Model');

export function messageNamed(name: MessageName): MessageType {
  const message = MESSAGES.get(name);
  if (message === undefined) throw new Error(`no message ${name}`);
  return message;
}

function link(): ReadonlyMap<string, MessageType> {
  const messages = new Map<string, { name: MessageName; fields: Map<number, FieldType> }>();
  for (const name of Object.keys(SOURCE) as MessageName[]) messages.set(name, { name, fields: new Map() });
  for (const [name, fields] of Object.entries(SOURCE)) {
    for (const [number, text] of Object.entries<string>(fields))
      messages.get(name)?.fields.set(Number(number), fieldOf(text, messages));
  }
  return messages;
}

function fieldOf(text: string, messages: ReadonlyMap<string, MessageType>): FieldType {
  const [name, marked, ...marks] = text.split(' ');
  const repeated = marked.endsWith('*');
  const word = repeated ? marked.slice(0, -1) : marked;
  const largest = word.startsWith('enum') ? Number(word.slice(4)) : null;
  const message = messages.get(word) ?? null;
  const kind = message !== null ? 'message' : largest !== null ? 'varint' : KINDS[word];
  return {
    name,
    repeated,
    message,
    kind,
    largest,
    unread: marks.includes('unread'),
    oneof: marks.find((mark) => mark.startsWith('|'))?.slice(1) ?? null,
    packable: repeated && kind !== 'bytes' && kind !== 'message',
    word: largest === null ? word : 'int32',
  };
}
