import type { TensorValue } from '../onnx/tensor-value.js';
import { dirname, join } from 'node:path';
import { UsageError } from '../errors.js';
import { openArrayFile, type ArrayFile } from '../tensors/array-file.js';
import { ALONG_ROWS, type Joining } from '../tensors/joining.js';
import type { LazyArray } from '../tensors/lazy-array.js';
import { isBitEqual } from '../tensors/compare.js';
import { openWriter } from '../tensors/open-writer.js';
import { isRowFormat, outputFormatOf } from '../tensors/output-format.js';
import { joinedProvenance } from '../tensors/provenance.js';
import { type FileSystem, nodeFileSystem, orNothing } from '../wire/fs.js';
import { hashRanges } from '../wire/hash.js';
import { joinRows } from './merge-rows.js';
import type { MergeOptions, MergeReport } from './merge-report.js';
import type { RunManifest, ShardArray } from './run-shard.js';

/** A manifest and where it is. */
export interface LoadedRun {
  readonly path: string;
  readonly manifest: RunManifest;
}

/** Shards that are named where they are missing. */
const MOST_NAMED = 20;

/** Entries that are in memory at once. */
const ROWS_AT_ONCE = 64;

/**
 * Joins the feature files of all shards of a run along axis 0, in order, into the file that a run without shards would
 * have written.
 * @throws UsageError where the manifests belong to different runs, IoError, ModelFormatError
 */
