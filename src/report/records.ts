import type { PreprocessingRecord } from './run-records.js';
import type { Embedding, EmbeddingRole, Feature, Layout, ResolverName } from '../features/feature.js';
import type { Selection } from '../features/selectors.js';
import { storedCodes, storedFeature, type StoredFeature } from '../features/stored-info.js';
import type { Dim } from '../onnx/records.js';
import type { TensorType, TypeOrigin } from '../onnx/types.js';

export type * from './extract-records.js';

/**
 * The report records of the commands: what `--json` prints and the library returns. Their keys are the contract's and
 * keep the spelling that timm and JSON have; units are part of a key. Shapes are integers, symbols, and null for an
 * unknown dimension; a null shape is an unknown rank.
 */

/** A graph input or output, or any tensor of the model; a value that is not a tensor has `type` instead of `dtype`. */
export interface TensorRecord {
  readonly name: string;
  readonly dtype?: string | null;
  readonly type?: string;
  readonly shape: readonly Dim[] | null;
}

/** The model that a report is about. */
export interface ModelRecord {
  /** As given; `-` for standard input, null for bytes in memory. */
  readonly path: string | null;
  readonly size_bytes: number;
  readonly ir_version: number;
  /** Opset version by domain, `''` being the default domain. */
  readonly opset_imports: { readonly [domain: string]: number };
  readonly producer: string;
  /** The entries of metadata_props, featx's own aside; null for a value of more than 1 MiB. */
  readonly metadata: { readonly [key: string]: string | null };
  readonly nodes: number;
  /** Nodes inside `If`, `Loop` and `Scan` bodies and in functions; only where there are any. */
  readonly inner_nodes?: number;
  readonly initializers: number;
  /** Initializers that are graph inputs too: a caller may override them. */
  readonly overridable_initializers: number;
  /** Bytes of all initializers, from their dims and dtypes. */
  readonly weights_bytes: number;
  readonly functions: number;
  /** Locations of external data, each once. */
  readonly external_data: readonly string[];
}

/** A feature as a cut stores it, less what only a later cut needs. */
export type FeatureRecord = Omit<StoredFeature, 'grid'>;

/** A list of features beside the FeatureInfo: `neck`, `decoder`, `tower.<input name>`, `blocks`, `attention`. */
export interface GroupRecord {
  readonly name: string;
  readonly features: readonly FeatureRecord[];
  /** Those that are asked for; if none of the group is, those that a cut was made to give. */
  readonly out_indices: readonly number[];
}

/** The pooled vector that enters the classifier. */
export interface EmbeddingRecord {
  readonly tensor: string;
  readonly role: EmbeddingRole;
  readonly because: string;
  readonly num_chs: number | null;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  readonly codes?: StoredFeature['codes'];
}

/** Any tensor that a node makes, for `--tensors`. */
export interface NodeTensorRecord extends TensorRecord {
  readonly op_type: string;
  readonly node: string;
  readonly module: string | null;
  /**
   * Who says dtype and shape: the file (`declared`), the rules of operators (`inferred`), or ONNX Runtime (`asked`);
   * null if nobody does.
   */
  readonly origin: TypeOrigin | null;
}

/** A module of the network that was exported, for `--modules`. */
export interface ModuleTreeRecord {
  readonly path: string;
  /** Null if the exporter did not write it. */
  readonly class: string | null;
  readonly calls: number;
  /** Those of the modules inside it included. */
  readonly nodes: number;
  /** What leaves it, in the order it is made: `path#0`, `path#1`, … */
  readonly outputs: readonly {
    readonly tensor: string;
    readonly shape: readonly Dim[] | null;
    readonly dtype: string | null;
  }[];
}

/** What one resolver said, for `--explain`. */
export interface AttemptRecord {
  readonly resolver: ResolverName;
  readonly outcome: string;
  /** What it made of the feature in question; null if it found none of that index. */
  readonly feature: FeatureRecord | null;
}

/** What each resolver said of a feature (`--explain`). */
export interface ExplanationRecord {
  readonly index: number;
  /** The group that the index counts in, where it is not the FeatureInfo. */
  readonly group?: string;
  readonly tried: readonly AttemptRecord[];
}

/** What `--module`, `--tensor`, `--node` and `--embedding` select. */
export interface SelectedRecord {
  /** Null if it was selected by name. */
  readonly index: number | null;
  /** The group that the index counts in, where it is not the FeatureInfo. */
  readonly group?: string;
  readonly module: string | null;
  /** Several where the outputs of a module are to be concatenated. */
  readonly tensors: readonly string[];
  readonly num_chs: number | null;
  readonly reduction: number | null;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  readonly layout: Layout | null;
}

/** What `inspect` returns. */
export interface InspectReport {
  readonly schema: 1;
  readonly command: 'inspect';
  readonly model: ModelRecord;
  /** Without those that are initializers too. */
  readonly inputs: readonly TensorRecord[];
  readonly outputs: readonly TensorRecord[];
  readonly feature_info: readonly FeatureRecord[];
  readonly out_indices: readonly number[];
  readonly groups: readonly GroupRecord[];
  /** The first of `embeddings`; null if there is none, or nothing says which is meant. */
  readonly embedding: EmbeddingRecord | null;
  readonly embeddings: readonly EmbeddingRecord[];
  /** Numbers that stood in for symbolic input dims; for channels and strides only. */
  readonly nominal_input_shape: { readonly [input: string]: readonly number[] };
  /** Present where something was selected by name. */
  readonly selected?: readonly SelectedRecord[];
  readonly tensors?: readonly NodeTensorRecord[];
  /** In the order of execution, each behind the module it lies in. */
  readonly modules?: readonly ModuleTreeRecord[];
  readonly explain?: ExplanationRecord;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}

