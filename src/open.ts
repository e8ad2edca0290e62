import { indexModel, type OpenOptions } from './onnx/model.js';
import type { OnnxModel } from './onnx/records.js';
import { FileSource } from './wire/file-source.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';
import type { ByteSource } from './wire/source.js';

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
  if (typeof input !== 'string') return indexModel(input, options);
  const source = await FileSource.open(input, options.fileSystem ?? nodeFileSystem);
  try {
    return await indexModel(source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}
