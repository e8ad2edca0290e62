import { option } from '../options/words.js';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { assertPaths, checkOptions } from '../options/check.js';
import type { OptionsOf } from '../options/types.js';
import { findFiles, relativeTo } from '../wire/find-files.js';
import { type FileSystem, nodeFileSystem, orNothing } from '../wire/fs.js';
import { writeFile } from '../wire/sink.js';
import { resolveTarget } from '../wire/target.js';
import { BufferSource } from '../wire/source.js';
import { CONFIG_NAME, type Config, type ConfigModel } from './config.js';
import { Guard } from './guard.js';
import { leftOutText, lookInto } from './look-into.js';
import { type ItemError, itemError } from './tasks.js';
import { DEFAULT_OUTPUT } from './template.js';
import { WorkerPool, type Outcome, WORKER_TIMEOUT_MS } from './worker.js';

/** What `init` takes: `featx.config.json` in the current directory is written by default. */
export type InitOptions = OptionsOf<'init'> & { readonly fileSystem?: FileSystem };

/** What `init` returns. */
export interface InitReport {
  readonly schema: 1;
  readonly command: 'init';
  readonly output: string;
  readonly models: readonly { readonly model: string; readonly features: number }[];
  /** Models that are left out, and why. */
  readonly left_out: readonly { readonly model: string; readonly error: ItemError }[];
  readonly warnings: readonly string[];
  readonly elapsed_ms: number;
}

/** The code of a model that can be read and has no features. */
export const NO_FEATURES = 'FEATX_RESOLVE';

/** What a starting config does not mean: other people's packages. */
const NOT_MEANT = /(^|\/)node_modules\//;

/**
 * Writes a starting config for the models that are there, with the features of each.
 * @param patterns paths, folders or globs, relative to the directory of the config
 * @throws UsageError if there are no models; IoError if the config exists or cannot be written
 */
