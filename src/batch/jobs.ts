import { createHash } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { isAddress, parseAddress, pathOfAddress } from '../remote/address.js';
import { errnoOf, nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { leftOutText, lookInto, type Kind } from './look-into.js';
import { byCodeUnit, covers, findFiles, relativeTo } from '../wire/find-files.js';
import { encodeOptions, type CutOptions } from './options.js';
import { DEFAULT_OUTPUT, outputName } from './template.js';

/** One cut to make. Paths are relative to the root of the batch. */
export interface Job {
  /** A path, or a URL. */
  readonly input: string;
  readonly output: string;
  readonly options?: CutOptions;
}

/** Models to look for, and what to make of each. */
export interface JobPattern {
  /** Path, folder, glob or URL. */
  readonly pattern: string;
  /** Template of the output; default `DEFAULT_OUTPUT`. */
  readonly output?: string;
  readonly options?: CutOptions;
}

/** What patterns ask for. */
export interface FoundJobs {
  readonly jobs: readonly Job[];
  /** Files that a folder or glob found and that are cuts of an earlier `extract` or batch, in code-unit order. */
  readonly cuts: readonly string[];
  readonly warnings: readonly string[];
}

type FoundJob = Job & { readonly isLiteral: boolean };

/**
 * The jobs that patterns find, in the order of the patterns and within one in code-unit order. What a folder or glob
 * finds and another job writes, or featx has cut from some model before, is a result, not a model, and is left out; a
 * file that is named is taken for what its user takes it.
 * @throws UsageError naming every pattern that finds nothing; IoError
 */
export async function findJobs(
  patterns: readonly JobPattern[],
  exclude: readonly string[],
  root: string,
  fs: FileSystem = nodeFileSystem,
): Promise<FoundJobs> {
  const found: FoundJob[] = [];
  const warnings: string[] = [];
  const itemsOf = new Map<string, readonly string[]>();
  for (const { pattern, output = DEFAULT_OUTPUT, options } of patterns) {
    if (isAddress(pattern)) {
      itemsOf.set(pattern, [pattern]);
      const place = { item: pathOfAddress(parseAddress(pattern)), base: '.' };
      found.push({ input: pattern, output: outputName(output, place), options, isLiteral: true });
      continue;
    }
    const { files, isLiteral } = await findFiles(pattern, root, { fs, warn: (message) => warnings.push(message) });
    const wanted = isLiteral ? files : files.filter(({ item }) => !exclude.some((excluded) => covers(excluded, item)));
    itemsOf.set(
      pattern,
      wanted.map(({ item }) => item),
    );
    for (const file of wanted) found.push({ input: file.item, output: outputName(output, file), options, isLiteral });
  }
  const { kept, cuts, folders } = await modelsAmong(found, root, fs);
  const empty = [...itemsOf].flatMap(([pattern, items]) => (items.every((item) => folders.has(item)) ? [pattern] : []));
  if (empty.length > 0) {
    throw new UsageError(
      `${empty.map((pattern) => `'${pattern}'`).join(', ')} ${empty.length === 1 ? 'finds' : 'find'} no model under ${root}`,
      {
        code: 'FEATX_USAGE_NO_MODELS',
        hint: 'give paths, folders, or globs with * within a name and ** for any folders, in quotes so that the shell leaves them alone',
      },
    );
  }
  if (kept.length === 0) throw new UsageError(leftOutText(cuts), { code: 'FEATX_USAGE_NO_MODELS' });
  return { jobs: kept.map(({ input, output, options }) => ({ input, output, options })), cuts, warnings };
}

interface Models {
  readonly kept: readonly FoundJob[];
  readonly cuts: readonly string[];
  readonly folders: ReadonlySet<string>;
}

/**
 * Looks into what is not a result by its name; without the job of a cut, what that job would have written may be a
 * model again.
 */
async function modelsAmong(found: readonly FoundJob[], root: string, fs: FileSystem): Promise<Models> {
  const kinds = new Map<string, Kind>();
  for (;;) {
    const kept = withoutResults(
      found.filter(({ input, isLiteral }) => isLiteral || (kinds.get(input) ?? 'file') === 'file'),
    );
    const unknown = [
      ...new Set(kept.flatMap(({ input, isLiteral }) => (isLiteral || kinds.has(input) ? [] : [input]))),
    ];
    const seen = await lookInto(unknown, root, fs);
    for (const [item, kind] of seen) kinds.set(item, kind);
    if ([...seen.values()].some((kind) => kind !== 'file')) continue;
    const those = (wanted: Kind): readonly string[] =>
      [...kinds].flatMap(([item, kind]) => (kind === wanted ? [item] : []));
    return { kept, cuts: [...those('cut')].sort(byCodeUnit), folders: new Set(those('folder')) };
  }
}

function withoutResults(jobs: readonly FoundJob[]): readonly FoundJob[] {
  const results = new Set<string>();
  const isResult = ({ input, isLiteral }: FoundJob): boolean => !isLiteral && results.has(input);
  // Twice: a result may come before the model that it is made of.
  for (let round = 0; round < 2; round++) {
    const kept = jobs.filter((job) => !isResult(job));
    results.clear();
    for (const { output } of kept) results.add(output);
  }
  return jobs.filter((job) => !isResult(job));
}

/** Why an item cannot be worked on at all. */
export interface ItemFault {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** A job with its name and its place in the order. */
export interface PlannedItem {
  /** Unique within the plan. */
  readonly id: string;
  readonly position: number;
  /** A URL without what may be secret in it. */
  readonly item: string;
  /** Where it is fetched from; null for a file. */
  readonly url: string | null;
  readonly output: string;
  /** `encodeOptions` of its options. */
  readonly options: string;
  /** Refused before any work. */
  readonly fault: ItemFault | null;
}

/** The items of a batch, and where they lie. */
export interface BatchPlan {
  /** Absolute; the paths of items are relative to it. */
  readonly root: string;
  readonly items: readonly PlannedItem[];
  /** Hex digest of what is asked for; the same on every machine with the same folders. */
  readonly digest: string;
}

/**
 * Puts jobs in order and finds those that would overwrite one another or a model: each of them is refused, the rest can
 * be worked on. A job that stands twice counts once.
 * @param reads files that were read for it, relative to the root, which no job may replace either
 * @throws UsageError for two URLs that would have one name
 */
export function planJobs(jobs: Iterable<Job>, root: string, reads: readonly string[] = []): BatchPlan {
  const base = resolve(root);
  const drafts = new Map<string, Omit<PlannedItem, 'position' | 'fault'>>();
  const names = new Map<string, number>();
  const urls = new Map<string, string>();
  // Thousands of jobs share one record of options.
  const texts = new Map<CutOptions | undefined, string>();
  for (const { input, output, options } of jobs) {
    const url = isAddress(input) ? input : null;
    const item = url === null ? relativeTo(base, input) : parseAddress(url).shown;
    if (url !== null && (urls.get(item) ?? url) !== url) throw twoAddresses(item);
    if (url !== null) urls.set(item, url);
    const target = relativeTo(base, output);
    const text = texts.get(options) ?? encodeOptions(options ?? {});
    texts.set(options, text);
    const key = `${item}\n${target}\n${text}`;
    if (drafts.has(key)) continue;
    const again = names.get(`${item}\n${target}`) ?? 0;
    names.set(`${item}\n${target}`, again + 1);
    drafts.set(key, {
      id: `${item} -> ${target}${again === 0 ? '' : ` #${again + 1}`}`,
      item,
      url,
      output: target,
      options: text,
    });
  }
  const writers = new Map<string, string[]>();
  const needed = new Map<string, string>(
    reads.map((path) => [fileKey(relativeTo(base, path)), 'a file that this batch reads']),
  );
  for (const { item, url, output } of drafts.values()) {
    if (url === null) needed.set(fileKey(item), 'a model of this batch');
    writers.set(fileKey(output), [...(writers.get(fileKey(output)) ?? []), item]);
  }
  const hash = createHash('sha256');
  const items: PlannedItem[] = [];
  for (const draft of drafts.values()) {
    hash.update(`${JSON.stringify([draft.item, draft.output, draft.options])}\n`);
    items.push({
      ...draft,
      position: items.length,
      fault: faultOf(draft.output, writers.get(fileKey(draft.output)) ?? [], needed),
    });
  }
  return { root: base, items, digest: hash.digest('hex') };
}

function twoAddresses(item: string): UsageError {
  return new UsageError(`two URLs of ${item} differ only in what may be secret in them, and only one is kept`, {
    code: 'FEATX_USAGE_URL',
    hint: 'give each a batch of its own',
  });
}

/**
 * The plan as the file system shows it: outputs that are one file because a link leads to its folder are refused, too.
 */
export async function withoutTwins(plan: BatchPlan, fs: FileSystem): Promise<BatchPlan> {
  const real = new Map<string, string>();
  for (const { output } of plan.items) {
    const folder = dirname(resolve(plan.root, output));
    if (!real.has(folder)) real.set(folder, await realFolder(folder, fs));
  }
  if ([...real].every(([folder, path]) => folder === path)) return plan;
  const keyOf = ({ output }: PlannedItem): string => {
    const path = resolve(plan.root, output);
    return fileKey(join(real.get(dirname(path)) ?? dirname(path), basename(path)));
  };
  const writers = new Map<string, PlannedItem[]>();
  for (const item of plan.items) writers.set(keyOf(item), [...(writers.get(keyOf(item)) ?? []), item]);
  const items = plan.items.map((planned) => {
    const same = writers.get(keyOf(planned)) ?? [];
    const isTwin = planned.fault === null && same.some(({ output }) => output !== planned.output);
    return isTwin
      ? {
          ...planned,
          fault: duplicateFault(
            planned.output,
            same.map(({ item, output }) => (output === planned.output ? item : `${item} (as ${output})`)),
          ),
        }
      : planned;
  });
  return { ...plan, items };
}

/**
 * A folder without links; what is not there yet, or cannot be looked at, is taken as it is named and fails by itself.
 */
async function realFolder(folder: string, fs: FileSystem): Promise<string> {
  const real = await fs.realpath(folder).catch((error: unknown) => {
    if (errnoOf(error) === undefined) throw error;
    return null;
  });
  if (real !== null || dirname(folder) === folder) return real ?? folder;
  return join(await realFolder(dirname(folder), fs), basename(folder));
}

function faultOf(output: string, writers: readonly string[], needed: ReadonlyMap<string, string>): ItemFault | null {
  if (writers.length > 1) return duplicateFault(output, writers);
  const need = needed.get(fileKey(output));
  return need === undefined ? null : sameFileFault(output, need);
}

function duplicateFault(output: string, writers: readonly string[]): ItemFault {
  const shown =
    writers.length > 5 ? `${writers.slice(0, 5).join(', ')} and ${writers.length - 5} more` : writers.join(', ');
  return {
    code: 'FEATX_USAGE_DUPLICATE_OUTPUT',
    message: `${writers.length} items would write ${output}: ${shown}`,
    hint: 'use {dir}, {rel} or {name} in the output, or give these items outputs of their own',
  };
}

/** The fault of an item whose output is needed. */
export function sameFileFault(output: string, need: string): ItemFault {
  return {
    code: 'FEATX_USAGE_SAME_FILE',
    message: `the output ${output} is also ${need}`,
    hint: 'choose another output',
  };
}

/** Names that the file systems of this operating system usually take for one. */
export function fileKey(path: string): string {
  return process.platform === 'win32' || process.platform === 'darwin' ? path.normalize('NFC').toLowerCase() : path;
}
