import { UsageError } from './errors.js';
import { checkOptions, shown } from './options/check.js';
import { indexModel, type OpenOptions } from './onnx/model.js';
import type { OnnxModel } from './onnx/records.js';
import { FileSource } from './wire/file-source.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';
import type { ByteSource } from './wire/source.js';

/** @throws UsageError for what is neither a path nor bytes nor a source of them */
function asBytes(input: Uint8Array | ByteSource): Uint8Array | ByteSource {
  const given: unknown = input;
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return input;
  throw new UsageError(`the model is ${shown(given)}, not a path, bytes in a Uint8Array, or a source of bytes`, {
    code: 'FEATX_USAGE_OPTION',
  });
}

/** How a model is opened. */
export interface OpenModelOptions extends OpenOptions {
  readonly fileSystem?: FileSystem;
}

/**
 * Opens a model from a path, from bytes, or from any source of bytes: an index of the graph; the weights stay where
 * they are.
 * @example `await using model = await openModel('backbone.onnx')`
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError
 */
export async function openModel(
  input: string | Uint8Array | ByteSource,
  options: OpenModelOptions = {},
): Promise<OnnxModel> {
  checkOptions('model', options);
  if (typeof input !== 'string') return indexModel(asBytes(input), options);
  const source = await FileSource.open(input, options.fileSystem ?? nodeFileSystem);
  try {
    return await indexModel(source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}
