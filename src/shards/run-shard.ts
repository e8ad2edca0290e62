import { option } from '../options/words.js';
import { createHash } from 'node:crypto';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { mapOf } from '../options/by-name.js';
import type { Shard } from '../options/values.js';
import type { RunReport } from '../report/run-records.js';
import { type RunOptions, run } from '../run.js';
import { expandPath, parseInputSpec } from '../tensors/input-files.js';
import { DEFAULT_TENSOR_LIMITS } from '../tensors/limits.js';
import { outputFormatOf, outputKeys } from '../tensors/output-format.js';
import { VERSION } from '../version.js';
import { type FileSystem, ioError, nodeFileSystem } from '../wire/fs.js';
import { hashFile } from '../wire/hash.js';
import { canonicalJson } from '../wire/json.js';
import { writeFile } from '../wire/sink.js';
import { BufferSource } from '../wire/source.js';
import { shardRange } from './shard.js';

/** What one shard of a run made of which inputs. The same work gives the same bytes. */
export interface RunManifest {
  readonly schema: 1;
  readonly command: 'run-manifest';
  readonly featx: string;
  /** Digest of the model, the options and the names of all inputs. */
  readonly plan: string;
  readonly shard: Pick<Shard, 'index' | 'count'>;
  /** Input files of all shards. */
  readonly total: number;
  /** Those of this shard, `[first, end)` of all. */
  readonly first: number;
  readonly end: number;
  /** Entries along axis 0 that this shard gave; 0 where it had no inputs. */
  readonly rows: number;
  /** The output of the run without shards, relative to the manifest. */
  readonly output: string;
  /** How the arrays of shards become one, by their keys; along axis 0 for those that are not named. */
  readonly arrays?: readonly ShardArray[];
  /** What this shard wrote, in the order of the features. */
  readonly files: readonly { readonly path: string; readonly size_bytes: number; readonly sha256: string }[];
}

/** An array of a shard. */
export interface ShardArray {
  readonly key: string;
  /** The axis along which entries stand; null if the array is the same in every shard. */
  readonly entry_axis: number | null;
  /** The array that says where the rows of each entry begin, if each has a number of its own. */
  readonly offsets?: string;
}

/** Rows in a batch where nothing else is said; the last shard may have fewer. */
const DEFAULT_BATCH = 32;
const TRAILING = /(?<=.)[/\\]+$/;

/** What one shard of a run made. */
export interface ShardedRun {
  /** Null where the shard had no inputs. */
  readonly report: RunReport | null;
  readonly manifest: string;
}

/**
 * Runs one shard: a contiguous part of the input files, cut at whole batches, so that every entry meets the batch that
 * it would meet without shards. Writes `<name>.I-of-N.<ext>` and its manifest beside it; a second time it writes the
 * same.
 * @throws UsageError where the inputs cannot be divided; as `run`
 */
export async function runShard(
  model: string,
  options: RunOptions & { readonly output: string },
  shard: Pick<Shard, 'index' | 'count'>,
): Promise<ShardedRun> {
  const fs = options.fileSystem ?? nodeFileSystem;
  const { output, batchSize = DEFAULT_BATCH } = options;
  if (options.profile !== undefined) throw new UsageError(`${option('profile')} is of a whole run, not of a shard`);
  const files = await inputFiles(options.inputs ?? [], fs);
  const batches = Math.ceil(files.length / batchSize);
  const range = shardRange(batches, shard);
  const first = Math.min(files.length, range.first * batchSize);
  const end = Math.min(files.length, range.end * batchSize);
  const target = shardName(output, shard);
  const manifest = `${target.replace(TRAILING, '')}.manifest.json`;
  const plan = await planDigest(model, options, files, fs);
  const report =
    first === end
      ? null
      : await run(model, {
          ...options,
          inputs: files.slice(first, end).map((file) => (file.includes('=') ? resolve(file) : file)),
          output: target,
        });
  const written = report === null ? [] : await writtenFiles(target, fs);
  const rows = report === null ? 0 : end - first;
  const record: RunManifest = {
    schema: 1,
    command: 'run-manifest',
    featx: VERSION,
    plan,
    shard: { index: shard.index, count: shard.count },
    total: files.length,
    first,
    end,
    rows,
    output: basename(output),
    arrays: report === null ? [] : arraysOf(target, report),
    files: written,
  };
  await writeFile(
    new BufferSource(new Uint8Array(0)),
    [new TextEncoder().encode(`${JSON.stringify(record)}\n`)],
    manifest,
    { fileSystem: fs },
  );
  return { report, manifest };
}

