import { UsageError } from '../errors.js';
import type { GraphView } from '../onnx/graph.js';
import { PRESET_NAMES } from '../options/choices.js';
import { nearestNames } from '../options/nearest.js';
import { option } from '../options/words.js';
import { recipeOfFile } from './configs.js';
import { arithmeticInGraph, takenBy, type NumbersOf } from './in-graph.js';
import type { ImageInput } from './input.js';
import { PRESETS } from './presets.js';
import type { FoundRecipe, Recipe } from './recipe.js';
import { PREPROCESS_KEY, storedRecipe } from './stored.js';
import { ultralyticsRecipe } from './ultralytics.js';

/** A file with text. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** Where a recipe may stand. */
export interface RecipeSources {
  /** The entries of the model's metadata_props. */
  readonly metadata: () => Promise<ReadonlyMap<string, string>>;
  /** The files beside the model that say how pictures are prepared, the most telling first. */
  readonly beside: () => Promise<readonly TextFile[]>;
  readonly view: GraphView;
  readonly numbersOf: () => Promise<NumbersOf>;
  /** Reads a file that the caller names. */
  readonly read: (path: string) => Promise<string>;
}

/** What `preprocess` may be beside the name of a preset: whatever the model says; a file; nothing at all. */
export const AUTO = 'auto';
const NONE = 'none';
/** A cut that says nothing. */
const NOTHING = '{"inputs":[]}';

/**
 * How pictures are prepared: as the caller says by a name or a file; else as the model's metadata says, a file beside
 * it, or what its graph does by itself; else ImageNet's, which is assumed.
 * @throws UsageError if a file says it and is not understood, and for names that there are not; IoError
 */
export async function findRecipe(input: ImageInput, how: string, sources: RecipeSources): Promise<FoundRecipe> {
  if (how !== AUTO) return asked(how, sources.read);
  const metadata = await sources.metadata();
  const stored = storedRecipe(metadata.get(PREPROCESS_KEY) ?? NOTHING, input.name);
  if (stored !== null) return plain('metadata', null, stored);
  const found: FoundRecipe[] = [];
  const fromMetadata = ultralyticsRecipe(metadata);
  if (fromMetadata !== null) found.push(plain('metadata', null, fromMetadata));
  // A file is only looked at if nothing in the model says more: it may be another model's.
  else
    for (const { path, text } of await sources.beside()) {
      const recipe = recipeOfFile(path, text);
      if (recipe !== null) found.push(plain('file', path, recipe));
    }
  const arithmetic =
    input.dtype === 'uint8' ? null : arithmeticInGraph(sources.view, input.name, await sources.numbersOf());
  const own = input.dtype === 'uint8' ? 'raw' : arithmetic === null ? null : takenBy(arithmetic);
  const [first, ...others] = found;
  if (first === undefined) {
    if (own !== null) return { ...plain('graph', null, PRESETS[own]), preset: own };
    return assumed();
  }
  const warnings = others
    .filter(({ recipe }) => !isSame(recipe, first.recipe))
    .map(({ path }) => `${path} says another way to prepare pictures than ${first.path}, which is used`);
  if (own === null) return { ...first, warnings };
  // Normalised twice is wrong for sure.
  const { scale, mean, std } = PRESETS[own];
  const doubled = `the network normalises pictures itself, so that what ${first.path ?? 'its metadata'} says of mean and deviation is left out`;
  const isDoubled = input.dtype !== 'uint8' && (first.recipe.mean !== null || first.recipe.scale !== scale);
  return {
    ...first,
    recipe: { ...first.recipe, scale, mean, std },
    warnings: isDoubled ? [...warnings, doubled] : warnings,
  };
}

/** How pictures are prepared where there is no model to ask. @throws UsageError, IoError */
export async function recipeNamed(how: string, read: RecipeSources['read']): Promise<FoundRecipe> {
  return how === AUTO ? { ...assumed(), warnings: [] } : asked(how, read);
}

function plain(source: FoundRecipe['source'], path: string | null, recipe: Recipe): FoundRecipe {
  return { recipe, source, path, preset: presetOf(recipe), warnings: [] };
}

/** The name of a recipe that stands in the table, whatever its size. */
function presetOf(recipe: Recipe): FoundRecipe['preset'] {
  return PRESET_NAMES.find((name) => isSame(essence(PRESETS[name]), essence(recipe))) ?? null;
}

/** A recipe without its size, and without pixels that follow from size and crop. */
function essence(recipe: Recipe): Recipe {
  const { size, resize, crop } = recipe;
  const sides = typeof resize === 'number' ? [resize, resize] : resize;
  const follows = size !== null && sides?.every((side, axis) => side === Math.floor(size[axis] / crop)) === true;
  return { ...recipe, size: null, resize: follows ? null : resize };
}

function isSame(a: Recipe, b: Recipe): boolean {
  const keys = Object.keys(a) as (keyof Recipe)[];
  return keys.every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]));
}

async function asked(how: string, read: RecipeSources['read']): Promise<FoundRecipe> {
  const preset = PRESET_NAMES.find((name) => name === how);
  if (preset !== undefined) return { ...plain('flags', null, PRESETS[preset]), preset };
  if (how === NONE) return { ...plain('flags', null, PRESETS.raw), preset: null, isBare: true };
  if (!/[./\\]/.test(how))
    throw new UsageError(`there is no way to prepare pictures called '${how}'`, {
      code: 'FEATX_USAGE_PREPROCESS',
      hint: `${nearestNames(how, [...PRESET_NAMES, AUTO, NONE])
        .map((name) => `did you mean ${name}? `)
        .join('')}there are ${PRESET_NAMES.join(', ')}, ${AUTO}, ${NONE}, and files such as preprocessor_config.json`,
    });
  const recipe = recipeOfFile(how, await read(how), true);
  if (recipe !== null) return plain('file', how, recipe);
  throw new UsageError(`${how} does not say how pictures are prepared`, {
    code: 'FEATX_USAGE_PREPROCESS',
    path: how,
    hint: 'a preprocessor_config.json, a config.json of timm, an open_clip_config.json, or the preprocessing of a report of featx does',
  });
}

function assumed(): FoundRecipe {
  return {
    ...plain('assumed', null, PRESETS.imagenet),
    preset: 'imagenet',
    warnings: [
      `assumed imagenet: nothing with the model says how pictures are prepared; say it with ${option('image.preprocess', 'NAME')} or with ${option('image.mean')} and ${option('image.std')}`,
    ],
  };
}
