import type { GraphView } from './onnx/graph.js';
import { AUTO, type RecipeSources } from './preprocessing/find.js';
import type { ImageInput } from './preprocessing/input.js';
import { recipeFor } from './preprocessing/model-recipe.js';
import type { FoundRecipe } from './preprocessing/recipe.js';
import { soundRecipe, type SoundRecipe } from './preprocessing/sound.js';
import { configsBeside, readText } from './tensors/beside-model.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';

/**
 * `recipeFor` a model with the files beside it.
 * @param how `auto`, the name of a preset, a file, or `none`
 * @throws UsageError, IoError, PolicyError
 */
export async function modelRecipe(
  view: GraphView,
  input: ImageInput,
  how = AUTO,
  fileSystem: FileSystem = nodeFileSystem,
): Promise<FoundRecipe> {
  return recipeFor(view, input, how, recipeFiles(view, fileSystem));
}

/** The files that may say how pictures are prepared for a model. */
export function recipeFiles(
  { model }: GraphView,
  fileSystem: FileSystem = nodeFileSystem,
): Pick<RecipeSources, 'beside' | 'read'> {
  const { path } = model.source;
  return {
    beside: async () => (path === undefined ? [] : configsBeside(path, fileSystem)),
    read: (file) => readText(file, fileSystem),
  };
}

/** How sound is prepared for a model: as the caller says, or the files beside it. @throws UsageError, IoError */
export async function modelSound(
  { model }: GraphView,
  rate: number | undefined,
  fileSystem: FileSystem = nodeFileSystem,
): Promise<SoundRecipe> {
  const { path } = model.source;
  return soundRecipe(path === undefined ? [] : await configsBeside(path, fileSystem), rate);
}
