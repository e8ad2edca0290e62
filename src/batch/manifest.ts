import { dirname } from 'node:path';
import { UsageError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { MOST_SHARDS, type Shard } from '../options/values.js';
import type { RunManifest } from '../shards/run-shard.js';
import { VERSION } from '../version.js';
import { FileSource } from '../wire/file-source.js';
import { relativeTo } from '../wire/find-files.js';
import { type FileSystem, ioError } from '../wire/fs.js';
import { parseJson } from '../wire/json.js';
import { writeFile } from '../wire/sink.js';
import { BufferSource } from '../wire/source.js';
import { decodeText } from '../wire/text.js';
import type { BatchPlan, PlannedItem } from './jobs.js';
import type { Made } from './made.js';

/**
 * What a run, or one shard of it, made of which items. Says nothing of when or how fast: the same work gives the same
 * bytes.
 */
export interface Manifest {
  readonly schema: 1;
  readonly command: 'batch-manifest';
  readonly featx: string;
  /** Digest of everything that was asked for, by all shards together. */
  readonly plan: string;
  readonly shard: Pick<Shard, 'index' | 'count'>;
  /** What the paths are relative to, relative to the directory of the manifest. */
  readonly root: string;
  /** Items of all shards. */
  readonly total: number;
  readonly items: readonly ManifestItem[];
}

/** An item of a manifest. */
export interface ManifestItem {
  /** Place among the items of all shards, from 0. */
  readonly position: number;
  readonly item: string;
  readonly output: string;
  readonly status: 'done' | 'failed';
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Every file that it wrote: the model, and a sidecar where it has one. */
  readonly files: readonly ManifestFile[];
}

/** A file that an item wrote. */
export interface ManifestFile {
  /** Relative to the root of the run. */
  readonly path: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

/** What a manifest is written from. */
export interface ManifestSource {
  readonly plan: BatchPlan;
  readonly shard: Pick<Shard, 'index' | 'count'>;
  readonly items: readonly PlannedItem[];
  /** What was made of an item, or why not. */
  readonly madeOf: (item: PlannedItem) => Promise<Made | { readonly error: unknown } | null>;
}

/** What the manifest of a shard is called; `manifest.json` for the only one. */
export function manifestName({ index, count }: Pick<Shard, 'index' | 'count'>): string {
  return count === 1 ? 'manifest.json' : `manifest.${index}-of-${count}.json`;
}

/**
 * Writes the manifest of a shard, item by item.
 * @throws IoError
 */
export async function writeManifest(
  path: string,
  { plan, shard, items, madeOf }: ManifestSource,
  fs: FileSystem,
): Promise<void> {
  const records: ManifestItem[] = [];
  for (const item of items) {
    const made = await madeOf(item);
    const { position, item: model, output } = item;
    if (made === null || 'error' in made) {
      const error = made?.error as ManifestItem['error'] | undefined;
      records.push({
        position,
        item: model,
        output,
        status: 'failed',
        error: { code: error?.code ?? 'FEATX_BATCH', message: error?.message ?? 'nothing is known of what was made' },
        files: [],
      });
    } else {
      const files = made.writes.map(({ path: file, size, sha256 }) => ({ path: file, size_bytes: size, sha256 }));
      records.push({ position, item: model, output, status: 'done', error: null, files });
    }
  }
  const { index, count } = shard;
  await storeManifest(
    path,
    {
      schema: 1,
      command: 'batch-manifest',
      featx: VERSION,
      plan: plan.digest,
      shard: { index, count },
      root: relativeTo(dirname(path), plan.root),
      total: plan.items.length,
      items: records,
    },
    fs,
  );
}

/** Writes a manifest, whole or not at all: a header and one item per line. @throws IoError */
export async function storeManifest(path: string, { items, ...header }: Manifest, fs: FileSystem): Promise<void> {
  const head = JSON.stringify(header);
  const text = `${head.slice(0, -1)},"items":[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]}\n`;
  await fs.mkdir(dirname(path)).catch((error: unknown) => {
    throw ioError(error, 'create the directory', dirname(path));
  });
  await writeFile(new BufferSource(new Uint8Array(0)), [new TextEncoder().encode(text)], path, { fileSystem: fs });
}

const LARGEST_MANIFEST = 2 ** 30;
/** Inputs of one run: more than any has, and few enough to count through. */
const MOST_INPUTS = 1_000_000_000;

/**
 * Reads what a shard says it made. Whoever wrote it, its numbers agree with each other and its paths are paths; those
 * of a run lie beside it.
 * @throws UsageError `FEATX_MERGE` if the file is not such a manifest; IoError
 */
export async function readManifest(path: string, fs: FileSystem): Promise<Manifest | RunManifest> {
  const source = await FileSource.open(path, fs);
  try {
    if (source.size > LARGEST_MANIFEST)
      throw new UsageError(`${path} is too large for a manifest: ${source.size} bytes`, { code: 'FEATX_MERGE', path });
    const value = parseJson(decodeText(await source.read(0, source.size)));
    if (isManifest(value) || isRunManifest(value)) return value;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  } finally {
    await source.close();
  }
  throw new UsageError(`${path} is not a manifest of a batch or a run`, { code: 'FEATX_MERGE', path });
}

function isManifest(value: unknown): value is Manifest {
  if (
    !isRecord(value) ||
    value.schema !== 1 ||
    value.command !== 'batch-manifest' ||
    !isShard(value.shard) ||
    !Array.isArray(value.items)
  )
    return false;
  return (
    [value.plan, value.featx].every((text) => typeof text === 'string') &&
    isPath(value.root) &&
    Number.isSafeInteger(value.total) &&
    value.items.every(isItem)
  );
}

function isRunManifest(value: unknown): value is RunManifest {
  if (
    !isRecord(value) ||
    value.schema !== 1 ||
    value.command !== 'run-manifest' ||
    !isShard(value.shard) ||
    !Array.isArray(value.files)
  )
    return false;
  const { total, first, end, rows, files, output } = value;
  if (!isCount(total) || !isCount(first) || !isCount(end) || first > end || end > total || rows !== end - first)
    return false;
  const isBeside = isInside(output) && !/[\\/]/.test(output);
  const paths = new Set(files.map((file) => (isRecord(file) ? file.path : null)));
  return (
    isBeside &&
    [value.plan, value.featx].every((text) => typeof text === 'string') &&
    files.every((file) => isFile(file) && isInside(file.path)) &&
    paths.size === files.length &&
    (value.arrays === undefined || (Array.isArray(value.arrays) && value.arrays.every(isArray)))
  );
}

/** Axes of a tensor that anybody has. */
const MOST_AXES = 64;

function isArray(value: unknown): boolean {
  if (!isRecord(value) || typeof value.key !== 'string') return false;
  const { entry_axis: axis, offsets } = value;
  const isAxis = axis === null || (isCount(axis) && axis < MOST_AXES);
  return isAxis && (offsets === undefined || typeof offsets === 'string');
}

function isShard(shard: unknown): boolean {
  if (!isRecord(shard) || !Number.isSafeInteger(shard.index) || !Number.isSafeInteger(shard.count)) return false;
  return Number(shard.index) >= 1 && Number(shard.index) <= Number(shard.count) && Number(shard.count) <= MOST_SHARDS;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST_INPUTS;
}

function isPath(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0');
}

/** A path that leads to something below the folder it is relative to. */
function isInside(value: unknown): value is string {
  return (
    isPath(value) &&
    !/^(?:[a-z]:|[\\/])/i.test(value) &&
    value.split(/[\\/]/).every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

function isFile(file: unknown): file is { readonly path: string } {
  return (
    isRecord(file) && isPath(file.path) && Number.isSafeInteger(file.size_bytes) && typeof file.sha256 === 'string'
  );
}

function isItem(value: unknown): boolean {
  if (
    !isRecord(value) ||
    !isPath(value.item) ||
    !isPath(value.output) ||
    !Number.isSafeInteger(value.position) ||
    !Array.isArray(value.files) ||
    !value.files.every(isFile)
  )
    return false;
  return value.status === 'failed' || (value.status === 'done' && value.files.length > 0);
}
