import type { TensorValue } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { assertList, assertPath, shown } from '../options/check.js';
import { isRecord } from '../options/schema.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { BufferSource, exactSource, type ByteSource } from '../wire/source.js';
import type { WriteOptions } from '../wire/sink.js';
import { readTensors } from './array-file.js';
import { stackEntries } from './batches.js';
import { checksum } from './checksum.js';
import { decodePicture } from './image.js';
import { pictureTensor } from './picture-tensor.js';
import { ReopenedFile } from './lazy-array.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { openWriter } from './open-writer.js';
import { ARRAY_FORMATS, assertHolds, outputKeys, type ArrayFormat } from './output-format.js';
import { AUTO, recipeNamed } from '../preprocessing/find.js';
import { hasBatchAxis, type ImageInput } from '../preprocessing/input.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import { settled, type ImageOptions } from '../preprocessing/settle.js';
import { readText } from './beside-model.js';
import { isStrings, valueBytes } from './tensor.js';
import { encodeStrings, longestOf } from './text-arrays.js';

/** How pictures are read. */
export interface PictureOptions extends ImageOptions {
  readonly fileSystem?: FileSystem;
  /** What a picture may cost. */
  readonly limits?: Partial<TensorLimits>;
}

/**
 * Pictures (jpg, png, webp; paths or bytes) as one tensor `[N, 3, H, W]` or `[N, H, W, 3]` for an input of a model,
 * prepared as `preprocess` says, else as timm does by default: `net.readPictures` asks the model, as `run` does. For an
 * input without a batch axis, one picture as `[3, H, W]` or `[H, W, 3]`.
 * @param input such as `net.inputs[0]`
 * @throws UsageError if a picture cannot be that input; ModelFormatError for bytes that cannot be decoded;
 * PolicyError; IoError; RuntimeError without sharp
 */
export async function readPictures(
  pictures: readonly (string | Uint8Array)[],
  input: ImageInput,
  { fileSystem, limits, ...options }: PictureOptions = {},
): Promise<TensorValue> {
  if (!isRecord(input)) throw wrongArgument('the input', input, '{ name, dtype, shape }');
  const found = await recipeNamed(options.preprocess ?? AUTO, (path) => readText(path, fileSystem ?? nodeFileSystem));
  return picturesAs(pictures, input.name, settled(input, found, options), { fileSystem, limits });
}

/** Pictures as an input takes them. */
export async function picturesAs(
  pictures: readonly (string | Uint8Array)[],
  input: string,
  to: Preprocessing,
  { fileSystem, limits }: Pick<PictureOptions, 'fileSystem' | 'limits'>,
): Promise<TensorValue> {
  assertList<string | Uint8Array>('the pictures', pictures, 'paths and bytes', isFile);
  if (pictures.length === 0) throw new UsageError('no picture is given');
  const isBatch = hasBatchAxis(to.layout);
  if (!isBatch && pictures.length > 1)
    throw new UsageError(`input ${input} takes one picture at a time, not ${pictures.length}`, {
      hint: 'read them one by one',
    });
  const entries: TensorValue[] = [];
  for (const [at, picture] of pictures.entries()) {
    const bytes =
      typeof picture === 'string'
        ? await new ReopenedFile(picture, fileSystem).use((source) => source.read(0, source.size))
        : picture;
    const name = typeof picture === 'string' ? picture : `picture ${at + 1}`;
    entries.push(
      pictureTensor(await decodePicture(bytes, name, { ...DEFAULT_TENSOR_LIMITS, ...limits }, to.orientation), to),
    );
  }
  const all = stackEntries(input, entries);
  return isBatch ? all : { ...all, shape: all.shape.slice(1) };
}

function isFile(value: unknown): boolean {
  return (typeof value === 'string' && value !== '') || value instanceof Uint8Array;
}

