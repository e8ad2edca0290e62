import { ANY, option } from '../options/words.js';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { assertPaths, checkOptions } from '../options/check.js';
import type { MergeOptions, MergeReport } from '../shards/merge-report.js';
import { mergeRuns } from '../shards/merge-runs.js';
import type { RunManifest } from '../shards/run-shard.js';
import { shardRange } from '../shards/shard.js';
import { relativeTo } from '../wire/find-files.js';
import { type FileSystem, ioError, nodeFileSystem, orNothing } from '../wire/fs.js';
import { hashRanges } from '../wire/hash.js';
import { resolveTarget } from '../wire/target.js';
import { Guard } from './guard.js';
import { isManifestFile } from './look-into.js';
import {
  type Manifest,
  type ManifestFile,
  type ManifestItem,
  manifestName,
  readManifest,
  storeManifest,
} from './manifest.js';
import { WorkerPool, WORKER_TIMEOUT_MS } from './worker.js';

interface Loaded {
  readonly path: string;
  readonly manifest: Manifest;
}

const SHARD_MANIFEST = /^manifest\.\d+-of-\d+\.json$|\.\d+-of-\d+(\.\w+)?\.manifest\.json$/;

/**
 * Joins the manifests of all shards of a run into the one that a run without shards would have written, after checking
 * that no shard and no item is missing or
 * stands twice and that every file is as it was written.
 * @param sources manifests, or directories that hold them
 * @throws UsageError for files that are not manifests or belong to different runs; IoError
 */
