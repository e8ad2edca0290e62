import { bytes, float, header, int, message, text, type Message } from '../wire/encode.js';
import { concat } from '../wire/pieces.js';
import type { Dim, ValueType } from './records.js';
import {
  AttributeField,
  AttributeType,
  DataType,
  DimField,
  ElementField,
  EntryField,
  EXTERNAL,
  GraphField,
  MapField,
  ModelField,
  NodeField,
  OpsetField,
  ShapeField,
  TensorField,
  TensorTypeField,
  TypeField,
  ValueInfoField,
} from './schema.js';

/** Encoders of the small messages that featx adds to a graph, and of tensors. */

export type NewAttribute =
  | { readonly name: string; readonly int: number }
  | { readonly name: string; readonly float: number }
  | { readonly name: string; readonly string: string }
  | { readonly name: string; readonly ints: readonly number[] }
  | { readonly name: string; readonly tensor: NewTensor };

/** A node to add. */
export interface NewNode {
  readonly opType: string;
  /** The default domain where left out. */
  readonly domain?: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly NewAttribute[];
}

/** A tensor to add: a few numbers, the bytes of many, or values that lie in a file. */
export type NewTensor = { readonly name: string; readonly dims: readonly number[] } & (
  | { readonly int64: readonly number[] }
  | { readonly float32: readonly number[] }
  | { readonly dataType: number; readonly bytes: Uint8Array }
  | { readonly dataType: number; readonly external: ExternalPlace }
);

/** Where values lie: `external_data` of a TensorProto. */
export interface ExternalPlace {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** A graph input to add. */
export interface NewInput {
  readonly name: string;
  readonly type: ValueType | null;
  /** The index of the dropped input whose place it takes; behind the model's own if left out. */
  readonly replaces?: number;
}

/** NodeProto. */
export function encodeNode(node: NewNode): Uint8Array {
  const writer = message();
  for (const name of node.inputs) text(writer, NodeField.input, name);
  for (const name of node.outputs) text(writer, NodeField.output, name);
  text(writer, NodeField.name, node.name);
  text(writer, NodeField.opType, node.opType);
  for (const attribute of node.attributes ?? []) bytes(writer, NodeField.attribute, encodeAttribute(attribute));
  if (node.domain !== undefined) text(writer, NodeField.domain, node.domain);
  return writer.finish();
}

/** AttributeProto. */
export function encodeAttribute(attribute: NewAttribute): Uint8Array {
  const writer = text(message(), AttributeField.name, attribute.name);
  const typed = (type: number, message = writer): Uint8Array => int(message, AttributeField.type, type).finish();
  if ('int' in attribute) return typed(AttributeType.int, int(writer, AttributeField.i, attribute.int));
  if ('float' in attribute) return typed(AttributeType.float, float(writer, AttributeField.f, attribute.float));
  if ('string' in attribute) return typed(AttributeType.string, text(writer, AttributeField.s, attribute.string));
  if ('tensor' in attribute)
    return typed(AttributeType.tensor, bytes(writer, AttributeField.t, encodeTensor(attribute.tensor)));
  for (const value of attribute.ints) int(writer, AttributeField.ints, value);
  return typed(AttributeType.ints);
}

/** TensorProto. */
export function encodeTensor(tensor: NewTensor): Uint8Array {
  const { name, dims } = tensor;
  if ('external' in tensor)
    return concat([tensorHead(name, dims, tensor.dataType).finish(), encodeExternal(tensor.external)]);
  const raw = (dataType: number, values: Uint8Array): Uint8Array =>
    bytes(tensorHead(name, dims, dataType), TensorField.rawData, values).finish();
  if ('bytes' in tensor) return raw(tensor.dataType, tensor.bytes);
  return 'int64' in tensor
    ? raw(
        DataType.int64,
        littleEndian(tensor.int64, 8, (to, at, value) => to.setBigInt64(at, BigInt(value), true)),
      )
    : raw(
        DataType.float,
        littleEndian(tensor.float32, 4, (to, at, value) => to.setFloat32(at, value, true)),
      );
}

function littleEndian(
  values: readonly number[],
  size: number,
  set: (to: DataView, at: number, value: number) => void,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * size));
  for (const [index, value] of values.entries()) set(view, index * size, value);
  return new Uint8Array(view.buffer);
}

