import { dirname, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { FeatureInfo, type FeatureEntry } from '../features/feature-info.js';
import { FileSource } from '../wire/file-source.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { decodeText } from '../wire/text.js';
import { CONFIG_SCHEMA } from './config-schema.js';
import { findJobs, type FoundJobs, type JobPattern } from './jobs.js';
import type { ConfigOptions, ConfigSettings } from '../options/types.js';
import { cutOptions, refusedValues } from './options.js';
import { CONFIG_NAME } from '../options/batching.js';
import type { Projecting } from '../options/steps.js';
import { projectionFiles } from '../tensors/projection.js';
import { templateFault } from './template.js';
import { violations, type Violation } from '../options/schema.js';
import { parseJson } from '../wire/json.js';

export { CONFIG_NAME };

const LARGEST_CONFIG = 64 * 1024 * 1024;

/** `featx.config.json`, as its schema describes it. */
export interface Config extends ConfigSettings {
  readonly $schema?: string;
  readonly models: readonly (string | ConfigModel)[];
  readonly exclude?: readonly string[];
  readonly output?: string;
  readonly options?: ConfigOptions;
}

/** A model of a config: its path or pattern, and what is different for it. */
export interface ConfigModel {
  readonly model: string;
  readonly output?: string;
  readonly options?: ConfigOptions;
  readonly feature_info?: readonly object[];
}

/** A config and the directory that its paths are relative to. */
export interface LoadedConfig {
  readonly config: Config;
  readonly root: string;
}

/**
 * A config from JSON text.
 * @param path what errors call it
 * @throws UsageError `FEATX_CONFIG` that names everything that is wrong, each with its JSON path
 */
export function parseConfig(json: string, path = CONFIG_NAME): Config {
  let value: unknown;
  try {
    value = parseJson(json);
  } catch (cause) {
    throw new UsageError(`${path} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      code: 'FEATX_CONFIG',
      path,
      cause,
    });
  }
  const found = [...violations(value, CONFIG_SCHEMA)];
  if (found.length === 0) for (const contradiction of contradictions(value as Config)) found.push(contradiction);
  if (found.length > 0) {
    const things = found.map(({ path: at, message }) => `${at} ${message}`);
    throw new UsageError(
      things.length === 1 ? `${path}: ${things[0]}` : `${path} has ${things.length} errors: ${things.join('; ')}`,
      {
        code: 'FEATX_CONFIG',
        path,
        field: found[0].path,
        hint: 'schema/featx.config.schema.json in the package says what a config holds; featx init writes one',
      },
    );
  }
  return value as Config;
}

/** What the schema cannot say. */
function contradictions(config: Config): Violation[] {
  const found: Violation[] = [];
  const template = (text: string | undefined, path: string): void => {
    const fault = text === undefined ? null : templateFault(text);
    if (fault !== null) found.push({ path, message: `'${text}' ${fault}` });
  };
  const options = (record: ConfigOptions | undefined, path: string, inherited: ConfigOptions = {}): void => {
    const whole = { ...inherited, ...record };
    const ways = (['out', 'last', 'select'] as const).filter((way) => record?.[way] !== undefined);
    if (ways.length > 1) found.push({ path, message: `has ${ways.join(' and ')}, which exclude each other` });
    if (whole.rewrite !== undefined && whole.mode !== 'hook')
      found.push({ path, message: 'has rewrite, which is for mode hook' });
    for (const { key, reason } of refusedValues('cut', record ?? {}))
      found.push({ path: `${path}.${key}`, message: reason });
  };
  template(config.output, '$.output');
  for (const { key, reason } of refusedValues('batch', config)) found.push({ path: `$.${key}`, message: reason });
  options(config.options, '$.options');
  config.models.forEach((entry, index) => {
    if (typeof entry === 'string') return;
    template(entry.output, `$.models[${index}].output`);
    if (entry.options !== undefined) options(entry.options, `$.models[${index}].options`, config.options);
  });
  return found;
}

/** Reads a config file. @throws IoError, UsageError */
export async function readConfig(path: string, fs: FileSystem = nodeFileSystem): Promise<LoadedConfig> {
  return { config: parseConfig(await readText(path, fs), path), root: dirname(resolve(path)) };
}

/** The files that a config was read from: itself, and those of `features`. */
export function configReads(path: string, { config, root }: LoadedConfig): readonly string[] {
  const options = [
    config.options,
    ...config.models.map((entry) => (typeof entry === 'string' ? undefined : entry.options)),
  ];
  return [
    ...new Set([
      resolve(path),
      ...options.flatMap((one) => [
        ...(typeof one?.features === 'string' ? [resolve(root, one.features)] : []),
        ...projectionFiles(one?.project).map((path) => resolve(root, path)),
      ]),
    ]),
  ];
}

/** What a config asks for, in a fixed order. @throws UsageError for patterns that find nothing; IoError */
export async function configJobs({ config, root }: LoadedConfig, fs: FileSystem = nodeFileSystem): Promise<FoundJobs> {
  const patterns: JobPattern[] = [];
  for (const entry of config.models) {
    const { model, output, options } =
      typeof entry === 'string' ? { model: entry, output: undefined, options: undefined } : entry;
    const merged = mergeOptions(config.options ?? {}, options ?? {});
    patterns.push({
      pattern: model,
      output: output ?? config.output,
      options: cutOptions(filesIn(root, merged), await featureEntries(merged.features, root, fs)),
    });
  }
  return findJobs(patterns, config.exclude ?? [], root, fs);
}

/** A model's own options over those of all; its way of selecting replaces theirs. */
function mergeOptions(common: ConfigOptions, own: ConfigOptions): ConfigOptions {
  const selects = own.out !== undefined || own.last !== undefined || own.select !== undefined;
  return { ...common, ...(selects ? { out: undefined, last: undefined, select: undefined } : {}), ...own };
}

/** Options whose files are relative to the config. */
function filesIn(root: string, options: ConfigOptions): ConfigOptions {
  const { project, pixels } = options;
  const how = pixels?.preprocess;
  const isFile = how !== undefined && /[./\\]/.test(how);
  return Object.assign(
    { ...options },
    project === undefined ? {} : { project: projectIn(root, project) },
    isFile ? { pixels: { ...pixels, preprocess: resolve(root, how) } } : {},
  );
}

/** The files of a projection. */
function projectIn(root: string, project: Projecting): Projecting {
  if (typeof project !== 'string') return project;
  return projectionFiles(project)
    .map((path) => resolve(root, path))
    .join(',');
}

async function featureEntries(
  features: ConfigOptions['features'],
  root: string,
  fs: FileSystem,
): Promise<readonly FeatureEntry[] | undefined> {
  if (features === undefined) return undefined;
  return FeatureInfo.fromJSON(
    typeof features === 'string' ? await readText(resolve(root, features), fs) : features,
  ).toJSON();
}

async function readText(path: string, fs: FileSystem): Promise<string> {
  const source = await FileSource.open(path, fs);
  try {
    if (source.size > LARGEST_CONFIG)
      throw new UsageError(`${path} is too large: ${source.size} bytes, at most ${LARGEST_CONFIG}`, { path });
    return decodeText(await source.read(0, source.size)).replace(/^\ufeff/, '');
  } finally {
    await source.close();
  }
}
