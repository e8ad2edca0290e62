import { UsageError } from '../errors.js';
import { archiveKeys, safeFileNames } from './file-names.js';
import type { ArraySpec, FileLayout } from './layout.js';
import { npyDescription, npyHeader } from './npy.js';
import { isSafetensorsDtype, safetensorsLayout } from './safetensors.js';
import { byteLength, elementBits } from './tensor.js';
import { tensorProtoLayout } from './tensor-proto.js';
import { npzLayout } from './zip-layout.js';

/** A format that features are written in; `pb-directory` is a TensorProto per file. */
export type OutputFormat = 'npz' | 'npy' | 'safetensors' | 'pb' | 'pb-directory';

const BY_EXTENSION = new Map<string, OutputFormat>([
  ['.npz', 'npz'],
  ['.npy', 'npy'],
  ['.safetensors', 'safetensors'],
  ['.pb', 'pb'],
  ['', 'pb-directory'],
]);

/**
 * What the extension of a path says; none, or a separator at the end, is a directory.
 * @throws UsageError for any other extension
 */
export function outputFormatOf(path: string, isDirectory: boolean): OutputFormat {
  if (isDirectory || /[/\\]$/.test(path)) return 'pb-directory';
  const format = BY_EXTENSION.get(/(?<=[^/\\])\.[^./\\]*$/.exec(path)?.[0].toLowerCase() ?? '');
  if (format !== undefined) return format;
  throw new UsageError(`${path} has no extension of an array file`, {
    code: 'FEATX_USAGE_OUTPUT',
    path,
    hint: 'name a .npz, .npy (one feature), .safetensors or .pb (one feature) file, or a directory for one .pb per feature',
  });
}

/** Whether a format can hold a dtype. */
export function holdsDtype(format: OutputFormat, dtype: string): boolean {
  if (elementBits(dtype) === null || dtype.startsWith('complex')) return false;
  if (format === 'safetensors') return isSafetensorsDtype(dtype);
  return format === 'npz' || format === 'npy' ? npyDescription(dtype) !== null : true;
}

/** The keys of tensors in a file, or their file names (without extension) in a directory. */
export function outputKeys(format: OutputFormat, names: readonly string[]): string[] {
  if (format === 'pb-directory') return safeFileNames(names);
  if (format === 'npz') return archiveKeys(names);
  return format === 'safetensors' ? archiveKeys(names, ['__metadata__']) : [...names];
}

/** Where everything goes in one file of a format. */
export function layoutOf(
  format: OutputFormat,
  arrays: readonly ArraySpec[],
  metadata?: ReadonlyMap<string, string>,
): FileLayout {
  if (format === 'npz') return npzLayout(arrays);
  if (format === 'safetensors') return safetensorsLayout(arrays, metadata);
  const [array] = arrays;
  return format === 'npy' ? npyLayout(array) : tensorProtoLayout(array);
}

function npyLayout({ key, dtype, shape }: ArraySpec): FileLayout {
  const header = npyHeader(dtype, shape, key);
  return {
    size: header.length + (byteLength(dtype, shape) ?? 0),
    offsets: [header.length],
    checksumSeeds: null,
    frame: () => [{ position: 0, bytes: header }],
  };
}
