import { UsageError } from './errors.js';
import { checkOptions, shown } from './options/check.js';
import { indexModel, type OpenOptions } from './onnx/model.js';
import type { OnnxModel } from './onnx/records.js';
import { isAddress, parseAddress } from './remote/address.js';
import { openRemote } from './remote/open-remote.js';
import { settingsOf, type RemoteOptions } from './remote/settings.js';
import { FileSource } from './wire/file-source.js';
import { orNearest } from './wire/find-files.js';
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
  /** How what lies behind a URL is fetched. */
  readonly remote?: RemoteOptions;
  readonly signal?: AbortSignal;
}

/** The path of a model on this machine; null for one in memory or behind a URL. */
export function localPath(input: string | Uint8Array | ByteSource): string | null {
  return typeof input === 'string' && !isAddress(input) ? input : null;
}

/** What a model is called in records and messages, without what may be secret in a URL; null for one in memory. */
export function inputName(input: string | Uint8Array | ByteSource, remote?: RemoteOptions): string | null {
  if (typeof input !== 'string') return null;
  return isAddress(input) ? parseAddress(input, settingsOf(remote).hub.endpoint).shown : input;
}

/**
 * Opens a model from a path, a URL (`https://`, `hf://`), from bytes, or from any source of bytes: an index of the
 * graph; the weights stay where they are.
 * @example `await using model = await openModel('backbone.onnx')`
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError
 */
export async function openModel(
  input: string | Uint8Array | ByteSource,
  options: OpenModelOptions = {},
): Promise<OnnxModel> {
  checkOptions('model', options);
  if (typeof input !== 'string') return indexModel(asBytes(input), options);
  const { remote, fileSystem = nodeFileSystem, signal } = options;
  const noted: string[] = [];
  const source = isAddress(input)
    ? await openRemote(input, remote, { fileSystem, signal, warn: (message) => void noted.push(message) })
    : await orNearest(FileSource.open(input, fileSystem), input, fileSystem, isModel);
  try {
    const model = await indexModel(source, options);
    return noted.length === 0 ? model : { ...model, warnings: [...noted, ...model.warnings] };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function isModel(name: string): boolean {
  return /\.(?:onnx|ort)$/i.test(name);
}
