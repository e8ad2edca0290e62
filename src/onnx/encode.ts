import protobuf from 'protobufjs/minimal.js';
import { WireType } from '../wire/fields.js';
import { concat } from '../wire/pieces.js';
import { encodeText } from '../wire/text.js';
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

/**
 * Encoders of the small messages that featx adds to a graph. Names go through `encodeText`, because a protobuf `string`
 * in the wild need not be UTF-8 and must come back byte for byte. What only reads a model does not load this file, and
 * protobufjs with it.
 */

export type NewAttribute =
  | { readonly name: string; readonly int: number }
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

/** A tensor to add: a few integers, or values that lie in a file. */
export type NewTensor = { readonly name: string; readonly dims: readonly number[] } & (
  | { readonly int64: readonly number[] }
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
}

const { Writer } = protobuf;
type Writer = protobuf.Writer;

const tag = (field: number, wireType: number): number => (field << 3) | wireType;

function text(writer: Writer, field: number, value: string): Writer {
  return bytes(writer, field, encodeText(value));
}

function bytes(writer: Writer, field: number, value: Uint8Array): Writer {
  return writer.uint32(tag(field, WireType.bytes)).bytes(value);
}

function int(writer: Writer, field: number, value: number): Writer {
  return writer.uint32(tag(field, WireType.varint)).int64(value);
}

/** NodeProto. */
export function encodeNode(node: NewNode): Uint8Array {
  const writer = Writer.create();
  for (const name of node.inputs) text(writer, NodeField.input, name);
  for (const name of node.outputs) text(writer, NodeField.output, name);
  text(writer, NodeField.name, node.name);
  text(writer, NodeField.opType, node.opType);
  for (const attribute of node.attributes ?? []) bytes(writer, NodeField.attribute, encodeAttribute(attribute));
  if (node.domain !== undefined) text(writer, NodeField.domain, node.domain);
  return writer.finish();
}

function encodeAttribute(attribute: NewAttribute): Uint8Array {
  const writer = text(Writer.create(), AttributeField.name, attribute.name);
  const typed = (type: number): Uint8Array => int(writer, AttributeField.type, type).finish();
  if ('int' in attribute) {
    int(writer, AttributeField.i, attribute.int);
    return typed(AttributeType.int);
  }
  if ('tensor' in attribute) {
    bytes(writer, AttributeField.t, encodeTensor(attribute.tensor));
    return typed(AttributeType.tensor);
  }
  for (const value of attribute.ints) int(writer, AttributeField.ints, value);
  return typed(AttributeType.ints);
}

/** TensorProto. */
export function encodeTensor(tensor: NewTensor): Uint8Array {
  const writer = Writer.create();
  for (const dim of tensor.dims) int(writer, TensorField.dims, dim);
  int(writer, TensorField.dataType, 'external' in tensor ? tensor.dataType : DataType.int64);
  if (tensor.name !== '') text(writer, TensorField.name, tensor.name);
  if ('external' in tensor) return concat([writer.finish(), encodeExternal(tensor.external)]);
  const { int64 } = tensor;
  const raw = new DataView(new ArrayBuffer(int64.length * 8));
  int64.forEach((value, index) => raw.setBigInt64(index * 8, BigInt(value), true));
  return bytes(writer, TensorField.rawData, new Uint8Array(raw.buffer)).finish();
}

/** ValueInfoProto; without a type only the name is written, which ONNX Runtime completes and the checker refuses. */
export function encodeValueInfo(name: string, type: ValueType | null): Uint8Array {
  const writer = text(Writer.create(), ValueInfoField.name, name);
  if (type !== null) bytes(writer, ValueInfoField.type, encodeType(type));
  return writer.finish();
}

/** TypeProto. An unknown rank has no `shape`, an unknown dim is an empty Dimension. */
export function encodeType(type: ValueType): Uint8Array {
  const writer = Writer.create();
  switch (type.kind) {
    case 'tensor':
      return bytes(writer, TypeField.tensor, encodeTensorType(type.elemType, type.shape)).finish();
    case 'sparse_tensor':
      return bytes(writer, TypeField.sparseTensor, encodeTensorType(type.elemType, type.shape)).finish();
    case 'sequence':
    case 'optional': {
      const element = Writer.create();
      if (type.element !== null) bytes(element, ElementField.elemType, encodeType(type.element));
      return bytes(writer, TypeField[type.kind], element.finish()).finish();
    }
    case 'map': {
      const map = int(Writer.create(), MapField.keyType, type.keyType);
      if (type.value !== null) bytes(map, MapField.valueType, encodeType(type.value));
      return bytes(writer, TypeField.map, map.finish()).finish();
    }
    case 'opaque':
      return bytes(writer, TypeField.opaque, new Uint8Array(0)).finish();
  }
}

function encodeTensorType(elemType: number, shape: readonly Dim[] | null): Uint8Array {
  const writer = int(Writer.create(), TensorTypeField.elemType, elemType);
  if (shape === null) return writer.finish();
  const dims = Writer.create();
  for (const dim of shape) {
    const message = Writer.create();
    if (typeof dim === 'number') int(message, DimField.value, dim);
    else if (dim !== null) text(message, DimField.param, dim);
    bytes(dims, ShapeField.dim, message.finish());
  }
  return bytes(writer, TensorTypeField.shape, dims.finish()).finish();
}

/** OperatorSetIdProto. */
export function encodeOpsetImport(domain: string, version: number): Uint8Array {
  const writer = Writer.create();
  if (domain !== '') text(writer, OpsetField.domain, domain);
  return int(writer, OpsetField.version, version).finish();
}

/** StringStringEntryProto. */
export function encodeEntry(key: string, value: string): Uint8Array {
  return text(text(Writer.create(), EntryField.key, key), EntryField.value, value).finish();
}

/** The fields that make a TensorProto external: `external_data` entries and `data_location`. */
export function encodeExternal({ location, offset, length }: ExternalPlace): Uint8Array {
  const writer = Writer.create();
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
  const graph = Writer.create();
  for (const node of nodes) bytes(graph, GraphField.node, encodeNode(node));
  text(graph, GraphField.name, name);
  for (const input of inputs) bytes(graph, GraphField.input, encodeValueInfo(input.name, input.type));
  for (const output of outputs) bytes(graph, GraphField.output, encodeValueInfo(output.name, output.type));
  const model = int(Writer.create(), ModelField.irVersion, irVersion);
  bytes(model, ModelField.graph, graph.finish());
  return bytes(model, ModelField.opsetImport, encodeOpsetImport('', opset)).finish();
}
