import { basename, join } from 'node:path';
import { IoError, UnsupportedModelError } from './errors.js';
import { isRecord } from './options/schema.js';
import { option } from './options/words.js';
import { download, downloadedBytes } from './remote/download.js';
import { indexedFiles, PYTHON_INDEX, type IndexedFile } from './remote/package-index.js';
import { settingsOf, type RemoteOptions, type Settings } from './remote/settings.js';
import { canFetchCuda, CUDA_WHEELS, type LibraryWheel } from './runtime/cuda.js';
import { runtimeFiles } from './runtime/session.js';
import { inflated, openZip } from './tensors/zip.js';
import { FileSource } from './wire/file-source.js';
import { nodeFileSystem, orNothing, type FileSystem } from './wire/fs.js';
import { parseJson } from './wire/json.js';
import type { ByteSource } from './wire/source.js';
import { TemporaryFile } from './wire/temporary-file.js';
import { decodeText, encodeText } from './wire/text.js';

/** How libraries are fetched. */
export interface LibraryOptions {
  readonly index?: string;
  readonly remote?: RemoteOptions;
  readonly fileSystem?: FileSystem;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  /** Where they go and which they are; beside onnxruntime-node, and those of CUDA, by default. */
  readonly folder?: string;
  readonly wheels?: readonly LibraryWheel[];
}

/** A wheel as it is planned: `file` is null if its libraries are there already. */
export interface PlannedWheel {
  readonly wheel: LibraryWheel & { readonly version: string };
  readonly file: IndexedFile | null;
}

/** What `fetchLibraries` does. */
export interface LibraryPlan {
  readonly index: string;
  readonly folder: string;
  readonly wheels: readonly PlannedWheel[];
  /** Bytes that are not on this machine yet. */
  readonly downloadBytes: number;
}

/** What was put there, for the next time: which wheel each library is of, and how long it is. */
const RECORD = 'featx-libraries.json';
/** Wheels for Linux on x64, of whatever Python: the libraries in them are the same. */
const FITTING = /manylinux[\w.]*_x86_64\.whl$/;
const STORED = 0;
const CHUNK = 8 * 1024 * 1024;

/**
 * Which wheels are needed for the CUDA provider, and where they are; fetches nothing but pages of the index.
 * @throws UnsupportedModelError for a platform without wheels; RuntimeError without onnxruntime-node; IoError
 */
export async function planLibraries(options: LibraryOptions = {}): Promise<LibraryPlan> {
  if (!canFetchCuda())
    throw new UnsupportedModelError(
      `${option('fetch', true)} has libraries for Linux on x64 only, and this is ${process.platform} on ${process.arch}`,
      { hint: 'docs/platforms.md says what works here' },
    );
  const { fileSystem = nodeFileSystem, wheels = CUDA_WHEELS, remote, signal } = options;
  const settings = settingsOf(remote, { fileSystem, signal });
  const folder = options.folder ?? runtimeFiles().libraries;
  const { PIP_INDEX_URL } = remote?.environment ?? process.env;
  // An empty variable is one that is not set.
  const index = options.index ?? (PIP_INDEX_URL || PYTHON_INDEX);
  const record = await readRecord(folder, fileSystem);
  const planned: PlannedWheel[] = [];
  let downloadBytes = 0;
  for (const { package: name, version: fixed, holds } of wheels) {
    const wheel = { package: name, version: fixed ?? runtimeFiles().version, holds };
    const isThere = await areThere(wheel, folder, record, fileSystem);
    const file = isThere ? null : await find(wheel, index, settings);
    planned.push({ wheel, file });
    if (file !== null) downloadBytes += file.size - (await downloadedBytes(file, settings));
  }
  return { index, folder, wheels: planned, downloadBytes };
}

/** Puts the libraries of a plan into its folder. What is broken off goes on there the next time. @throws IoError */
export async function fetchLibraries(plan: LibraryPlan, options: LibraryOptions = {}): Promise<void> {
  const { fileSystem = nodeFileSystem, remote, signal, onProgress } = options;
  const settings = settingsOf(remote, { fileSystem, signal });
  let done = 0;
  const record: { [name: string]: WheelRecord } = { ...(await readRecord(plan.folder, fileSystem)) };
  for (const { wheel, file } of plan.wheels) {
    if (file === null) continue;
    const path = await download(file, settings, (bytes) => onProgress?.((done += bytes), plan.downloadBytes));
    signal?.throwIfAborted();
    const source = await FileSource.open(path, fileSystem);
    try {
      const sizes = await unpack(source, wheel, plan.folder, fileSystem);
      record[wheel.package] = { version: wheel.version, sha256: file.sha256, sizes };
    } finally {
      await source.close();
    }
    await writeRecord(plan.folder, record, fileSystem);
    await fileSystem.unlink(path);
  }
}

