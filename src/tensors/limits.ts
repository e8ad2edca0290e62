import type { OptionsIn } from '../options/types.js';

/** Named limits of the readers; each guards against a hostile file. */
export type TensorLimits = Required<OptionsIn<'tensorLimits'>>;

/** safetensors itself allows headers of 100 MB. @see https://github.com/huggingface/safetensors (MAX_HEADER_SIZE) */
export const DEFAULT_TENSOR_LIMITS: TensorLimits = {
  arrayBytes: 4 * 2 ** 30,
  headerBytes: 100_000_000,
  arrays: 100_000,
  pixels: 2 ** 28,
};