/** @throws UsageError for what is not a Map of tensors */
function assertArrays(arrays: unknown): asserts arrays is ReadonlyMap<string, TensorValue> {
  if (!(arrays instanceof Map)) throw wrongArgument('the arrays', arrays, 'a Map of tensors by their names');
  for (const [name, value] of arrays) {
    const isTensor =
      isRecord(value) &&
      typeof value['dtype'] === 'string' &&
      Array.isArray(value['shape']) &&
      (Array.isArray(value['data']) || ArrayBuffer.isView(value['data']));
    if (typeof name !== 'string' || !isTensor)
      throw wrongArgument(`the array ${shown(name)}`, value, '{ dtype, shape, data }');
  }
}

function wrongArgument(what: string, value: unknown, wanted: string): UsageError {
  const verb = what.endsWith('arrays') ? 'are' : 'is';
  return new UsageError(`${what} ${verb} ${shown(value)}, not ${wanted}`, { code: 'FEATX_USAGE_OPTION' });
}

/** How array files are read. */
export interface ReadArraysOptions {
  readonly fileSystem?: FileSystem;
  readonly limits?: Partial<TensorLimits>;
  /** What bytes are called in messages; `.pb` at its end says that they are a TensorProto, which has no signature. */
  readonly name?: string;
}

/**
 * The arrays of a .npy, .npz, .safetensors or .pb (TensorProto) file by their keys; `''` for the one of a .npy file.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError, IoError, UsageError
 */
export async function readArrays(
  file: string | Uint8Array | ByteSource,
  { name, ...options }: ReadArraysOptions = {},
): Promise<ReadonlyMap<string, TensorValue>> {
  if (typeof file === 'string') {
    assertPath('the file', file);
    return readTensors(file, options);
  }
  return readTensors(ArrayBuffer.isView(file) ? new BufferSource(file, name) : exactSource(file), options);
}

/**
 * The bytes of an array file; tensors under their names, changed where a format cannot hold them.
 * @throws UsageError for a dtype that the format cannot hold, and for several arrays in one that holds one
 */
export function encodeArrays(
  arrays: ReadonlyMap<string, TensorValue>,
  format: Exclude<ArrayFormat, 'pb-directory'>,
): Uint8Array {
  assertArrays(arrays);
  assertHolds(format, arrays);
  const keys = outputKeys(format, [...arrays.keys()]);
  const values = [...arrays.values()];
  const texts = values.map(({ data }) => (isStrings(data) ? { characters: longestOf(data) } : {}));
  const specs = values.map(({ dtype, shape }, index) => ({ key: keys[index], dtype, shape, ...texts[index] }));
  const layout = ARRAY_FORMATS[format].layout(specs);
  const bytes = new Uint8Array(layout.size);
  const checksums = values.map((value, index) => {
    const { key, characters = 1 } = specs[index];
    const data = isStrings(value.data) ? encodeStrings(value.data, characters, key) : valueBytes(value);
    bytes.set(data, layout.offsets[index]);
    return layout.checksumSeeds === null ? 0 : checksum(data, layout.checksumSeeds[index]);
  });
  for (const { position, bytes: frame } of layout.frame(checksums)) bytes.set(frame, position);
  return bytes;
}

/**
 * Writes arrays to a file by its extension (.npz, .npy, .safetensors, .pb; .jsonl, .csv or .parquet with a row for each
 * entry along axis 0), or to a directory of .pb; the file appears whole or not at all.
 * @throws UsageError for a dtype that the format cannot hold, links and unknown extensions; IoError
 */
export async function writeArrays(
  path: string,
  arrays: ReadonlyMap<string, TensorValue>,
  options: Pick<WriteOptions, 'fileSystem' | 'noClobber' | 'follow'> = {},
): Promise<void> {
  assertPath('the file', path);
  assertArrays(arrays);
  const rows = [...arrays.values()][0]?.shape[0] ?? 1;
  await using writer = await openWriter(path, { ...options, totalRows: rows });
  await writer.write(arrays, rows);
  await writer.finish();
}
