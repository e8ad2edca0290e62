import { elementCount } from '../onnx/types.js';
import { isRecord } from '../options/schema.js';
import { concat } from '../wire/pieces.js';
import { decodeText, encodeText } from '../wire/text.js';
import { malformed, overLimit, unsupported, type Region } from './faults.js';
import type { ArraySpec, FileLayout } from './layout.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { byteLength } from './tensor.js';
import { parseJson } from '../wire/json.js';

/**
 * Words of safetensors for dtypes, in the order in which it sorts tensors in a file (last first).
 * @see https://github.com/huggingface/safetensors (enum Dtype)
 */
const WORDS = new Map<string, string>([
  ['BOOL', 'bool'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F8_E5M2', 'float8e5m2'],
  ['F8_E4M3', 'float8e4m3fn'],
  ['F8_E8M0', 'float8e8m0'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
]);
const KNOWN_ELSEWHERE = new Set(['C64', 'F4', 'F6_E2M3', 'F6_E3M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ']);
const ORDER = [...WORDS.values()];
const METADATA = '__metadata__';
const LENGTH_BYTES = 8;

/** One tensor of a file, its bytes `[start, end)` from the start of the file. */
export interface SafetensorsEntry {
  readonly key: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** Whether bytes begin like a safetensors file: the length of a header below 100 MB, then an object. */
export function isSafetensors(head: Uint8Array): boolean {
  return head.length >= 9 && head[8] === 0x7b && head[4] === 0 && head[5] === 0 && head[6] === 0 && head[7] === 0;
}

/**
 * Reads the header: every tensor, in the order of the file's bytes, which the tensors cover without gap or overlap.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError
 */
export async function readSafetensorsHeader(
  region: Region,
  limits?: TensorLimits,
): Promise<readonly SafetensorsEntry[]> {
  return (await readSafetensorsFile(region, limits)).entries;
}

/** What a header says. */
interface SafetensorsFile {
  readonly entries: readonly SafetensorsEntry[];
  /** Texts by their keys. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** As `readSafetensorsHeader`, with the texts that stand beside the tensors. */
export async function readSafetensorsFile(
  { source, name, start, end }: Region,
  limits: TensorLimits = DEFAULT_TENSOR_LIMITS,
): Promise<SafetensorsFile> {
  const size = end - start;
  if (size < LENGTH_BYTES) throw malformed(name, `${size} bytes are too few for a safetensors file`, 0);
  const first = await source.read(start, start + LENGTH_BYTES);
  const length = new DataView(first.buffer, first.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(limits.headerBytes))
    throw overLimit(
      name,
      `a safetensors header of ${length} bytes is over the limit of ${limits.headerBytes}`,
      'headerBytes',
    );
  const dataStart = LENGTH_BYTES + Number(length);
  if (dataStart > size) throw malformed(name, `the header of ${length} bytes does not fit in the file of ${size}`, 0);
  const text = decodeText(await source.read(start + LENGTH_BYTES, start + dataStart));
  if (!text.startsWith('{')) throw malformed(name, 'its header is not a JSON object', LENGTH_BYTES);
  let header: unknown;
  try {
    header = parseJson(text);
  } catch (error) {
    throw malformed(
      name,
      `its header is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      LENGTH_BYTES,
    );
  }
  if (!isRecord(header)) throw malformed(name, 'its header is not a JSON object', LENGTH_BYTES);
  assertUniqueKeys(text, name);
  const entries = Object.entries(header)
    .filter(([key]) => key !== METADATA)
    .map(([key, value]) => entryOf(key, value, name));
  if (entries.length > limits.arrays)
    throw overLimit(name, `${entries.length} tensors are over the limit of ${limits.arrays}`, 'arrays');
  const said = header[METADATA];
  const metadata = new Map(
    Object.entries(isRecord(said) ? said : {}).flatMap(([key, value]) =>
      typeof value === 'string' ? [[key, value] as const] : [],
    ),
  );
  return { entries: placed(entries, size - dataStart, dataStart, name), metadata };
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && Number(item) >= 0);
}

/**
 * JSON.parse keeps the last of two equal keys; two tensors of one name are refused. Keys of the first level follow `{`
 * or `},`.
 */
function assertUniqueKeys(text: string, name: string): void {
  const seen = new Set<string>();
  let depth = 0;
  let isKey = false;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/gs)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (isKey && depth === 1 && token.startsWith('"')) {
      const key: unknown = JSON.parse(token);
      if (seen.has(String(key))) throw malformed(name, `its header has ${token} twice`);
      seen.add(String(key));
    }
    isKey = token === '{' || token === ',';
  }
}

function entryOf(key: string, value: unknown, name: string): SafetensorsEntry {
  if (!isRecord(value)) throw malformed(name, `tensor ${JSON.stringify(key)} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw malformed(name, `tensor ${JSON.stringify(key)} lacks a dtype, a shape of sizes, or two data_offsets`);
  }
  const word = WORDS.get(dtype);
  if (word === undefined) {
    if (KNOWN_ELSEWHERE.has(dtype))
      throw unsupported(
        name,
        `tensor ${JSON.stringify(key)} is ${dtype}, which featx does not read`,
        `it reads ${[...WORDS.keys()].join(', ')}`,
      );
    throw malformed(name, `tensor ${JSON.stringify(key)} has the unknown dtype ${JSON.stringify(dtype)}`);
  }
  const bytes = elementCount(shape) === null ? null : byteLength(word, shape);
  const [start, end] = offsets;
  if (bytes === null || end - start !== bytes) {
    throw malformed(
      name,
      `tensor ${JSON.stringify(key)} of ${dtype} [${shape.join(', ')}] takes ${bytes ?? 'uncountable'} bytes, its data_offsets span ${end - start}`,
    );
  }
  return { key, dtype: word, shape, start, end };
}

/** Checks that the ranges follow one another from 0 to the end, and moves them to where they are in the file. */
function placed(
  entries: readonly SafetensorsEntry[],
  dataBytes: number,
  dataStart: number,
  name: string,
): SafetensorsEntry[] {
  const sorted = [...entries].sort((a, b) => a.start - b.start || a.end - b.end);
  let at = 0;
  for (const { key, start, end } of sorted) {
    if (start !== at)
      throw malformed(
        name,
        `tensor ${JSON.stringify(key)} begins at ${start}, and ${start < at ? 'overlaps the one that ends' : 'leaves a gap after'} ${at}`,
      );
    at = end;
  }
  if (at !== dataBytes) throw malformed(name, `its tensors take ${at} bytes, and ${dataBytes} follow the header`);
  return sorted.map((entry) => ({ ...entry, start: entry.start + dataStart, end: entry.end + dataStart }));
}

/** Whether safetensors has a word for a dtype. */
export function isSafetensorsDtype(dtype: string): boolean {
  return ORDER.includes(dtype);
}

/**
 * A .safetensors file, byte for byte as the reference library writes it: wide dtypes first, then names in byte order,
 * the header padded to 8.
 */
export function safetensorsLayout(
  arrays: readonly ArraySpec[],
  metadata: ReadonlyMap<string, string> = new Map(),
): FileLayout {
  for (const { key, dtype } of arrays) {
    if (!isSafetensorsDtype(dtype))
      throw unsupported(key, `.safetensors has no dtype ${dtype}`, 'write a directory of .pb');
  }
  const names = arrays.map(({ key }) => encodeText(key));
  const order = arrays
    .map((_array, index) => index)
    .sort(
      (a, b) => ORDER.indexOf(arrays[b].dtype) - ORDER.indexOf(arrays[a].dtype) || compareBytes(names[a], names[b]),
    );
  const members: string[] = [];
  if (metadata.size > 0)
    members.push(
      `"${METADATA}":{${[...metadata]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
        .join(',')}}`,
    );
  const relative = arrays.map(() => 0);
  let at = 0;
  for (const index of order) {
    const { key, dtype, shape } = arrays[index];
    const end = at + (byteLength(dtype, shape) ?? 0);
    const word = [...WORDS].find(([, known]) => known === dtype)?.[0];
    members.push(
      `${JSON.stringify(key)}:{"dtype":"${word}","shape":[${shape.join(',')}],"data_offsets":[${at},${end}]}`,
    );
    relative[index] = at;
    at = end;
  }
  const json = encodeText(`{${members.join(',')}}`);
  const padded = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES;
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded), true);
  const head = concat([length, json, new Uint8Array(padded - json.length).fill(0x20)]);
  return {
    size: head.length + at,
    offsets: relative.map((offset) => head.length + offset),
    checksumSeeds: null,
    frame: () => [{ position: 0, bytes: head }],
  };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++)
    if (a[index] !== b[index]) return a[index] - b[index];
  return a.length - b.length;
}
