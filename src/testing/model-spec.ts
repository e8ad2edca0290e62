import { DataType as Numbers } from '../onnx/schema.js';
import { seededFloats } from './random.js';
import type { RawField, Text } from './wire-writer.js';

/**
 * What a model is to say: plain data, turned into bytes by `encodeModel`. `extra` fields are written as they are, after
 * the others.
 */

export interface ModelSpec {
  readonly irVersion?: number;
  /** Version of the default domain, or all of them; default 17. */
  readonly opset?: number | readonly (readonly [domain: string, version: number])[];
  readonly producer?: readonly [name: Text, version: Text];
  readonly domain?: string;
  readonly modelVersion?: number | bigint;
  readonly doc?: Text;
  readonly graph: GraphSpec;
  readonly metadata?: Entries;
  readonly trainingInfo?: readonly TrainingSpec[];
  readonly functions?: readonly FunctionSpec[];
  /** DeviceConfigurationProto: name and devices. */
  readonly configuration?: readonly (readonly [name: string, devices: readonly string[]])[];
  readonly extra?: readonly RawField[];
}

export type Entries = readonly (readonly [key: Text, value: Text])[];

export interface GraphSpec {
  readonly name?: Text;
  readonly nodes?: readonly NodeSpec[];
  readonly initializers?: readonly TensorSpec[];
  readonly sparseInitializers?: readonly SparseSpec[];
  readonly inputs?: readonly ValueSpec[];
  readonly outputs?: readonly ValueSpec[];
  readonly valueInfo?: readonly ValueSpec[];
  /** Quantization annotations: tensor, then pairs of role and tensor. */
  readonly annotations?: readonly (readonly [tensor: Text, parameters: Entries])[];
  readonly doc?: Text;
  readonly metadata?: Entries;
  readonly extra?: readonly RawField[];
}

export interface NodeSpec {
  readonly op: Text;
  readonly inputs?: readonly Text[];
  readonly outputs?: readonly Text[];
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  readonly name?: Text;
  readonly domain?: string;
  readonly overload?: string;
  readonly doc?: Text;
  readonly metadata?: Entries;
  /** NodeDeviceConfigurationProto: the configuration that it belongs to. */
  readonly device?: string;
  readonly extra?: readonly RawField[];
}

/** One of the kinds of AttributeProto; `extra` goes with any of them. */
export type AttributeSpec = (
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly string: Text }
  | { readonly tensor: TensorSpec }
  | { readonly graph: GraphSpec }
  | { readonly sparse: SparseSpec }
  | { readonly type: TypeSpec }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly Text[] }
  | { readonly tensors: readonly TensorSpec[] }
  | { readonly graphs: readonly GraphSpec[] }
  | { readonly sparses: readonly SparseSpec[] }
  | { readonly types: readonly TypeSpec[] }
  /** A reference to an attribute of the enclosing function, with the AttributeType it has. */
  | { readonly ref: string; readonly refType: number }
) & { readonly doc?: string; readonly untyped?: boolean; readonly extra?: readonly RawField[] };

export interface FunctionSpec {
  readonly name: string;
  readonly domain: string;
  readonly overload?: string;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly attributes?: readonly string[];
  readonly defaults?: Readonly<Record<string, AttributeSpec>>;
  readonly nodes: readonly NodeSpec[];
  readonly opset?: readonly (readonly [domain: string, version: number])[];
  readonly valueInfo?: readonly ValueSpec[];
  readonly metadata?: Entries;
  readonly extra?: readonly RawField[];
}

export interface TrainingSpec {
  readonly initialization?: GraphSpec;
  readonly algorithm?: GraphSpec;
  /** Pairs of tensors: what is updated, and by what. */
  readonly updates?: Entries;
}

const { undefined: _none, float: float32, double: float64, ...others } = Numbers;
/** TensorProto.DataType by numpy's word. */
export const DATA_TYPES = { float32, float64, ...others } as const;
export type DataType = keyof typeof DATA_TYPES;

export interface TensorSpec {
  readonly name?: Text;
  readonly dims: readonly (number | bigint)[];
  /** Default float32. */
  readonly type?: DataType;
  /** Values: `raw_data` unless `typed`; or the bytes of `raw_data` themselves, or strings. */
  readonly data?: readonly (number | bigint)[] | readonly string[] | Uint8Array;
  /** Values in `float_data`, `int32_data`, …, as the type asks. */
  readonly typed?: boolean;
  /** `external_data` entries; the values are then elsewhere. */
  readonly external?: Entries;
  readonly doc?: Text;
  readonly metadata?: Entries;
  readonly extra?: readonly RawField[];
}

export interface SparseSpec {
  readonly values: TensorSpec;
  readonly indices: TensorSpec;
  readonly dims: readonly (number | bigint)[];
}

export type DimSpec = number | bigint | string | null;

export type TypeSpec = (
  | { readonly tensor: DataType; readonly shape?: readonly DimSpec[] }
  | { readonly sparse: DataType; readonly shape?: readonly DimSpec[] }
  | { readonly sequence: TypeSpec }
  | { readonly optional: TypeSpec }
  | { readonly map: DataType; readonly value: TypeSpec }
  | { readonly opaque: string }
) & { readonly denotation?: string; readonly extra?: readonly RawField[] };

export interface ValueSpec {
  readonly name: Text;
  readonly type?: TypeSpec;
  readonly doc?: Text;
  readonly metadata?: Entries;
  readonly extra?: readonly RawField[];
}

// --- short ways to say it
// ------------------------------------------------------------------------------------------------------------

export function node(
  op: string,
  inputs: readonly Text[],
  outputs: readonly Text[],
  attributes: NodeSpec['attributes'] = {},
  more: Partial<NodeSpec> = {},
): NodeSpec {
  return { op, inputs, outputs, attributes, ...more };
}

/** A tensor value; without a shape its rank is unknown, without a type only its name is said. */
export function value(name: Text, shape?: readonly DimSpec[] | null, type: DataType | null = 'float32'): ValueSpec {
  return type === null ? { name } : { name, type: { tensor: type, ...(shape ? { shape } : {}) } };
}

export function tensor(
  name: Text,
  dims: readonly number[],
  data: TensorSpec['data'],
  type: DataType = 'float32',
): TensorSpec {
  return { name, dims, data, type };
}

/** Weights in [-scale, scale), the same for the same seed. */
export function weights(name: Text, dims: readonly number[], seed: number, scale = 0.5): TensorSpec {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return { name, dims, data: Array.from(seededFloats(count, seed, scale)) };
}
