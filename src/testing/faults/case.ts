import type { GraphSpec, ModelSpec, ValueSpec } from '../model-spec.js';
import { value } from '../model-spec.js';
import { encodeModel } from '../model-builder.js';
import { backbone } from '../fixtures/fixture.js';
import type { Style } from '../wire-writer.js';

/** What stands at a path before the command line runs. */
export type FileContent =
  | Uint8Array
  | { readonly link: string }
  | { readonly hardLink: string }
  | { readonly folder: true }
  | { readonly pipe: true }
  /** A sparse file: bytes at offsets, zeros elsewhere. */
  | { readonly size: number; readonly parts: readonly (readonly [offset: number, bytes: Uint8Array])[] };

/**
 * A bad input, or a fault, and what the program must do; `src/faults.test.ts` runs it. Paths are relative to the
 * working folder.
 */
export interface FaultCase {
  /** Rows of docs/internals/faults.md. */
  readonly rows: readonly number[];
  readonly name: string;
  /** The line of the list of disagreements that this case answers. */
  readonly line?: Disagreement;
  readonly files: () => { readonly [path: string]: FileContent };
  /** `--json` is added. */
  readonly argv: readonly string[];
  readonly exit: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
  /** Exact; given wherever `exit` is not 0. */
  readonly code?: string;
  readonly message?: RegExp;
  readonly hint?: RegExp;
  readonly field?: string | RegExp;
  /** Byte offset of the error; `known`: any within the file. */
  readonly offset?: number | 'known';
  /** Patterns of the warnings, one each, in any order; none given: there must be none. */
  readonly warns?: readonly RegExp[];
  /** What the record must contain. */
  readonly report?: object;
  /** Text that the record must hold. */
  readonly finds?: RegExp;
  /** Names of the outputs of `out.onnx`. */
  readonly outputs?: readonly string[];
  /** Operators of `out.onnx`, in file order. */
  readonly operators?: readonly string[];
  /** Bytes that must stand in `out.onnx`. */
  readonly holds?: () => readonly Uint8Array[];
  /** Patterns of new files other than `out.onnx`. */
  readonly creates?: readonly RegExp[];
  /** Text that must be found on standard output without `--json`. */
  readonly text?: RegExp;
  /** Runs a model in a child: once, not a second time for people. */
  readonly isSlow?: true;
  /** Needs links or pipes. */
  readonly posix?: true;
}

/** Where onnx.checker and ONNX Runtime disagree, or both are wrong: what featx does. */
export const DISAGREEMENTS = {
  'two graphs': 'Two `graph` fields: merged, as protobuf has it',
  'scalar twice': 'A scalar twice (ir_version, data_type, raw_data): the last one counts, with a warning',
  'unknown fields': 'Unknown fields and matched groups: copied byte for byte',
  'trailing bytes': 'Trailing zeros, a stray END_GROUP: refused',
  'needless bytes': 'Needlessly long varints, five-byte lengths: accepted and copied as they are',
  'broken wire': 'Six-byte lengths, long tags, 11-byte varints, field 0, wire types 6 and 7, a million groups: refused',
  'deep bodies': 'If inside If: 30 levels are fine, more than 100 messages are not',
  'initializer twice': 'An initializer twice: refused',
  'unsorted nodes': 'Nodes out of order: accepted with a warning, order kept',
  'broken graph': 'A cycle, a missing tensor, a tensor made twice: refused',
  'output twice': 'An output listed twice: one output',
  'untyped output':
    'An output without a type: the type is written where it is known, else left open with a warning, refused under --strict',
  'wrong output type': 'An output with a wrong type: what leaves a run is what it is',
  'odd names': 'Names that are not UTF-8, or hold NUL: names are bytes',
  'long values': 'raw_data longer than the shape: refused',
  'short values': 'raw_data shorter than the shape, negative dims, dims without end: refused',
  'unknown numbers': 'data_type 99: refused; opset 999: a warning',
  'external range': 'External data outside its file, negative, no number, of another length than the shape: refused',
  'external escape': 'External data outside the folder by path or link: refused',
  'external link inside': 'External data through a link inside the folder, or of a cache: accepted',
  'external hard link': 'External data with several hard links: a warning; refused under --strict-external',
  'external NUL': 'A NUL in a location: refused',
  'external key twice': 'An external key twice: refused',
  'external key unknown': 'An unknown external key: ignored with a warning',
  'large file': 'A model over 2 GiB: inspected; none is written',
  'missing provider': 'A provider that is not there: an error if it was named; `auto` falls back by itself',
} as const;
export type Disagreement = keyof typeof DISAGREEMENTS;

/** Every tensor between input and output, so that nothing has to ask ONNX Runtime. */
export const DECLARED: readonly ValueSpec[] = [
  value('stem/conv', [1, 4, 4, 4]),
  value('stem/act', [1, 4, 4, 4]),
  value('layer1/conv', [1, 8, 2, 2]),
  value('layer1/act', [1, 8, 2, 2]),
  value('pool', [1, 8, 1, 1]),
  value('flat', [1, 8]),
];

/** A valid network of seven nodes, without any warning, with what a case adds or replaces. */
export function network(graph: Partial<GraphSpec> = {}, model: Partial<ModelSpec> = {}, style: Style = {}): Uint8Array {
  return encodeModel({ graph: backbone({ valueInfo: DECLARED, ...graph }), ...model }, style);
}

export const INSPECT = ['inspect', 'm.onnx'] as const;
/** Cuts both features out. */
export const CUT = ['extract', 'm.onnx', '--out', '0,1', '-o', 'out.onnx'] as const;
/** Hooks a feature onto the whole model, which is copied. */
export const HOOK = ['extract', 'm.onnx', '--mode', 'hook', '--out', '0', '-o', 'out.onnx'] as const;

/** The only file of a case. */
export function model(bytes: () => Uint8Array): FaultCase['files'] {
  return () => ({ 'm.onnx': bytes() });
}
