import { dirname, join } from 'node:path';
import { ModelFormatError, PolicyError } from './errors.js';
import { fingerprint } from './onnx/fingerprint.js';
import { isInitializer, type GraphView } from './onnx/graph.js';
import type { OnnxModel } from './onnx/records.js';
import { isRecord } from './options/schema.js';
import { openChecked, type CheckedModel } from './prepare.js';
import type { PartRecord, SplitManifest } from './report/split-records.js';
import { FileSource } from './wire/file-source.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';
import { hashFile } from './wire/hash.js';
import { parseJson } from './wire/json.js';
import { decodeText } from './wire/text.js';

/** The parts of a model that was split, and where they lie. */
export interface Chain {
  readonly path: string;
  readonly manifest: SplitManifest;
}

/** A thousand parts with a thousand tensors each. */
const LARGEST_MANIFEST = 64 * 1024 * 1024;
const OPEN_BRACE = 0x7b;

/**
 * The manifest of a split; null for a file that does not begin as JSON does.
 * @throws IoError; ModelFormatError for JSON that is not such a manifest
 */
export async function readManifest(path: string, fs: FileSystem = nodeFileSystem): Promise<Chain | null> {
  const source = await FileSource.open(path, fs);
  try {
    const [first] = await source.read(0, Math.min(1, source.size));
    if (first !== OPEN_BRACE || source.size > LARGEST_MANIFEST) return null;
    const text = decodeText(await source.read(0, source.size));
    let manifest: unknown;
    try {
      manifest = parseJson(text);
    } catch (cause) {
      throw notAManifest(path, cause);
    }
    if (!isManifest(manifest)) throw notAManifest(path);
    return { path, manifest };
  } finally {
    await source.close();
  }
}

function notAManifest(path: string, cause?: unknown): ModelFormatError {
  return new ModelFormatError(`${path} is not a manifest of parts that featx wrote`, {
    code: 'FEATX_SPLIT_MANIFEST',
    path,
    cause,
    hint: 'split the model again',
  });
}

function isManifest(value: unknown): value is SplitManifest {
  if (!isRecord(value) || value['schema'] !== 1 || !isRecord(value['model'])) return false;
  const { parts, outputs } = value;
  return isNames(outputs) && Array.isArray(parts) && parts.length > 0 && parts.every(isPart);
}

function isNames(list: unknown): boolean {
  return Array.isArray(list) && list.every((name) => typeof name === 'string');
}

function isPart(part: unknown): boolean {
  return (
    isRecord(part) &&
    typeof part['file'] === 'string' &&
    /^[^/\\\0]+$/.test(part['file']) &&
    part['file'] !== '..' &&
    typeof part['sha256'] === 'string' &&
    isNames(part['outputs']) &&
    Array.isArray(part['inputs']) &&
    part['inputs'].every(isInput)
  );
}

function isInput(input: unknown): boolean {
  if (!isRecord(input) || typeof input['name'] !== 'string') return false;
  const { from } = input;
  return from === 'model' || (typeof from === 'number' && Number.isInteger(from) && from >= 1);
}

/** @throws PolicyError if the parts are of another model */
export async function assertOfModel({ path, manifest: { model } }: Chain, whole: OnnxModel): Promise<void> {
  const { size, path: name = 'the model' } = whole.source;
  const isOfSize = model.size_bytes === size;
  if (isOfSize && model.fingerprint === (await fingerprint(whole))) return;
  throw new PolicyError(
    isOfSize
      ? `${path} is of another model: ${name} has as many bytes, ${size}, but others in its graph or its weights`
      : `${path} is of another model: of ${model.size_bytes} bytes, not of ${name} with ${size}`,
    { code: 'FEATX_SPLIT_CHANGED', path, hint: 'give the model that was split, or split this one' },
  );
}

/**
 * @param index of the part, from 0
 * @throws ModelFormatError naming all in which a manifest says otherwise than a part and its model do
 */
export function assertWired({ path, manifest }: Chain, index: number, part: GraphView, model: GraphView): void {
  const { inputs, outputs } = manifest.parts[index];
  const said = new Map(inputs.map(({ name, from }) => [name, from]));
  const taken = [...part.inputs.keys()].filter((name) => !isInitializer(part, name));
  const isMade = (name: string, from: number | 'model' | undefined): boolean =>
    from === 'model'
      ? model.inputs.has(name)
      : from !== undefined && from <= index && manifest.parts[from - 1]?.outputs.includes(name) === true;
  const list = (names: Iterable<string>): string => [...names].map((name) => `'${name}'`).join(', ') || 'nothing';
  const isLast = index === manifest.parts.length - 1;
  const made = new Set(manifest.parts.flatMap((each) => each.outputs));
  const wrong = [
    ...(isSameSet(said.keys(), taken) ? [] : [`it takes ${list(taken)}, not ${list(said.keys())}`]),
    ...(isSameSet(outputs, part.outputs.keys()) ? [] : [`it gives ${list(part.outputs.keys())}, not ${list(outputs)}`]),
    ...taken.flatMap((name) => {
      const from = said.get(name);
      return from === undefined || isMade(name, from)
        ? []
        : [`'${name}' does not come from ${from === 'model' ? 'the model' : `part ${from}`}`];
    }),
    ...(!isLast || isSameSet(manifest.outputs, model.outputs.keys())
      ? []
      : [`the outputs of the model are ${list(model.outputs.keys())}, not ${list(manifest.outputs)}`]),
    ...(isLast ? manifest.outputs.filter((name) => !made.has(name)).map((name) => `no part gives '${name}'`) : []),
  ];
  if (wrong.length === 0) return;
  throw new ModelFormatError(`${path} is wrong about part ${index + 1}: ${wrong.join('; ')}`, {
    code: 'FEATX_SPLIT_MANIFEST',
    path,
    hint: 'split the model again',
  });
}

function isSameSet(one: Iterable<string>, other: Iterable<string>): boolean {
  const [a, b] = [new Set(one), new Set(other)];
  return a.size === b.size && [...a].every((name) => b.has(name));
}

/**
 * Opens a part of a chain, which must be the one that was written.
 * @throws PolicyError if it is not; what `openChecked` throws
 */
export async function openPart({ path }: Chain, part: PartRecord, fs?: FileSystem): Promise<CheckedModel> {
  const file = join(dirname(path), part.file);
  await assertPart(file, part, fs);
  return openChecked(file, { fileSystem: fs });
}

/** @throws PolicyError, IoError */
async function assertPart(path: string, { sha256 }: PartRecord, fs: FileSystem = nodeFileSystem): Promise<void> {
  if ((await hashFile(fs, path)).sha256 === sha256) return;
  throw new PolicyError(`${path} is not the part that was written`, {
    code: 'FEATX_SPLIT_CHANGED',
    path,
    hint: 'split the model again',
  });
}
