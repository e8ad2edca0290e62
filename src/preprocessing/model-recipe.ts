import { UsageError } from '../errors.js';
import type { GraphView } from '../onnx/graph.js';
import { isTensor, numbersOf } from '../shapes/info.js';
import { inferWhole } from '../shapes/whole.js';
import { AUTO, findRecipe, type RecipeSources } from './find.js';
import type { NumbersOf } from './in-graph.js';
import { pictureInputs, type ImageInput } from './input.js';
import type { FoundRecipe } from './recipe.js';
import { PREPROCESS_KEY } from './stored.js';

/** Where else a recipe may stand. */
type RecipeFiles = Pick<RecipeSources, 'beside' | 'read'>;

/**
 * How pictures are prepared for an input of a model that is open: as the caller says, else as the model, the files
 * beside it or its graph do.
 * @param how `auto`, the name of a preset, a file, or `none`
 * @throws UsageError, and what `files` throws
 */
export async function recipeFor(
  view: GraphView,
  input: ImageInput,
  how: string,
  files: RecipeFiles,
): Promise<FoundRecipe> {
  const { model } = view;
  return findRecipe(input, how, {
    ...files,
    view,
    metadata: async () => {
      const entries = new Map<string, string>();
      for (const { key, value } of model.metadata) if (READ.has(key)) entries.set(key, await model.text(value));
      return entries;
    },
    numbersOf: async () => constantsOf(view),
  });
}

/** What is asked of the pictures of a model that is to be cut. */
export interface CutPictures {
  /** What `pixels.preprocess` says: a name, a file; nothing for whatever the model says. */
  readonly how: string | undefined;
  /** Whether a cut without it is refused; otherwise a file that is not understood is a warning. */
  readonly isNeeded: boolean;
  readonly files: RecipeFiles;
  readonly warn: (message: string) => void;
}

/**
 * How pictures are prepared for each input of a model that takes them, as a cut of it is to say; nothing for those of
 * which nobody says it.
 * @throws UsageError, and what `files` throws
 */
export async function picturesOfCut(
  view: GraphView,
  { how = AUTO, isNeeded, files, warn }: CutPictures,
): Promise<ReadonlyMap<string, FoundRecipe>> {
  const found = new Map<string, FoundRecipe>();
  for (const input of pictureInputs(view)) {
    try {
      const own = await recipeFor(view, input, how, files);
      if (own.source !== 'assumed') found.set(input.name, own);
    } catch (error) {
      if (isNeeded || !(error instanceof UsageError)) throw error;
      warn(`the cut does not say how pictures are prepared: ${error.message}`);
    }
  }
  return found;
}

/** The keys of metadata_props that say how pictures are prepared. */
const READ = new Set([PREPROCESS_KEY, 'stride', 'names', 'imgsz', 'task', 'description']);

async function constantsOf(view: GraphView): Promise<NumbersOf> {
  const { nominal } = await inferWhole(view);
  return (name) => {
    const info = nominal.infos.get(name);
    return isTensor(info) ? numbersOf(info.value) : null;
  };
}
