import { UsageError } from '../errors.js';
import { FileSource } from '../wire/file-source.js';
import type { FileSystem } from '../wire/fs.js';
import { parseJson } from '../wire/json.js';
import { decodeText } from '../wire/text.js';
import type { Manifest } from './manifest.js';
import type { RunManifest } from './run-shard.js';
import { MOST_SHARDS } from '../options/values.js';
import { isRecord } from '../options/schema.js';

const LARGEST_MANIFEST = 2 ** 30;
/** Inputs of one run: more than any has, and few enough to count through. */
const MOST_INPUTS = 1_000_000_000;

/**
 * Reads what a shard says it made. Whoever wrote it, its numbers agree with each other and its paths are paths; those of a run lie beside it.
 * @throws UsageError `FEATX_MERGE` where the file is no such manifest; IoError
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
  throw new UsageError(`${path} is no manifest of a batch or a run`, { code: 'FEATX_MERGE', path });
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
    paths.size === files.length
  );
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
