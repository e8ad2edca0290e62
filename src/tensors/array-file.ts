import type { TensorValue } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { option } from '../options/words.js';
import type { FileSystem } from '../wire/fs.js';
import type { ByteSource } from '../wire/source.js';
import { malformed, wholeFile, type Region } from './faults.js';
import {
  openSource,
  ReopenedFile,
  wholeArray,
  type LazyArray,
  type RowRange,
  type SourceAccess,
} from './lazy-array.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { isNpy, readNpyHeader } from './npy.js';
import { isZip, npyArray, openNpz } from './npz.js';
import { PROVENANCE_KEY } from './provenance.js';
import { isWave } from './wave.js';
import { isSafetensors, readSafetensorsFile, type SafetensorsEntry } from './safetensors.js';
import { tensorFromBytes } from './tensor.js';
import { readTensorProto } from './tensor-proto.js';

/** What a file of inputs is. */
export type FileKind = ArrayKind | 'image' | 'wave';

/** Files of arrays. */
export type ArrayKind = 'npy' | 'npz' | 'safetensors' | 'pb';

/** Extensions of the files that `--input` takes from a directory. */
export const INPUT_EXTENSIONS: readonly string[] = [
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.npy',
  '.npz',
  '.safetensors',
  '.pb',
  '.wav',
];

/** The arrays of a file, their headers read and their values not yet. */
export interface ArrayFile {
  readonly kind: FileKind;
  readonly arrays: readonly LazyArray[];
  readonly warnings: readonly string[];
  /** What the file says of itself, where featx wrote it. */
  readonly provenance?: string;
}

/** How a file of arrays is read. */
export interface ArrayFileOptions {
  readonly fileSystem?: FileSystem;
  readonly limits?: Partial<TensorLimits>;
}

/** What a file is, by its first bytes; TensorProto has no signature, so there the extension decides. */
export function kindOf(head: Uint8Array, path: string): FileKind | null {
  const ascii = (start: number, end: number): string => String.fromCharCode(...head.subarray(start, end));
  if (isNpy(head)) return 'npy';
  if (isZip(head)) return 'npz';
  if (isSafetensors(head)) return 'safetensors';
  if (
    (head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff) ||
    ascii(0, 8) === '\x89PNG\r\n\x1a\n' ||
    (ascii(0, 4) === 'RIFF' && ascii(8, 12) === 'WEBP')
  )
    return 'image';
  if (isWave(head)) return 'wave';
  return path.toLowerCase().endsWith('.pb') ? 'pb' : null;
}

/** Reads the first bytes of a file. @throws IoError, UsageError for a kind of file that is not an input */
export async function probeKind(access: SourceAccess): Promise<FileKind> {
  return access.use(async (source) => {
    if (source.size === 0) throw malformed(access.name, 'it is empty', 0);
    const kind = kindOf(await source.read(0, Math.min(16, source.size)), access.name);
    if (kind === null) {
      throw new UsageError(`${access.name} is neither a picture nor sound nor an array file`, {
        path: access.name,
        hint: /\.(txt|jsonl|csv)$/i.test(access.name)
          ? `files of texts go in with ${option('texts')}`
          : 'inputs are jpg, png, webp, .wav, .npy, .npz, .safetensors and .pb (TensorProto)',
      });
    }
    return kind;
  });
}

/**
 * Opens an array file of any kind but pictures.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError, IoError, UsageError
 */
export async function openArrayFile(path: string | ByteSource, options: ArrayFileOptions = {}): Promise<ArrayFile> {
  const access = typeof path === 'string' ? new ReopenedFile(path, options.fileSystem) : openSource(path);
  const kind = await probeKind(access);
  if (kind === 'image' || kind === 'wave')
    throw new UsageError(`${access.name} is ${kind === 'image' ? 'a picture' : 'sound'}, not an array file`, {
      path: access.name,
    });
  return openArrays(access, kind, { ...DEFAULT_TENSOR_LIMITS, ...options.limits });
}

/** The arrays of a file whose kind is known. */
export async function openArrays(access: SourceAccess, kind: ArrayKind, limits: TensorLimits): Promise<ArrayFile> {
  const region = (source: ByteSource): Region => ({ ...wholeFile(source), name: access.name });
  switch (kind) {
    case 'npz': {
      const { arrays, others, comment } = await openNpz(access, limits);
      const warnings = others.map(
        (name) => `${access.name}: ${JSON.stringify(name)} is not a .npy array and is left out`,
      );
      return { kind, arrays, warnings, provenance: comment };
    }
    case 'npy': {
      const { header, size } = await access.use(async (source) => ({
        header: await readNpyHeader(region(source), limits),
        size: source.size,
      }));
      const values = { start: header.dataOffset, end: size, name: access.name };
      return {
        kind,
        arrays: [npyArray({ access, key: '', header, region: values, verify: null, limits })],
        warnings: [],
      };
    }
    case 'safetensors': {
      const { entries, metadata } = await access.use((source) => readSafetensorsFile(region(source), limits));
      const provenance = metadata.get(PROVENANCE_KEY);
      return { kind, arrays: entries.map((entry) => safetensorsArray(access, entry)), warnings: [], provenance };
    }
    case 'pb': {
      const load = async (): Promise<{ readonly name: string; readonly tensor: TensorValue }> =>
        access.use((source) => readTensorProto(region(source), limits));
      const { name: key, tensor } = await load();
      const { dtype, shape } = tensor;
      return { kind, arrays: [wholeArray({ key, dtype, shape }, async () => (await load()).tensor)], warnings: [] };
    }
  }
}

function safetensorsArray(access: SourceAccess, { key, dtype, shape, start, end }: SafetensorsEntry): LazyArray {
  const read = async (rows?: RowRange): Promise<TensorValue> => {
    if (rows === undefined || shape.length === 0 || shape[0] === 0)
      return tensorFromBytes(dtype, shape, await access.use((source) => source.read(start, end)));
    const width = (end - start) / shape[0];
    return tensorFromBytes(
      dtype,
      [rows.end - rows.start, ...shape.slice(1)],
      await access.use((source) => source.read(start + rows.start * width, start + rows.end * width)),
    );
  };
  return { key, dtype, shape, read };
}

/** All arrays of a file in memory, by key (`''` for the one array of a .npy file). @throws as `openArrayFile` */
export async function readTensors(
  path: string | ByteSource,
  options: ArrayFileOptions = {},
): Promise<Map<string, TensorValue>> {
  const { arrays } = await openArrayFile(path, options);
  const tensors = new Map<string, TensorValue>();
  for (const array of arrays) tensors.set(array.key, await array.read());
  return tensors;
}

/** The array of a file that holds one. @throws as `openArrayFile`; UsageError if it holds several */
export async function readOneArray(path: string, options: ArrayFileOptions = {}): Promise<TensorValue> {
  const { arrays } = await openArrayFile(path, options);
  if (arrays.length === 1) return arrays[0].read();
  throw new UsageError(`${path} holds ${arrays.length} arrays (${arrays.map(({ key }) => key).join(', ')}), not one`, {
    path,
    hint: 'save it in a file of its own, as .npy',
  });
}
