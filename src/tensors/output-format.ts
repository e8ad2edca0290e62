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
function holdsDtype(format: OutputFormat, dtype: string): boolean {
  if (elementBits(dtype) === null || dtype.startsWith('complex')) return false;
  switch (format) {
    case 'safetensors':
      return isSafetensorsDtype(dtype);
    case 'npz':
    case 'npy':
      return npyDescription(dtype) !== null;
    case 'pb':
    case 'pb-directory':
      return true;
  }
}

/** Whether one file of a format holds several arrays. */
function holdsSeveral(format: OutputFormat): boolean {
  switch (format) {
    case 'npz':
    case 'safetensors':
    case 'pb-directory':
      return true;
    case 'npy':
    case 'pb':
      return false;
  }
}

/** @throws UsageError if a file of this format cannot hold these features */
export function assertHolds(
  format: OutputFormat,
  features: ReadonlyMap<string, { readonly dtype: string }>,
  path?: string,
): void {
  if (features.size === 0) throw new UsageError('there is no feature to write');
  if (features.size > 1 && !holdsSeveral(format))
    throw new UsageError(
      `${path ?? `a .${format}`} holds one array, and there are ${features.size} features: ${[...features.keys()].join(', ')}`,
      { path, hint: 'write .npz, .safetensors or a directory' },
    );
  const unfit = [...features].filter(([, { dtype }]) => !holdsDtype(format, dtype));
  if (unfit.length > 0)
    throw new UsageError(
      `a ${format} cannot hold ${unfit.map(([name, { dtype }]) => `${name} (${dtype})`).join(', ')}`,
      {
        path,
        hint: 'bfloat16 and 8-bit floats fit .safetensors; a directory of .pb holds every numeric dtype',
      },
    );
}

/** The keys of tensors in a file, or their file names (without extension) in a directory. */
export function outputKeys(format: OutputFormat, names: readonly string[]): string[] {
  switch (format) {
    case 'pb-directory':
      return safeFileNames(names);
    case 'npz':
      return archiveKeys(names);
    case 'safetensors':
      return archiveKeys(names, ['__metadata__']);
    case 'npy':
    case 'pb':
      return [...names];
  }
}

/** Where everything goes in one file of a format. */
export function layoutOf(
  format: OutputFormat,
  arrays: readonly ArraySpec[],
  metadata?: ReadonlyMap<string, string>,
): FileLayout {
  const [array] = arrays;
  switch (format) {
    case 'npz':
      return npzLayout(arrays);
    case 'safetensors':
      return safetensorsLayout(arrays, metadata);
    case 'npy':
      return npyLayout(array);
    case 'pb':
    case 'pb-directory':
      return tensorProtoLayout(array);
  }
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
