import { DataType } from './schema.js';
import type { Dim, OnnxModel, Tensor, ValueType } from './records.js';

/**
 * What is known of a tensor: numpy's word for its dtype, or `type` where the value is not a tensor; `shape` null is an
 * unknown rank.
 */
export interface TensorType {
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  /** `sequence`, `map`, `optional`, `sparse_tensor`, `opaque`; absent for tensors. */
  readonly type?: string;
  /** The whole type of what is not a tensor, if it was inferred. */
  readonly whole?: ValueType;
}

/** Types of tensors by name. */
export type TensorTypes = ReadonlyMap<string, TensorType>;

/** numpy's word for each TensorProto.DataType, and the bits of one element; null for strings. */
const DTYPES: readonly (readonly [dataType: number, word: string, bits: number | null])[] = [
  [DataType.float, 'float32', 32],
  [DataType.uint8, 'uint8', 8],
  [DataType.int8, 'int8', 8],
  [DataType.uint16, 'uint16', 16],
  [DataType.int16, 'int16', 16],
  [DataType.int32, 'int32', 32],
  [DataType.int64, 'int64', 64],
  [DataType.string, 'string', null],
  [DataType.bool, 'bool', 8],
  [DataType.float16, 'float16', 16],
  [DataType.double, 'float64', 64],
  [DataType.uint32, 'uint32', 32],
  [DataType.uint64, 'uint64', 64],
  [DataType.complex64, 'complex64', 64],
  [DataType.complex128, 'complex128', 128],
  [DataType.bfloat16, 'bfloat16', 16],
  [DataType.float8e4m3fn, 'float8e4m3fn', 8],
  [DataType.float8e4m3fnuz, 'float8e4m3fnuz', 8],
  [DataType.float8e5m2, 'float8e5m2', 8],
  [DataType.float8e5m2fnuz, 'float8e5m2fnuz', 8],
  [DataType.uint4, 'uint4', 4],
  [DataType.int4, 'int4', 4],
  [DataType.float4e2m1, 'float4e2m1', 4],
  [DataType.float8e8m0, 'float8e8m0', 8],
  [DataType.uint2, 'uint2', 2],
  [DataType.int2, 'int2', 2],
];
const BY_DATA_TYPE = new Map(DTYPES.map((row) => [row[0], row]));
const BY_WORD = new Map(DTYPES.map((row) => [row[1], row]));

/** numpy's word for a TensorProto.DataType, or null if it is unknown. */
export function dtypeWord(dataType: number): string | null {
  return BY_DATA_TYPE.get(dataType)?.[1] ?? null;
}

/** TensorProto.DataType of a word, 0 where there is none. */
export function dataTypeOf(word: string): number {
  return BY_WORD.get(word)?.[0] ?? DataType.undefined;
}

/** Bits of one element; null for strings and unknown types. */
export function bitsOf(dataType: number): number | null {
  return BY_DATA_TYPE.get(dataType)?.[2] ?? null;
}

/**
 * How many values a shape has; null if a dim is not a size, or the product of those that are not 0 is not a safe
 * integer.
 */
export function elementCount(shape: readonly number[]): number | null {
  let count = 1;
  for (const dim of shape) {
    count *= dim === 0 ? 1 : dim;
    if (!Number.isSafeInteger(dim) || dim < 0 || !Number.isSafeInteger(count)) return null;
  }
  return shape.includes(0) ? 0 : count;
}

/** Bytes of the values of a shape; null for strings and unknown types, and if the number is not a safe integer. */
export function byteLength(dataType: number, shape: readonly number[]): number | null {
  const [count, bits] = [elementCount(shape), bitsOf(dataType)];
  if (count === null || bits === null) return null;
  const bytes = bits >= 8 ? count * (bits / 8) : Math.ceil(count / (8 / bits));
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Bytes of the values of a tensor, as `byteLength`. */
export function tensorBytes({ dims, dataType }: Pick<Tensor, 'dims' | 'dataType'>): number | null {
  return byteLength(dataType, dims);
}

/** A ValueType as a TensorType. */
export function tensorType(type: ValueType): TensorType {
  if (type.kind === 'tensor') return { dtype: dtypeWord(type.elemType), shape: type.shape };
  if (type.kind === 'sparse_tensor') return { dtype: dtypeWord(type.elemType), shape: type.shape, type: type.kind };
  return { dtype: null, shape: null, type: type.kind };
}

/** What the file itself says: ValueInfo of inputs, outputs and intermediates, and the initializers. */
export function declaredTypes(model: OnnxModel): Map<string, TensorType> {
  const types = new Map<string, TensorType>();
  const { graph } = model;
  const shared = new Map<ValueType, TensorType>();
  for (const list of [graph.valueInfo, graph.outputs, graph.inputs]) {
    for (const { name, type } of list) {
      if (type === null) continue;
      const known = shared.get(type) ?? tensorType(type);
      shared.set(type, known);
      types.set(name, known);
    }
  }
  const initializer = ({ name, dataType, dims }: Tensor): void =>
    void types.set(name, { dtype: dtypeWord(dataType), shape: dims });
  graph.initializers.forEach(initializer);
  for (const { values, dims } of graph.sparseInitializers)
    if (values) types.set(values.name, { dtype: dtypeWord(values.dataType), shape: dims });
  return types;
}

/** Who says a type: the file, the rules of operators, or ONNX Runtime, which was asked. */
export type TypeOrigin = 'declared' | 'inferred' | 'asked';

/** Types of the tensors asked about, from the file, from certain rules, or from the runtime. */
export interface InferredTypes {
  /** What may be printed and written: a symbol where the file or the runtime proves it, null if nothing does. */
  readonly types: TensorTypes;
  /**
   * The same with nominal numbers for symbolic input dims: for channels, reductions and layout only, never written to a
   * file.
   */
  readonly nominal: TensorTypes;
  /** The same by the numbers of tensors in the graph of the file, asked about or not; absent if they have none. */
  readonly nominalAt?: (tensor: number) => TensorType | null;
  /** Where each of `types` comes from. */
  readonly origins?: Pick<ReadonlyMap<string, TypeOrigin>, 'get'>;
  /** The numbers that were put in, per input; empty where no input dim is symbolic. */
  readonly nominalInputShape: ReadonlyMap<string, readonly number[]>;
  /** The inputs whose shape the caller gave. */
  readonly givenInputs?: ReadonlySet<string>;
  readonly warnings: readonly string[];
}