/** A feature of a cut compared with the same tensor of its original. */
export interface VerifyFeatureRecord {
  readonly index: number | null;
  /** The group that the index counts in, where it is not the FeatureInfo. */
  readonly group?: string;
  readonly tensor: string;
  readonly output: string;
  /** Where steps stand before the output: the tensor of the cut that was compared. */
  readonly before?: string;
  /** Whether the two are the same, as far as `bit_equal` and `tolerance` say; null if that cannot be judged. */
  readonly equal: boolean | null;
  /** At optimisation level `disabled`. */
  readonly bit_equal: boolean;
  /** Largest difference at optimisation level `all`, relative to the feature's standard deviation. */
  readonly max_difference: number | null;
  /** What `max_difference` may be. */
  readonly tolerance: number;
  /** Why it is not judged. */
  readonly reason?: string;
}

/** What `verify` returns. */
export interface VerifyReport {
  readonly schema: 1;
  readonly command: 'verify';
  readonly model: string | null;
  readonly extracted: string | null;
  /** Null if nothing is wrong and something cannot be judged. */
  readonly equal: boolean | null;
  /** Why it is not judged. */
  readonly reason: string | null;
  /** How pictures became each input that took any. */
  readonly preprocessing: readonly PreprocessingRecord[];
  readonly features: readonly VerifyFeatureRecord[];
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}

/** One execution provider as `doctor` found it. */
export interface ProviderRecord {
  readonly provider: string;
  readonly works: boolean;
  /** Where the nodes of a trial really ran, the largest share first. */
  readonly ran_on: readonly string[];
  /** What CUDA lacks first: `cuDNN`, `driver`, `device`; null where that is not known. */
  readonly missing: string | null;
  /** Why it does not work. */
  readonly reason: string | null;
  /** What mends it. */
  readonly hint: string | null;
}

/** Libraries that `doctor` fetched, or under `dryRun` would fetch. */
export interface FetchedLibraries {
  /** Where they lie: beside onnxruntime-node. */
  readonly folder: string;
  readonly index: string;
  /** What is downloaded, without what is on this machine already. */
  readonly download_bytes: number;
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly libraries: readonly string[];
    /** `present` if its libraries were there before. */
    readonly state: 'present' | 'fetched' | 'planned';
    /** Null for what was there. */
    readonly size_bytes: number | null;
    readonly sha256: string | null;
  }[];
}

/** What `doctor` returns. */
export interface DoctorReport {
  readonly schema: 1;
  readonly command: 'doctor';
  readonly featx: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
  /** onnxruntime-node; version null if it is not installed. */
  readonly runtime: {
    readonly version: string | null;
    readonly works: boolean;
    readonly reason: string | null;
    readonly hint: string | null;
  };
  readonly providers: readonly ProviderRecord[];
  /** Null without `fetch`. */
  readonly fetched: FetchedLibraries | null;
  /** sharp, which decodes pictures; version null if it is not installed. */
  readonly pictures: {
    readonly version: string | null;
    readonly works: boolean;
    readonly reason: string | null;
    readonly hint: string | null;
  };
  /** @huggingface/tokenizers, which makes tokens of texts. */
  readonly texts: { readonly works: boolean; readonly reason: string | null; readonly hint: string | null };
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}

/** What a command that fails prints under `--json`. */
export interface ErrorRecord {
  readonly schema: 1;
  readonly command: string | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
    readonly path?: string;
    readonly offset?: number;
    readonly field?: string;
  };
}

/** A version of a remote file of which something was fetched. */
export interface CacheEntryRecord {
  readonly url: string;
  readonly size_bytes: number;
  readonly fetched_bytes: number;
  readonly etag: string | null;
  /** When something of it was last fetched, in ISO 8601. */
  readonly fetched_at: string;
  /** `verify` only: `outdated` where the server has another version by now. */
  readonly state?: 'good' | 'damaged' | 'outdated' | 'unchecked';
  /** Why it is not good. */
  readonly reason?: string;
}

/** What `cache` returns. */
export interface CacheReport {
  readonly schema: 1;
  readonly command: 'cache';
  readonly action: 'ls' | 'rm' | 'verify';
  readonly folder: string;
  /** What is there; of `rm`, what was. */
  readonly entries: readonly CacheEntryRecord[];
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}

/** A feature in the contract's spelling. */
export function featureRecord(feature: Feature): FeatureRecord {
  const { grid: _grid, ...record } = storedFeature(feature);
  return record;
}

/** An embedding in the contract's spelling. */
export function embeddingRecord({ tensor, role, numChs, dtype, shape, codes, because }: Embedding): EmbeddingRecord {
  return {
    tensor,
    role,
    num_chs: numChs,
    dtype,
    shape,
    ...(codes == null ? {} : { codes: storedCodes(codes) }),
    because,
  };
}

/** A selection in the contract's spelling. */
export function selectedRecord({
  index,
  group,
  module,
  tensors,
  numChs,
  reduction,
  dtype,
  shape,
  layout,
}: Selection): SelectedRecord {
  const inGroup = group === null ? {} : { group };
  return { index, ...inGroup, module, tensors, num_chs: numChs, reduction, dtype, shape, layout };
}

/** A named type in the contract's spelling; `undefined` is a tensor nobody knows anything about. */
export function tensorRecord(name: string, type: TensorType | undefined): TensorRecord {
  if (type === undefined) return { name, dtype: null, shape: null };
  const { dtype, shape } = type;
  return type.type === undefined ? { name, dtype, shape } : { name, type: type.type, shape };
}