function arraysOf(target: string, { features }: RunReport): readonly ShardArray[] {
  const names = features.flatMap(({ output, offsets }) => [output, ...(offsets === undefined ? [] : [offsets])]);
  const format = outputFormatOf(target, false);
  // The tensors in a directory have names of their own; those of their files are made of them.
  const keys = format === 'pb-directory' ? names : outputKeys(format, names);
  const keyOf = (name: string): string => (format === 'npy' ? '' : keys[names.indexOf(name)]);
  return features.map(({ output, entry_axis: axis, offsets }) => ({
    key: keyOf(output),
    entry_axis: axis,
    ...(offsets === undefined ? {} : { offsets: keyOf(offsets) }),
  }));
}

/** `features.npz` as `features.2-of-4.npz`. */
export function shardName(output: string, { index, count }: Pick<Shard, 'index' | 'count'>): string {
  const plain = output.replace(TRAILING, '');
  const extension = plain === output ? extname(plain) : '';
  return `${plain.slice(0, plain.length - extension.length)}.${index}-of-${count}${extension}${plain === output ? '' : '/'}`;
}

/** Every input file, in the order in which a run takes them. @throws UsageError, IoError */
async function inputFiles(specs: readonly string[], fs: FileSystem): Promise<readonly string[]> {
  const files: string[] = [];
  for (const text of specs) {
    const spec = parseInputSpec(text, []);
    if ('seed' in spec)
      throw new UsageError('random inputs have no parts that shards could take', { code: 'FEATX_USAGE_SHARD' });
    if (/^[^/\\=]+=/.test(text) && (await fs.stat(text).catch(() => null)) === null) {
      throw new UsageError(
        `${option('inputs', [text])} is for one of several inputs, and shards divide the files of one`,
        {
          code: 'FEATX_USAGE_SHARD',
          hint: 'give pictures or one-entry arrays of the only input: files, directories, globs',
        },
      );
    }
    files.push(
      ...(await expandPath(spec.path, { fs, limits: DEFAULT_TENSOR_LIMITS, warn: () => undefined, inputNames: [] })),
    );
  }
  return files;
}

async function planDigest(
  model: string,
  options: RunOptions,
  files: readonly string[],
  fs: FileSystem,
): Promise<string> {
  // What says how to work and not what comes out may differ between machines.
  const {
    inputs: _files,
    output,
    inputShapes,
    fileSystem: _fs,
    signal: _signal,
    onProgress: _progress,
    name: _name,
    isolate: _isolate,
    timeoutMs: _time,
    memoryBytes: _memory,
    ...rest
  } = options;
  const {
    noClobber: _clobber,
    follow: _follow,
    strict: _strict,
    strictExternal: _external,
    limits: _limits,
    tensorLimits: _arrays,
    deviceId: _device,
    threads: _threads,
    remote: _remote,
    ...asked
  } = rest;
  const wanted = {
    ...asked,
    output: extname(output ?? ''),
    inputShapes: inputShapes === undefined ? undefined : [...mapOf(inputShapes)],
  };
  const { sha256 } = await hashFile(fs, model);
  return createHash('sha256')
    .update(
      `${sha256}\n${canonicalJson(wanted)}\n${JSON.stringify(files.map((file) => relative('.', file).replaceAll('\\', '/')))}`,
    )
    .digest('hex');
}

async function writtenFiles(target: string, fs: FileSystem): Promise<RunManifest['files'][number][]> {
  const stats = await fs.stat(target).catch((error: unknown) => {
    throw ioError(error, 'read', target);
  });
  const paths = stats.isDirectory()
    ? (await fs.readdir(target))
        .filter((name) => name.endsWith('.pb'))
        .sort()
        .map((name) => join(target, name))
    : [target];
  const files: RunManifest['files'][number][] = [];
  for (const path of paths) {
    const { size, sha256 } = await hashFile(fs, path);
    files.push({
      path: relative(dirname(target.replace(TRAILING, '')), path).replaceAll('\\', '/'),
      size_bytes: size,
      sha256,
    });
  }
  return files;
}
