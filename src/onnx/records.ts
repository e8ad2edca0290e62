import type { ByteRange, Field } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';
import type { FieldList } from './field-list.js';
import type { ReadLimits } from './limits.js';

/**
 * The index of a model: what its messages say, and where their bytes are. A message is a list of field occurrences
 * (`parts`): protobuf merges the occurrences of a singular message, and the bytes of their payloads, concatenated, are
 * the merged message.
 */

/** One axis: a size, a `dim_param`, or unknown. */
export type Dim = number | string | null;

/** TypeProto. `elemType` is a TensorProto.DataType; `shape` null is an unknown rank, `[]` a scalar. */
export type ValueType =
  | { readonly kind: 'tensor' | 'sparse_tensor'; readonly elemType: number; readonly shape: readonly Dim[] | null }
  | { readonly kind: 'sequence' | 'optional'; readonly element: ValueType | null }
  | { readonly kind: 'map'; readonly keyType: number; readonly value: ValueType | null }
  | { readonly kind: 'opaque' };

/** ValueInfoProto: a name and, where the file says, a type. */
export interface ValueInfo {
  readonly field: Field;
  readonly name: string;
  readonly type: ValueType | null;
  /** Its fields but the name: type, denotations, metadata, whatever is unknown. */
  readonly rest: readonly ByteRange[];
  /** The length-delimited fields around it, outermost first. */
  readonly enclosing: readonly Field[];
}

/** Where the values of a tensor lie: `raw_data` or one of the typed fields, in one or several occurrences. */
export interface TensorPayload extends ByteRange {
  readonly fieldNumber: number;
  /** Whether this is one length-delimited run (`raw_data`, packed values) and not a list of single values. */
  readonly contiguous: boolean;
}

/** TensorProto without its values. */
export interface Tensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType */
  readonly dataType: number;
  readonly payloads: readonly TensorPayload[];
  /** `data_location` EXTERNAL, with its key-value pairs in file order. */
  readonly external: readonly StringEntry[] | null;
  /** Its other fields: dims, dtype, name, doc_string, and whatever is unknown. */
  readonly header: readonly ByteRange[];
  readonly parts: readonly Field[];
  /** The length-delimited fields around it, outermost first; lengths that change when the tensor does. */
  readonly enclosing: readonly Field[];
  /** Field path for messages: `graph.initializer[3]`, `graph.node[7].attribute[value].t`. */
  readonly place: string;
}

/** SparseTensorProto; its name is the name of its values. */
export interface SparseTensor {
  readonly field: Field;
  readonly dims: readonly number[];
  readonly values: Tensor | null;
  readonly indices: Tensor | null;
}

/** StringStringEntryProto: a key and its value. */
export interface StringEntry {
  readonly field: Field;
  readonly key: string;
  readonly value: string;
}

/** AttributeProto. Lists longer than 1,024 entries and strings over 64 KiB are left in the file. */
export interface Attribute {
  readonly name: string;
  /** AttributeProto.AttributeType, 0 where the file leaves it out. */
  readonly type: number;
  readonly refAttrName: string;
  readonly field: Field;
  readonly i: number | bigint | null;
  readonly f: number | null;
  readonly s: string | null;
  readonly ints: readonly (number | bigint)[];
  readonly floats: readonly number[];
  readonly strings: readonly string[];
  readonly tensors: readonly Tensor[];
  readonly sparseTensors: readonly SparseTensor[];
  /** Bodies: `g`, then `graphs`. */
  readonly graphs: readonly Graph[];
}

/**
 * NodeProto. Identity is `index`; names may be empty or repeated. An empty input or output name is an omitted optional
 * value.
 */
export interface Node {
  readonly index: number;
  readonly field: Field;
  readonly name: string;
  readonly opType: string;
  /** `''` for the default domain, which may also be spelled `ai.onnx`. */
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly Attribute[];
  /** `metadata_props`, in file order; read them with `nodeMetadata`. */
  readonly metadata: readonly ByteRange[];
}

/** TensorAnnotation: the quantization parameters of a tensor, by name. */
export interface QuantizationAnnotation {
  readonly field: Field;
  readonly tensorName: string;
  readonly parameters: readonly StringEntry[];
}

/** GraphProto: the main graph or a body. */
export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly initializers: readonly Tensor[];
  readonly sparseInitializers: readonly SparseTensor[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfo: readonly ValueInfo[];
  readonly quantizationAnnotations: readonly QuantizationAnnotation[];
  /** Occurrences of the message itself. */
  readonly parts: readonly Field[];
}

/** FunctionProto: a model-local function, identified by domain, name and overload. */
export interface FunctionDef {
  readonly field: Field;
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly Node[];
  /** Attributes with their default values. */
  readonly defaults: readonly Attribute[];
  readonly opsetImports: readonly OpsetImport[];
  readonly valueInfo: readonly ValueInfo[];
}

/** OperatorSetIdProto: a domain, `''` for ONNX's own, and its version. */
export interface OpsetImport {
  readonly field: Field;
  readonly domain: string;
  readonly version: number;
}

/** TrainingInfoProto: its `initialization` and `algorithm` graphs. */
export interface TrainingInfo {
  readonly field: Field;
  readonly graphs: readonly Graph[];
}

/** `metadata_props` of the model; long values stay in the file (see `OnnxModel.text`). */
export interface MetadataEntry {
  readonly field: Field;
  readonly key: string;
  readonly value: ByteRange;
}

/** An indexed model: its graph in memory, its weights in the file. Dispose of it to close the file. */
export interface OnnxModel extends AsyncDisposable {
  readonly source: ByteSource;
  readonly irVersion: number;
  readonly opsetImports: readonly OpsetImport[];
  readonly producerName: string;
  readonly producerVersion: string;
  readonly metadata: readonly MetadataEntry[];
  readonly graph: Graph;
  readonly functions: readonly FunctionDef[];
  readonly trainingInfo: readonly TrainingInfo[];
  /** Every top-level field of the file and of its (merged) main graph, in file order. */
  readonly modelFields: FieldList;
  readonly graphFields: FieldList;
  readonly warnings: readonly string[];
  /** What it was allowed to cost. */
  readonly limits: ReadLimits;
  /** Bytes of the graph that are in memory; null if they belong to a payload that was skipped. */
  resident(range: ByteRange): Uint8Array | null;
  /** Any bytes of the file. */
  read(range: ByteRange): Promise<Uint8Array>;
  /** A string field of any length. */
  text(range: ByteRange): Promise<string>;
}