async function find(
  { package: name, version }: PlannedWheel['wheel'],
  index: string,
  { offline, fetch, patience, signal }: Settings,
): Promise<IndexedFile> {
  if (offline)
    throw new IoError(`${name} ${version} is not here, and nothing may be fetched`, {
      code: 'FEATX_REMOTE_OFFLINE',
      hint: `leave out ${option('remote.offline', true)}`,
    });
  const files = await indexedFiles(index, name, { fetch, patience, signal });
  const prefix = `${name.replaceAll('-', '_')}-${version}-`;
  const fitting = files.filter((file) => file.name.startsWith(prefix) && FITTING.test(file.name));
  if (fitting.length > 0) return fitting.reduce((least, file) => (file.size < least.size ? file : least));
  throw new IoError(`${index} has no wheel of ${name} ${version} for Linux on x64`, {
    code: 'FEATX_IO_NOT_FOUND',
    hint: `name an index that has it with ${option('index')}`,
  });
}

/** Writes the libraries of a wheel into a folder; returns their sizes. */
async function unpack(
  source: ByteSource,
  { package: name, version, holds }: PlannedWheel['wheel'],
  folder: string,
  fs: FileSystem,
): Promise<{ readonly [library: string]: number }> {
  const sizes: { [library: string]: number } = {};
  const zip = await openZip(source);
  for await (const entry of zip.eachEntry()) {
    const library = basename(decodeText(entry.fileNameRaw));
    if (!holds.includes(library)) continue;
    const { fileDataStart: start } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    const place = { name: `${name} ${version} (${library})`, start, end: start + entry.compressedSize };
    const bytes = entry.compressionMethod === STORED ? stored(source, place) : inflated(source, place);
    sizes[library] = await write(bytes, join(folder, library), folder, fs);
  }
  const missing = holds.filter((library) => !Object.hasOwn(sizes, library));
  if (missing.length > 0)
    throw new IoError(`the wheel of ${name} ${version} does not hold ${missing.join(', ')}`, {
      code: 'FEATX_IO_CHANGED',
    });
  return sizes;
}

async function* stored(source: ByteSource, { start, end }: { start: number; end: number }): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += CHUNK) yield await source.read(at, Math.min(end, at + CHUNK));
}

async function write(bytes: AsyncIterable<Uint8Array>, path: string, folder: string, fs: FileSystem): Promise<number> {
  const file = await TemporaryFile.create(folder, fs);
  try {
    let at = 0;
    for await (const chunk of bytes) {
      await file.write(chunk, at);
      at += chunk.length;
    }
    await file.seal(at);
    await file.commit(path);
    return at;
  } catch (error) {
    await file.discard();
    throw error;
  }
}

interface WheelRecord {
  readonly version: string;
  readonly sha256: string;
  readonly sizes: { readonly [library: string]: number };
}

function isWheelRecord(value: unknown): value is WheelRecord {
  return (
    isRecord(value) && typeof value.version === 'string' && typeof value.sha256 === 'string' && isRecord(value.sizes)
  );
}

async function readRecord(folder: string, fs: FileSystem): Promise<{ readonly [name: string]: WheelRecord }> {
  const path = join(folder, RECORD);
  if ((await orNothing(fs.stat(path), path)) === null) return {};
  const source = await FileSource.open(path, fs);
  try {
    const value = parseJson(decodeText(await source.read(0, source.size)));
    const wheels = isRecord(value) && isRecord(value.wheels) ? Object.entries(value.wheels) : [];
    return Object.fromEntries(wheels.filter((entry): entry is [string, WheelRecord] => isWheelRecord(entry[1])));
  } catch (error) {
    // A record that is broken says nothing of what lies there; it is written anew.
    if (error instanceof SyntaxError) return {};
    throw error;
  } finally {
    await source.close();
  }
}

async function writeRecord(folder: string, wheels: object, fs: FileSystem): Promise<void> {
  const bytes = encodeText(`${JSON.stringify({ schema: 1, wheels }, null, 1)}\n`);
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  await write(whole(), join(folder, RECORD), folder, fs);
}

/** Whether the libraries of a wheel are those that were put there, by the record and their sizes. */
async function areThere(
  { package: name, version, holds }: PlannedWheel['wheel'],
  folder: string,
  record: { readonly [name: string]: WheelRecord },
  fs: FileSystem,
): Promise<boolean> {
  const known = Object.hasOwn(record, name) ? record[name] : undefined;
  if (known?.version !== version) return false;
  for (const library of holds) {
    const state = await orNothing(fs.stat(join(folder, library)), library);
    if (state === null || Number(state.size) !== known.sizes[library]) return false;
  }
  return true;
}