export async function merge(sources: readonly string[], options: MergeOptions = {}): Promise<MergeReport> {
  const started = performance.now();
  checkOptions('merge', options);
  assertPaths('the manifests', sources);
  const fs = options.fileSystem ?? nodeFileSystem;
  const loaded = await loadAll(sources, fs);
  const runs = loaded.flatMap(({ path, manifest }) =>
    manifest.command === 'run-manifest' ? [{ path, manifest }] : [],
  );
  if (runs.length > 0 && runs.length === loaded.length) return mergeRuns(runs, options);
  const shards = ofOneBatch(loaded);
  const [first] = shards;
  const { count } = first.manifest.shard;
  const problems = missingShards(shards);
  const items: ManifestItem[] = [];
  let files = 0;
  let bytes = 0;
  for (const { path, manifest } of shards) {
    for (const problem of misplaced(path, manifest)) problems.push(problem);
    const root = resolve(dirname(path), manifest.root);
    for (const item of manifest.items) {
      items.push(item);
      for (const file of item.files) {
        files++;
        bytes += file.size_bytes;
        const problem = await problemOf(file, root, options.content ?? true, fs);
        if (problem !== null) problems.push(problem);
      }
    }
  }
  const target = options.output ?? join(dirname(first.path), manifestName({ index: 1, count: 1 }));
  if (problems.length === 0) {
    await assertFree(target, shards, fs);
    const root = relativeTo(dirname(resolve(target)), resolve(dirname(first.path), first.manifest.root));
    await storeManifest(target, { ...first.manifest, shard: { index: 1, count: 1 }, root, items }, fs);
  }
  const failed = items.filter(({ status }) => status === 'failed').length;
  return {
    schema: 1,
    command: 'merge',
    output: problems.length === 0 ? target : null,
    shards: count,
    items: items.length,
    done: items.length - failed,
    failed,
    files,
    size_bytes: bytes,
    problems,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** Nothing that is joined may be written over. @throws UsageError, IoError */
async function assertFree(target: string, shards: readonly Loaded[], fs: FileSystem): Promise<void> {
  if ((await orNothing(fs.lstat(target), target)) === null) return;
  await resolveTarget(
    target,
    shards.map(({ path }) => path),
    { fileSystem: fs, inPlace: false },
  );
  const items = shards.flatMap(({ path, manifest }) =>
    manifest.items.map((item) => ({ ...item, root: resolve(dirname(path), manifest.root) })),
  );
  const files = items.flatMap(({ root, output, files: made }) =>
    [output, ...made.map(({ path }) => path)].map((path) => ({
      path: resolve(root, path),
      what: 'what the shards made',
    })),
  );
  const pool = new WorkerPool({ timeoutMs: WORKER_TIMEOUT_MS, memoryBytes: null });
  try {
    const guard = new Guard({
      models: items.map(({ root, item }) => resolve(root, item)),
      modelText: 'a model of the shards',
      files,
      fileSystem: fs,
      jobs: availableParallelism(),
      isResult: (path) => isManifestFile(path, fs),
      perform: (task) => pool.perform(task),
    });
    await guard.assertFree(target, 'the manifest', `choose another ${option('output')}`);
  } finally {
    await pool.stop();
  }
}

interface LoadedAny {
  readonly path: string;
  readonly manifest: Manifest | RunManifest;
}

async function loadAll(sources: readonly string[], fs: FileSystem): Promise<LoadedAny[]> {
  const paths: string[] = [];
  for (const source of sources) {
    const isDirectory = (
      await fs.stat(source).catch((error: unknown) => {
        throw ioError(error, 'read', source);
      })
    ).isDirectory();
    if (!isDirectory) paths.push(source);
    else
      paths.push(
        ...(await fs.readdir(source)).filter((name) => SHARD_MANIFEST.test(name)).map((name) => join(source, name)),
      );
  }
  if (paths.length === 0) {
    throw new UsageError(`there is no manifest of a shard in ${sources.join(', ')}`, {
      code: 'FEATX_MERGE',
      hint: `with ${option('shard', ANY)}, featx batch writes manifest.I-of-N.json into its state directory, and featx run one beside each of its files`,
    });
  }
  const loaded: LoadedAny[] = [];
  for (const path of paths) loaded.push({ path, manifest: await readManifest(path, fs) });
  return loaded;
}

/** Manifests of one batch, in the order of the shards. @throws UsageError */
function ofOneBatch(all: readonly LoadedAny[]): readonly Loaded[] {
  const loaded = all.map(({ path, manifest }) => {
    if (manifest.command === 'run-manifest')
      throw new UsageError(`${path} is of a run, and others are of a batch`, {
        code: 'FEATX_MERGE',
        path,
        hint: 'join each by itself',
      });
    return { path, manifest };
  });
  loaded.sort((a, b) => a.manifest.shard.index - b.manifest.shard.index);
  const [{ path: firstPath, manifest: first }] = loaded;
  for (const { path, manifest } of loaded) {
    const difference = differenceOf(manifest, first);
    if (difference !== null)
      throw new UsageError(`${path} and ${firstPath} are of different runs: ${difference}`, {
        code: 'FEATX_MERGE',
        path,
        hint: 'run every shard with the same config, flags and featx on the same models',
      });
  }
  return loaded;
}

/** In what a shard is of another run; null where it is of the same. */
function differenceOf(a: Manifest, b: Manifest): string | null {
  if (a.plan !== b.plan || a.total !== b.total) return 'other items or options';
  if (a.shard.count !== b.shard.count) return 'another number of shards';
  return a.featx === b.featx ? null : 'another version of featx';
}

function missingShards(shards: readonly Loaded[]): string[] {
  const { count } = shards[0].manifest.shard;
  const seen = new Map<number, string>();
  const problems: string[] = [];
  for (const { path, manifest } of shards) {
    const other = seen.get(manifest.shard.index);
    if (other !== undefined)
      problems.push(`shard ${manifest.shard.index} of ${count} stands twice: ${other} and ${path}`);
    seen.set(manifest.shard.index, path);
  }
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter((index) => !seen.has(index));
  if (missing.length > 0)
    problems.push(
      `${missing.length === 1 ? 'shard' : 'shards'} ${missing.slice(0, 20).join(', ')}${missing.length > 20 ? ', …' : ''} of ${count} ${missing.length === 1 ? 'is' : 'are'} missing`,
    );
  return problems;
}

/** A shard holds exactly the positions that are its own, in order. */
function misplaced(path: string, { shard, total, items }: Manifest): string[] {
  const { first, end } = shardRange(total, shard);
  const isWhole = items.length === end - first && items.every(({ position }, index) => position === first + index);
  return isWhole ? [] : [`${basename(path)} does not hold items ${first} to ${end} of ${total}`];
}

async function problemOf(
  { path, size_bytes, sha256 }: ManifestFile,
  root: string,
  content: boolean,
  fs: FileSystem,
): Promise<string | null> {
  const full = resolve(root, path);
  const stats = await orNothing(fs.stat(full), full);
  if (stats === null || !stats.isFile()) return `${path} is missing`;
  if (Number(stats.size) !== size_bytes)
    return `${path} has ${stats.size} bytes, not the ${size_bytes} that were written`;
  if (!content || size_bytes === 0) return null;
  const digest = await hashRanges(fs, full, [0, size_bytes]);
  return digest?.sha256 === sha256 ? null : `${path} is not what was written: its content has changed`;
}
