import type { TensorValue } from '../onnx/tensor-value.js';
import type { TargetOptions } from '../wire/target.js';
import type { Joining } from './joining.js';
import type { Entry, Provenance } from './provenance.js';

/** What made the features of a file, and every entry in its order; null if `write` tells them as they come. */
export interface Origin {
  readonly provenance: Provenance;
  readonly entries: readonly Entry[] | null;
}

/** Where and how features are written. */
export interface WriterOptions extends TargetOptions {
  readonly signal?: AbortSignal;
  /** Files that are being read, which the target must not be. */
  readonly inputs?: readonly string[];
  /** Entries along axis 0 that all batches together bring; null if nobody knows. */
  readonly totalRows: number | null;
  /** How what comes in batches becomes one array, by name; along axis 0 by default. */
  readonly joinings?: ReadonlyMap<string, Joining | null>;
  /** Arrays that say where the rows of each entry begin, which rows themselves show. */
  readonly offsets?: ReadonlySet<string>;
  /** What the file says of itself, in formats that have a place for it. */
  readonly origin?: Origin;
  /** Takes the bytes instead of a file: for standard output. */
  readonly write?: (bytes: Uint8Array) => Promise<void>;
}

/** A file that was written, and the tensors in it under their keys (in a directory: their file names). */
export interface WrittenFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly tensors: readonly { readonly name: string; readonly key: string; readonly shape: readonly number[] }[];
}

/** What takes features as they are computed, and puts a file in its place at the end. */
export interface FeatureWriter extends AsyncDisposable {
  /** What the file does not say as it was asked to. */
  readonly warnings: readonly string[];

  /**
   * Takes a batch: tensors by name, how many entries they are of, and where each came from. Returns once the batch
   * before it is written, so that writing overlaps with what the caller does next; the tensors must not change after.
   * @throws UsageError if tensors do not fit the file or the batches before; IoError
   */
  write(batch: ReadonlyMap<string, TensorValue>, rows: number, entries?: readonly Entry[]): Promise<void>;

  /** Puts the finished files in place. @throws IoError; UsageError if fewer entries came than were announced */
  finish(): Promise<WrittenFile[]>;
}