/** A TensorProto up to its values: `size` bytes of `raw_data`, which follow. */
export function encodeTensorHead(name: string, dims: readonly number[], dataType: number, size: number): Uint8Array {
  return header(tensorHead(name, dims, dataType), TensorField.rawData, size).finish();
}

function tensorHead(name: string, dims: readonly number[], dataType: number): Message {
  const head = message();
  for (const dim of dims) int(head, TensorField.dims, dim);
  int(head, TensorField.dataType, dataType);
  return name === '' ? head : text(head, TensorField.name, name);
}

/** ValueInfoProto; without a type only the name is written, which ONNX Runtime completes and the checker refuses. */
export function encodeValueInfo(name: string, type: ValueType | null): Uint8Array {
  const writer = text(message(), ValueInfoField.name, name);
  if (type !== null) bytes(writer, ValueInfoField.type, encodeType(type));
  return writer.finish();
}

/** TypeProto. An unknown rank has no `shape`, an unknown dim is an empty Dimension. */
export function encodeType(type: ValueType): Uint8Array {
  const writer = message();
  switch (type.kind) {
    case 'tensor':
      return bytes(writer, TypeField.tensor, encodeTensorType(type.elemType, type.shape)).finish();
    case 'sparse_tensor':
      return bytes(writer, TypeField.sparseTensor, encodeTensorType(type.elemType, type.shape)).finish();
    case 'sequence':
    case 'optional': {
      const element = message();
      if (type.element !== null) bytes(element, ElementField.elemType, encodeType(type.element));
      return bytes(writer, TypeField[type.kind], element.finish()).finish();
    }
    case 'map': {
      const map = int(message(), MapField.keyType, type.keyType);
      if (type.value !== null) bytes(map, MapField.valueType, encodeType(type.value));
      return bytes(writer, TypeField.map, map.finish()).finish();
    }
    case 'opaque':
      return bytes(writer, TypeField.opaque, new Uint8Array(0)).finish();
  }
}

function encodeTensorType(elemType: number, shape: readonly Dim[] | null): Uint8Array {
  const writer = int(message(), TensorTypeField.elemType, elemType);
  if (shape === null) return writer.finish();
  const dims = message();
  for (const dim of shape) {
    const size = message();
    if (typeof dim === 'number') int(size, DimField.value, dim);
    else if (dim !== null) text(size, DimField.param, dim);
    bytes(dims, ShapeField.dim, size.finish());
  }
  return bytes(writer, TensorTypeField.shape, dims.finish()).finish();
}

/** OperatorSetIdProto. */
export function encodeOpsetImport(domain: string, version: number): Uint8Array {
  const writer = message();
  if (domain !== '') text(writer, OpsetField.domain, domain);
  return int(writer, OpsetField.version, version).finish();
}

/** StringStringEntryProto. */
export function encodeEntry(key: string, value: string): Uint8Array {
  return text(text(message(), EntryField.key, key), EntryField.value, value).finish();
}

/** The fields that make a TensorProto external: `external_data` entries and `data_location`. */
export function encodeExternal({ location, offset, length }: ExternalPlace): Uint8Array {
  const writer = message();
  for (const [key, value] of [
    ['location', location],
    ['offset', String(offset)],
    ['length', String(length)],
  ])
    bytes(writer, TensorField.externalData, encodeEntry(key, value));
  return int(writer, TensorField.dataLocation, EXTERNAL).finish();
}

/** A model to make from nothing; the version is that of the default domain. */
export interface NewModel {
  readonly irVersion: number;
  readonly opset: number;
  readonly name: string;
  readonly nodes: readonly NewNode[];
  readonly inputs: readonly NewInput[];
  readonly outputs: readonly NewInput[];
}

/** ModelProto. */
export function encodeModel({ irVersion, opset, name, nodes, inputs, outputs }: NewModel): Uint8Array {
  const graph = message();
  for (const node of nodes) bytes(graph, GraphField.node, encodeNode(node));
  text(graph, GraphField.name, name);
  for (const input of inputs) bytes(graph, GraphField.input, encodeValueInfo(input.name, input.type));
  for (const output of outputs) bytes(graph, GraphField.output, encodeValueInfo(output.name, output.type));
  const model = int(message(), ModelField.irVersion, irVersion);
  bytes(model, ModelField.graph, graph.finish());
  return bytes(model, ModelField.opsetImport, encodeOpsetImport('', opset)).finish();
}