export async function mergeRuns(shards: readonly LoadedRun[], options: MergeOptions = {}): Promise<MergeReport> {
  const started = performance.now();
  const fs = options.fileSystem ?? nodeFileSystem;
  const ordered = [...shards].sort(
    (a, b) => a.manifest.first - b.manifest.first || a.manifest.shard.index - b.manifest.shard.index,
  );
  const [first] = ordered;
  assertOneRun(ordered);
  const problems = [...gaps(ordered), ...(await damage(ordered, options.content ?? true, fs))];
  const target = options.output ?? join(dirname(first.path), first.manifest.output);
  const rows = ordered.reduce((sum, { manifest }) => sum + manifest.rows, 0);
  const needed = ordered.flatMap(({ path, manifest }) => [
    path,
    ...manifest.files.map((file) => join(dirname(path), file.path)),
  ]);
  const full = ordered.filter(({ manifest }) => manifest.rows > 0);
  if (problems.length === 0) await joinParts(full, { target, needed, rows, fs });
  const files = ordered.flatMap(({ manifest }) => manifest.files);
  return {
    schema: 1,
    command: 'merge',
    output: problems.length === 0 ? target : null,
    shards: first.manifest.shard.count,
    items: rows,
    done: rows,
    failed: 0,
    files: files.length,
    size_bytes: files.reduce((sum, { size_bytes: bytes }) => sum + bytes, 0),
    problems,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

function assertOneRun(shards: readonly LoadedRun[]): void {
  const [{ path: firstPath, manifest: first }] = shards;
  for (const { path, manifest } of shards) {
    const isSame =
      manifest.plan === first.plan &&
      manifest.featx === first.featx &&
      manifest.shard.count === first.shard.count &&
      manifest.total === first.total;
    if (!isSame)
      throw new UsageError(`${path} and ${firstPath} are of different runs`, {
        code: 'FEATX_MERGE',
        path,
        hint: 'run every shard with the same model, flags, inputs and featx',
      });
  }
}

/** Shards that are missing or stand twice: together they must be every input, once. */
function gaps(shards: readonly LoadedRun[]): string[] {
  const { count } = shards[0].manifest.shard;
  const indices = shards.map(({ manifest }) => manifest.shard.index);
  const problems: string[] = [];
  for (let index = 1; index <= count; index++) {
    const times = indices.filter((one) => one === index).length;
    if (times !== 1) problems.push(`shard ${index} of ${count} ${times === 0 ? 'is missing' : 'stands twice'}`);
    if (problems.length === MOST_NAMED) return [...problems, '…'];
  }
  let at = 0;
  for (const { path, manifest } of shards) {
    if (problems.length === 0 && manifest.first !== at)
      problems.push(`${path} begins at input ${manifest.first}, not ${at}`);
    at = manifest.end;
  }
  if (problems.length === 0 && at !== shards[0].manifest.total)
    problems.push(`the shards end at input ${at} of ${shards[0].manifest.total}`);
  return problems;
}

async function damage(shards: readonly LoadedRun[], content: boolean, fs: FileSystem): Promise<string[]> {
  const problems: string[] = [];
  for (const { path: manifestPath, manifest } of shards) {
    for (const { path, size_bytes: size, sha256 } of manifest.files) {
      const full = join(dirname(manifestPath), path);
      const stats = await orNothing(fs.stat(full), full);
      if (stats === null || !stats.isFile()) problems.push(`${path} is missing`);
      else if (Number(stats.size) !== size)
        problems.push(`${path} has ${stats.size} bytes, not the ${size} that were written`);
      else if (content && (await hashRanges(fs, full, [0, size]))?.sha256 !== sha256)
        problems.push(`${path} is not what was written: its content has changed`);
    }
  }
  return problems;
}

/** Where the parts of a run go, and what must not be written over. */
interface Result {
  readonly target: string;
  readonly needed: readonly string[];
  readonly rows: number;
  readonly fs: FileSystem;
}

async function joinParts(shards: readonly LoadedRun[], result: Result): Promise<void> {
  const format = outputFormatOf(result.target, false);
  if (!isRowFormat(format)) return joinArrays(shards, result);
  const parts = shards.flatMap(({ path, manifest }) => manifest.files.map((file) => join(dirname(path), file.path)));
  return joinRows(parts, { ...result, format });
}

async function joinArrays(shards: readonly LoadedRun[], { target, needed, rows, fs }: Result): Promise<void> {
  const opened: { readonly shard: LoadedRun; readonly files: readonly ArrayFile[] }[] = [];
  for (const shard of shards) {
    const files: ArrayFile[] = [];
    for (const { path } of shard.manifest.files)
      files.push(await openArrayFile(join(dirname(shard.path), path), { fileSystem: fs }));
    opened.push({ shard, files });
  }
  const [first] = shards;
  const joinings = new Map((first?.manifest.arrays ?? []).flatMap(joiningsOf));
  const isPlain = [...joinings.values()].every((joining) => joining.kind === 'along' && joining.axis === 0);
  await using writer = await openWriter(target, {
    inputs: needed,
    totalRows: rows,
    joinings,
    fileSystem: fs,
    inPlace: false,
    origin: joinedProvenance(opened.map(({ files }) => files[0]?.provenance)),
  });
  const offsets = new Set((first?.manifest.arrays ?? []).flatMap((array) => array.offsets ?? []));
  const shared = new Shared(joinings, offsets);
  for (const { shard, files } of opened) {
    const { path, manifest } = shard;
    const arrays: readonly LazyArray[] = files.flatMap((file) => [...file.arrays]);
    assertEntries(path, manifest.rows, arrays, joinings);
    const step = isPlain ? ROWS_AT_ONCE : manifest.rows;
    for (let start = 0; start < manifest.rows; start += step) {
      const end = Math.min(manifest.rows, start + step);
      const batch = new Map<string, TensorValue>();
      for (const array of arrays) {
        // A feature may have a fixed number of parts per entry, such as windows.
        const parts = array.shape[0] / manifest.rows;
        const value = isPlain ? await array.read({ start: start * parts, end: end * parts }) : await array.read();
        batch.set(array.key, shared.continued(array.key, value, path));
      }
      await writer.write(batch, end - start);
    }
  }
  await writer.finish();
}

function joiningsOf({ key, entry_axis: axis, offsets }: ShardArray): (readonly [string, Joining])[] {
  if (offsets !== undefined)
    return [
      [key, { kind: 'ragged' }],
      [offsets, { kind: 'ragged' }],
    ];
  return [[key, axis === null ? { kind: 'once' } : { kind: 'along', axis }]];
}

/** What shards have in common, or continue. */
class Shared {
  private readonly before = new Map<string, TensorValue>();

  constructor(
    private readonly joinings: ReadonlyMap<string, Joining>,
    private readonly offsets: ReadonlySet<string>,
  ) {}

  /** An array as it stands behind those of the shards before. @throws UsageError if it should be the same and is not */
  continued(key: string, value: TensorValue, path: string): TensorValue {
    const joining = this.joinings.get(key) ?? ALONG_ROWS;
    if (joining.kind === 'along') return value;
    const before = this.before.get(key);
    if (joining.kind === 'once') {
      this.before.set(key, value);
      if (before === undefined || isBitEqual(before, value)) return value;
      throw new UsageError(`${key} of ${path} is not what it is in the shards before`, { code: 'FEATX_MERGE', path });
    }
    if (!this.offsets.has(key) || !(value.data instanceof BigInt64Array)) return value;
    const end = before === undefined ? null : BigInt(before.data.at(-1) ?? 0);
    const data = end === null ? value.data : value.data.slice(1).map((offset) => offset + end);
    const whole = { ...value, shape: [data.length], data };
    this.before.set(key, whole);
    return whole;
  }
}

/** @throws UsageError where the arrays of a shard are not one each, of as many entries as it has inputs */
function assertEntries(
  path: string,
  rows: number,
  arrays: readonly LazyArray[],
  joinings: ReadonlyMap<string, Joining>,
): void {
  const seen = new Set<string>();
  for (const { key, shape } of arrays) {
    const joining = joinings.get(key) ?? ALONG_ROWS;
    const parts = joining.kind === 'along' ? (shape[joining.axis] ?? 0) / rows : 1;
    const wrong = seen.has(key)
      ? 'stands twice'
      : Number.isInteger(parts) && parts >= 1
        ? null
        : `has the shape [${shape.join(', ')}] for ${rows} inputs`;
    if (wrong !== null) throw new UsageError(`${key} of ${path} ${wrong}`, { code: 'FEATX_MERGE', path });
    seen.add(key);
  }
}
