import protobuf from 'protobufjs/minimal.js';
import { concat } from '../wire/pieces.js';
import { encodeText } from '../wire/text.js';
import type { Dim, ValueType } from './records.js';
import { AttributeType, DataType, TensorField } from './schema.js';

/**
 * Encoders of the small messages that featx adds to a graph. Names go through `encodeText`, because a protobuf `string`
 * in the wild need not be UTF-8 and must come back byte for byte. What only reads a model does not load this file, and
 * protobufjs with it.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for the field numbers
 */

export type NewAttribute =
  | { readonly name: string; readonly int: number }
  | { readonly name: string; readonly ints: readonly number[] }
  | { readonly name: string; readonly tensor: NewTensor };

/** A node to add. */
export interface NewNode {
  readonly opType: string;
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

const LENGTH_DELIMITED = 2;
const VARINT = 0;
const tag = (field: number, wireType: number): number => (field << 3) | wireType;

function text(writer: Writer, field: number, value: string): Writer {
  return bytes(writer, field, encodeText(value));
}

function bytes(writer: Writer, field: number, value: Uint8Array): Writer {
  return writer.uint32(tag(field, LENGTH_DELIMITED)).bytes(value);
}

function int(writer: Writer, field: number, value: number): Writer {
  return writer.uint32(tag(field, VARINT)).int64(value);
}

/** NodeProto. */
export function encodeNode(node: NewNode): Uint8Array {
  const writer = Writer.create();
  for (const name of node.inputs) text(writer, 1, name);
  for (const name of node.outputs) text(writer, 2, name);
  text(writer, 3, node.name);
  text(writer, 4, node.opType);
  for (const attribute of node.attributes ?? []) bytes(writer, 5, encodeAttribute(attribute));
  return writer.finish();
}

function encodeAttribute(attribute: NewAttribute): Uint8Array {
  const writer = text(Writer.create(), 1, attribute.name);
  if ('int' in attribute) return int(int(writer, 3, attribute.int), 20, AttributeType.int).finish();
  if ('tensor' in attribute)
    return int(bytes(writer, 5, encodeTensor(attribute.tensor)), 20, AttributeType.tensor).finish();
  for (const value of attribute.ints) int(writer, 8, value);
  return int(writer, 20, AttributeType.ints).finish();
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
  const writer = text(Writer.create(), 1, name);
  if (type !== null) bytes(writer, 2, encodeType(type));
  return writer.finish();
}

/** TypeProto. An unknown rank has no `shape`, an unknown dim is an empty Dimension. */
export function encodeType(type: ValueType): Uint8Array {
  const writer = Writer.create();
  switch (type.kind) {
    case 'tensor':
      return bytes(writer, 1, encodeTensorType(type.elemType, type.shape)).finish();
    case 'sparse_tensor':
      return bytes(writer, 8, encodeTensorType(type.elemType, type.shape)).finish();
    case 'sequence':
    case 'optional': {
      const element = Writer.create();
      if (type.element !== null) bytes(element, 1, encodeType(type.element));
      return bytes(writer, type.kind === 'sequence' ? 4 : 9, element.finish()).finish();
    }
    case 'map': {
      const map = int(Writer.create(), 1, type.keyType);
      if (type.value !== null) bytes(map, 2, encodeType(type.value));
      return bytes(writer, 5, map.finish()).finish();
    }
    case 'opaque':
      return bytes(writer, 7, new Uint8Array(0)).finish();
  }
}

function encodeTensorType(elemType: number, shape: readonly Dim[] | null): Uint8Array {
  const writer = int(Writer.create(), 1, elemType);
  if (shape === null) return writer.finish();
  const dims = Writer.create();
  for (const dim of shape) {
    const message = Writer.create();
    if (typeof dim === 'number') int(message, 1, dim);
    else if (dim !== null) text(message, 2, dim);
    bytes(dims, 1, message.finish());
  }
  return bytes(writer, 2, dims.finish()).finish();
}

/** OperatorSetIdProto. */
export function encodeOpsetImport(domain: string, version: number): Uint8Array {
  const writer = Writer.create();
  if (domain !== '') text(writer, 1, domain);
  return int(writer, 2, version).finish();
}

/** StringStringEntryProto. */
export function encodeEntry(key: string, value: string): Uint8Array {
  return text(text(Writer.create(), 1, key), 2, value).finish();
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
  return int(writer, TensorField.dataLocation, 1).finish();
}
