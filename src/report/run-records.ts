/** A feature that `run` has written. */
export interface RunFeatureRecord {
  readonly index: number | null;
  readonly group?: string;
  readonly module: string | null;
  readonly tensor: string;
  readonly output: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  /** The axis of the result along which entries stand; null if it does not depend on them, or need not be known. */
  readonly entry_axis: number | null;
  /** How many parts each entry has along that axis; null if each has a number of its own, or none. */
  readonly parts_per_entry: number | null;
  /**
   * The array beside it that says where the rows of each entry begin, if each has a number of its own: entry i has the
   * rows from `offsets[i]` to `offsets[i + 1]`.
   */
  readonly offsets?: string;
  /** Why the values of an entry depend on the others of its batch, if they do: the node, and what it does. */
  readonly mixes_entries?: string;
  /** Positions that only filled up texts of a batch and were not written, if it has a part for each token. */
  readonly padding_left_out?: number;
  /** Of the finite values, null if there are none; these four are missing where no statistics were wanted. */
  readonly min?: number | null;
  readonly max?: number | null;
  readonly mean?: number | null;
  readonly std?: number | null;
  /** Values that are not a number; only where there are any. */
  readonly nan?: number;
  /** Values that are infinite; only where there are any. */
  readonly infinite?: number;
}

/** How pictures became an input. */
export interface PreprocessingRecord {
  readonly input: string;
  /**
   * Who says so: `flags`, the model's `metadata`, a `file` beside it, what its `graph` does by itself; else it is
   * `assumed`.
   */
  readonly source: string;
  /** The file that says it. */
  readonly path: string | null;
  /** The name of a preset that it is, single options aside. */
  readonly preset: string | null;
  /** Null: the picture's own; if only one side is null, in proportion to the other. */
  readonly height: number | null;
  readonly width: number | null;
  /** Pixels of the shortest side in front of the crop, or [height, width]; null: as the picture is. */
  readonly resize: number | readonly [height: number, width: number] | null;
  /** `shortest`, `squash`, `letterbox` or `pad`. */
  readonly fit: string;
  readonly interpolation: string;
  /** Pillow's filters; false: OpenCV's. */
  readonly antialias: boolean;
  /** The share of the resized picture that the centre crop keeps. */
  readonly crop: number;
  /** Where the crop of an odd rest begins: `even`, Python's round, or `down`. */
  readonly crop_rounding: string;
  /** What pixels from 0 to 255 are multiplied by. */
  readonly scale: number;
  /** Per channel, of scaled values; null: nothing is subtracted, and where `std` is null nothing divided. */
  readonly mean: readonly number[] | null;
  readonly std: readonly number[] | null;
  /** `rgb`, `bgr`, or `grey`. */
  readonly channels: string;
  /** Whether the orientation that a camera wrote is applied: `apply` or `ignore`. */
  readonly orientation: string;
  /** Pixels around a picture that does not fill the input. */
  readonly fill: readonly number[];
  readonly dtype: string;
  /** `NCHW`, `NHWC`, or without a batch axis `CHW`, `HWC`. */
  readonly layout: string;
}

/** How files of sound became an input. */
export interface SoundRecord {
  readonly input: string;
  /** Who says so: `flags`, a `file` beside the model; else it is `assumed` that they are as the model takes them. */
  readonly source: string;
  readonly path: string | null;
  /** Samples a second; null: those of each file. */
  readonly sampling_rate: number | null;
  /** Whether each clip got a mean of 0 and a deviation of 1. */
  readonly normalize: boolean;
  readonly files: number;
  /** Files of another rate that were resampled, and files whose channels were averaged. */
  readonly resampled: number;
  readonly averaged: number;
}

/** An input that is left out, and why. */
export interface SkippedRecord {
  readonly input: string;
  readonly code: string;
  readonly message: string;
}

/** What `run` returns. */
export interface RunReport {
  readonly schema: 1;
  readonly command: 'run';
  readonly model: string | null;
  readonly output: string | null;
  /** Where it really ran. */
  readonly provider: string;
  /** Whether CUDA was allowed to multiply float32 as TF32; absent if it did not run there. */
  readonly tf32?: boolean;
  readonly inputs: readonly string[];
  /** What made tokens of texts, and how many of them it cut. */
  readonly tokenizer?: { readonly path: string; readonly max_length: number | null; readonly truncated: number };
  /** The pooling that the files of the model declare, if it was done. */
  readonly pooling?: { readonly path: string; readonly pool: string; readonly normalize: boolean };
  /** Files that could not be read, whose entries are left out. */
  readonly skipped: readonly SkippedRecord[];
  readonly images: number;
  /** Texts that were run; absent if none were given. */
  readonly texts?: number;
  /** How pictures became each input that took any. */
  readonly preprocessing: readonly PreprocessingRecord[];
  /** How sound became each input that took any; absent if none did. */
  readonly sound?: readonly SoundRecord[];
  /** Entries that were run at once, the last batch aside. */
  readonly batch_size: number;
  readonly features: readonly RunFeatureRecord[];
  readonly run_ms: number;
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}