export async function init(patterns: readonly string[], options: InitOptions = {}): Promise<InitReport> {
  const started = performance.now();
  checkOptions('init', options);
  assertPaths('the models', patterns);
  const fs = options.fileSystem ?? nodeFileSystem;
  const output = resolve(options.output ?? CONFIG_NAME);
  const root = dirname(output);
  await assertAbsent(output, options.force === true, fs);
  const warnings: string[] = [];
  const named = new Set<string>();
  const found = new Set<string>();
  for (const pattern of patterns.length === 0 ? ['.'] : patterns) {
    const { files, isLiteral } = await findFiles(pattern, root, { fs, warn: (message) => warnings.push(message) });
    for (const { item } of files) if (isLiteral || !NOT_MEANT.test(item)) (isLiteral ? named : found).add(item);
  }
  const cuts: string[] = [];
  for (const [item, kind] of await lookInto(
    [...found].filter((item) => !named.has(item)),
    root,
    fs,
  )) {
    if (kind !== 'file') found.delete(item);
    if (kind === 'cut') cuts.push(item);
  }
  for (const item of named) found.add(item);
  if (found.size === 0 && cuts.length > 0) throw new UsageError(leftOutText(cuts), { code: 'FEATX_USAGE_NO_MODELS' });
  if (found.size === 0)
    throw new UsageError(`there are no models in ${patterns.length === 0 ? root : patterns.join(', ')}`, {
      code: 'FEATX_USAGE_NO_MODELS',
      hint: 'name a folder or a glob such as "models/**/*.onnx"',
    });
  if ((await orNothing(fs.lstat(output), output)) !== null)
    await assertFree(output, [...found, ...cuts], root, options);
  const models: ConfigModel[] = [];
  const leftOut: { readonly model: string; readonly error: ItemError }[] = [];
  const seen = await inspectAll([...found], root, options);
  for (const [model, result] of seen) {
    if ('code' in result) leftOut.push({ model, error: result });
    else models.push(result);
  }
  if (models.length === 0)
    throw new UsageError(
      `none of ${found.size} models has features: ${leftOut[0].model}: ${leftOut[0].error.message}`,
      { code: 'FEATX_USAGE_NO_MODELS', path: leftOut[0].model },
    );
  const config: Config = {
    $schema: './node_modules/featx/schema/featx.config.schema.json',
    models,
    output: DEFAULT_OUTPUT,
  };
  await writeFile(new BufferSource(new Uint8Array(0)), [new TextEncoder().encode(configText(config))], output, {
    fileSystem: fs,
    beforeCommit: async () => assertAbsent(output, options.force === true, fs),
  });
  return {
    schema: 1,
    command: 'init',
    output: options.output ?? CONFIG_NAME,
    models: models.map(({ model, feature_info: features = [] }) => ({ model, features: features.length })),
    left_out: leftOut,
    warnings: [...warnings, ...(cuts.length === 0 ? [] : [leftOutText(cuts)])],
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** Not even `force` replaces what the models are made of. @throws UsageError, IoError */
async function assertFree(
  output: string,
  items: readonly string[],
  root: string,
  {
    fileSystem = nodeFileSystem,
    jobs = availableParallelism(),
    timeoutMs = WORKER_TIMEOUT_MS,
    signal,
    workerEntry,
  }: InitOptions,
): Promise<void> {
  await resolveTarget(output, [], { fileSystem, inPlace: false });
  const pool = new WorkerPool({ timeoutMs, memoryBytes: null, entry: workerEntry });
  const stop = (): void => void pool.stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const guard = new Guard({
      models: items.map((item) => resolve(root, item)),
      modelText: 'a model',
      files: [],
      fileSystem,
      jobs,
      nameOf: (model) => relativeTo(root, model),
      perform: (task) => pool.perform(task),
    });
    await guard.assertFree(output, 'the config', `choose another ${option('output')}`);
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', stop);
    await pool.stop();
  }
}

async function assertAbsent(path: string, force: boolean, fs: FileSystem): Promise<void> {
  if (force || (await orNothing(fs.lstat(path), path)) === null) return;
  throw new UsageError(`${path} exists`, {
    code: 'FEATX_USAGE_EXISTS',
    path,
    hint: `name another file with ${option('output')}, or pass ${option('force', true)} to replace it`,
  });
}

/** One entry per line, so that a model's features can be read at a glance. */
function configText({ models, ...rest }: Config): string {
  const entries = models.map((entry) => (typeof entry === 'string' ? JSON.stringify(entry) : entryText(entry)));
  const head = JSON.stringify(rest, null, 2).slice(0, -2);
  return `${head},\n  "models": [\n${entries.join(',\n')}\n  ]\n}\n`;
}

function entryText({ feature_info: features = [], ...entry }: ConfigModel): string {
  const lines = Object.entries(entry).map(([key, value]) => `      ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  const list = features.map((feature) => `        ${JSON.stringify(feature)}`).join(',\n');
  return `    {\n${lines.join(',\n')},\n      "feature_info": [\n${list}\n      ]\n    }`;
}

/** The features of every model, or why there are none, in the order given. */
async function inspectAll(
  models: readonly string[],
  root: string,
  options: InitOptions,
): Promise<ReadonlyMap<string, ConfigModel | ItemError>> {
  const pool = new WorkerPool({
    timeoutMs: options.timeoutMs ?? WORKER_TIMEOUT_MS,
    memoryBytes: null,
    entry: options.workerEntry,
  });
  const stop = (): void => void pool.stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  const results = new Map<string, ConfigModel | ItemError>(
    models.map((model) => [model, { code: 'FEATX_STOPPED', message: 'it was not reached', hint: null }]),
  );
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < models.length; at = next++) {
      const outcome = await pool.perform({ kind: 'inspect', root, item: models[at] });
      if (outcome === null) return;
      results.set(models[at], entryOf(models[at], outcome));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(options.jobs ?? availableParallelism(), models.length) }, work));
    options.signal?.throwIfAborted();
    return results;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await pool.stop();
  }
}

function entryOf(model: string, { result }: Outcome<'inspect'>): ConfigModel | ItemError {
  if (result.is === 'fault') return itemError(result.error);
  if (result.is === 'failed') return result.error;
  const features = result.report.feature_info.filter(({ tensor }) => tensor !== null);
  if (features.length === 0)
    return {
      code: NO_FEATURES,
      message: `${model} has no features`,
      hint: 'name tensors of it with select in its options',
    };
  return {
    model,
    options: { out: features.map(({ index }) => index) },
    feature_info: result.report.feature_info.map(({ index, module, num_chs, reduction, tensor }) => ({
      index,
      module,
      num_chs,
      reduction,
      tensor,
    })),
  };
}
