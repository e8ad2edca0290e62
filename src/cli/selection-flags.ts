import { Option, type Command } from 'commander';
import { UsageError } from '../errors.js';
import type { HookType } from '../features/feature.js';
import { FeatureInfo, type FeatureEntry } from '../features/feature-info.js';
import type { ResolveOptions } from '../features/resolve.js';
import type { NamedSelector, SelectOptions } from '../features/selectors.js';
import { FileSource } from '../wire/file-source.js';
import type { FileSystem } from '../wire/fs.js';
import { decodeText } from '../wire/text.js';
import { parseCount, parseIndices, parseInputShape } from './values.js';
import { parseJson } from '../wire/json.js';

interface SelectionFlags {
  readonly out?: readonly number[];
  readonly last?: number;
  readonly features?: string;
  readonly hookType?: HookType;
  readonly embedding?: boolean;
  readonly inputShape?: ReadonlyMap<string, readonly number[]>;
  readonly includeHead?: boolean;
  readonly allowFolded?: boolean;
  readonly flattenSequential?: boolean;
}

/** What the selection flags say, as the commands take it. */
export interface SelectionOptions extends SelectOptions {
  /** By input name; `''` names the only input. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  readonly resolve: ResolveOptions;
}

const GROUP = 'Selecting features:';
const named = new WeakMap<Command, NamedSelector[]>();

/** Adds the flags of the contract's table "Selecting features". */
export function addSelectionFlags(command: Command): void {
  const names: NamedSelector[] = [];
  named.set(command, names);
  const byName = (by: NamedSelector['by'], flags: string, description: string): Option =>
    new Option(flags, description).argParser((name: string) => {
      if (name === '') throw new UsageError(`--${by} takes a name, not ''`);
      names.push({ by, name });
      return true;
    });
  const options = [
    new Option('--out <indices>', 'out_indices into the FeatureInfo: 1,2,3 or 0-3 or -1').argParser(
      (text: string, previous: readonly number[] | undefined) => [...(previous ?? []), ...parseIndices('--out', text)],
    ),
    new Option('--last <n>', 'the last N features').argParser((text: string) => parseCount('--last', text, 1)),
    new Option('--features <file>', "use this FeatureInfo (timm's list as JSON) instead of recovering one"),
    byName(
      'module',
      '--module <path>',
      'a module by path or glob; layer#1 its second output, layer@2 its second call; repeatable',
    ),
    byName('tensor', '--tensor <name>', 'a tensor by name or glob; repeatable'),
    byName('node', '--node <name>', 'a node by name or glob; repeatable'),
    new Option('--hook-type <type>', "a module's output or its input").choices(['forward', 'forward_pre']),
    new Option('--embedding', 'the pooled vector that enters the classifier'),
    inputShapeOption(),
    new Option('--include-head', 'count the unit behind the trunk as a feature too'),
    new Option('--allow-folded', 'accept the value after a module that the exporter folded away'),
    new Option('--flatten-sequential', 'module names with the first Sequential level flattened: features_1'),
  ];
  for (const option of options) command.addOption(option.helpGroup(GROUP));
}

function inputShapeOption(): Option {
  return new Option(
    '--input-shape <shape>',
    'numbers for symbolic input dims: [NAME:]1,3,224,224; repeatable',
  ).argParser((text: string, previous: ReadonlyMap<string, readonly number[]> | undefined) => {
    const { name, shape } = parseInputShape('--input-shape', text);
    if (previous?.has(name))
      throw new UsageError(`--input-shape is given twice for ${name === '' ? 'the input' : `'${name}'`}`);
    return new Map(previous).set(name, shape);
  });
}

/** `--input-shape` alone, for commands that select nothing. */
export function addInputShapeFlag(command: Command): void {
  command.addOption(inputShapeOption());
}

/** By input name; `''` names the only input. */
export function inputShapes(command: Command): ReadonlyMap<string, readonly number[]> | undefined {
  return command.opts<SelectionFlags>().inputShape;
}

/** Reads the flags back, and the file that `--features` names. @throws UsageError where they exclude each other, IoError */
export async function selectionOptions(command: Command, fs: FileSystem): Promise<SelectionOptions> {
  const { inputShape, features, includeHead, ...select } = command.opts<SelectionFlags>();
  const names = named.get(command) ?? [];
  const { out, last, hookType, embedding, allowFolded, flattenSequential } = select;
  const byIndex = [...(out === undefined ? [] : ['--out']), ...(last === undefined ? [] : ['--last'])];
  if (byIndex.length > 1) throw new UsageError('--out and --last both say which indices', { hint: 'give one of them' });
  if (byIndex.length > 0 && names.length > 0) {
    const kinds = [...new Set(names.map(({ by }) => `--${by}`))].join(', ');
    throw new UsageError(`${byIndex[0]} selects by index and ${kinds} by name`, { hint: 'give one or the other' });
  }
  const explicit = features === undefined ? undefined : await readFeatureInfo(features, fs);
  return {
    out,
    last,
    select: names,
    hookType,
    embedding,
    allowFolded,
    flattenSequential,
    inputShapes: inputShape,
    resolve: { explicit, includeHead },
  };
}

/** A FeatureInfo of any size that is one; more is another kind of file. */
const LARGEST_FEATURE_INFO = 16 * 1024 * 1024;

/** The entries of a `--features` file: timm's list, or anything that has one under `feature_info` (a report of inspect). @throws IoError, UsageError */
async function readFeatureInfo(path: string, fs: FileSystem): Promise<readonly FeatureEntry[]> {
  const source = await FileSource.open(path, fs);
  try {
    if (source.size > LARGEST_FEATURE_INFO)
      throw new UsageError(
        `${path} is too large for a FeatureInfo: ${source.size} bytes, at most ${LARGEST_FEATURE_INFO}`,
        { path },
      );
    const text = decodeText(await source.read(0, source.size));
    return FeatureInfo.fromJSON(featureList(text)).toJSON();
  } catch (error) {
    if (error instanceof UsageError)
      throw new UsageError(`${path}: ${error.message}`, { code: error.code, hint: error.hint, path, cause: error });
    throw error;
  } finally {
    await source.close();
  }
}

function featureList(text: string): string | readonly unknown[] {
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    // FeatureInfo says what is wrong with it.
    return text;
  }
  const list: unknown =
    typeof parsed === 'object' && parsed !== null && 'feature_info' in parsed ? parsed.feature_info : parsed;
  return Array.isArray(list) ? list : text;
}
