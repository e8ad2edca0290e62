import { UsageError } from './errors.js';
import type { GraphView } from './onnx/graph.js';
import { AUTO, findRecipe } from './preprocessing/find.js';
import type { NumbersOf } from './preprocessing/in-graph.js';
import { pictureInputs, type ImageInput } from './preprocessing/input.js';
import type { FoundRecipe } from './preprocessing/recipe.js';
import { PREPROCESS_KEY } from './preprocessing/stored.js';
import { isTensor, numbersOf } from './shapes/info.js';
import { inferWhole } from './shapes/whole.js';
import { configsBeside, readText, unreadBeside } from './tensors/beside-model.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';

/**
 * How pictures are prepared for an input of a model that is open: as the caller says, else as the model, the files
 * beside it or its graph do.
 * @param how `auto`, the name of a preset, a file, or `none`
 * @throws UsageError, IoError, PolicyError
 */
export async function modelRecipe(
  view: GraphView,
  input: ImageInput,
  how = AUTO,
  fileSystem: FileSystem = nodeFileSystem,
): Promise<FoundRecipe> {
  const { model } = view;
  const { path } = model.source;
  return findRecipe(input, how, {
    view,
    metadata: async () => {
      const entries = new Map<string, string>();
      for (const { key, value } of model.metadata) if (READ.has(key)) entries.set(key, await model.text(value));
      return entries;
    },
    beside: async () => (path === undefined ? [] : configsBeside(path, fileSystem)),
    unread: async () => (path === undefined ? [] : unreadBeside(path, fileSystem)),
    numbersOf: async () => constantsOf(view),
    read: (file) => readText(file, fileSystem),
  });
}

/** What is asked of the pictures of a model that is to be cut. */
export interface CutPictures {
  /** What `pixels.preprocess` says: a name, a file; nothing for whatever the model says. */
  readonly how: string | undefined;
  /** Whether a cut without it is refused; otherwise a file that is not understood is a warning. */
  readonly isNeeded: boolean;
  readonly fileSystem?: FileSystem;
  readonly warn: (message: string) => void;
}

/**
 * How pictures are prepared for each input of a model that takes them, as a cut of it is to say; nothing for those of
 * which nobody says it.
 * @throws UsageError, IoError, PolicyError
 */
export async function picturesOfCut(
  view: GraphView,
  { how, isNeeded, fileSystem, warn }: CutPictures,
): Promise<ReadonlyMap<string, FoundRecipe>> {
  const found = new Map<string, FoundRecipe>();
  for (const input of pictureInputs(view)) {
    try {
      const own = await modelRecipe(view, input, how, fileSystem);
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
