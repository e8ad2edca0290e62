/** Named limits of the readers; each guards against a hostile file. */
export interface TensorLimits {
  /** Bytes of the values of one array in memory. */
  readonly arrayBytes: number;
  /** Bytes of a header: numpy's dictionary, the JSON of safetensors, the directory of a zip archive. */
  readonly headerBytes: number;
  /** Arrays in one file. */
  readonly arrays: number;
  /** Pixels of one picture. */
  readonly pixels: number;
}

/** safetensors itself allows headers of 100 MB. @see https://github.com/huggingface/safetensors (MAX_HEADER_SIZE) */
export const DEFAULT_TENSOR_LIMITS: TensorLimits = {
  arrayBytes: 4 * 2 ** 30,
  headerBytes: 100_000_000,
  arrays: 100_000,
  pixels: 2 ** 28,
};
