import { isRecord } from '../options/schema.js';
import { parseJson } from '../wire/json.js';
import { notUnderstood } from './config-fields.js';
import { recipeInWords } from './configs.js';
import type { FoundRecipe, Recipe } from './recipe.js';

/** Key of `metadata_props` under which a cut says how pictures are prepared for its inputs. */
export const PREPROCESS_KEY = 'featx.preprocess';

/** A recipe for an input of a cut, and where it comes from. */
export interface CutRecipe extends Pick<FoundRecipe, 'recipe' | 'source' | 'path' | 'preset'> {
  readonly input: string;
}

/** What a cut says of its inputs, in the words of a report. */
export function writtenRecipes(recipes: readonly CutRecipe[]): string {
  return JSON.stringify({ schema: 1, inputs: recipes.map(({ input, recipe }) => ({ input, ...inWords(recipe) })) });
}

/** A recipe under the keys of a report. */
export type RecipeWords = Omit<Recipe, 'cropRounding'> & { readonly crop_rounding: Recipe['cropRounding'] };

/** A recipe under these keys. */
export function inWords({ cropRounding, ...rest }: Recipe): RecipeWords {
  return { ...rest, crop_rounding: cropRounding };
}

/** What a cut says of an input; null if it says nothing. @throws UsageError if it is not understood */
export function storedRecipe(text: string, input: string): Recipe | null {
  const place = `the metadata of the model (${PREPROCESS_KEY})`;
  let said: unknown;
  try {
    said = parseJson(text);
  } catch {
    throw notUnderstood(place, 'it is not JSON');
  }
  const inputs: readonly unknown[] | null = isRecord(said) && Array.isArray(said.inputs) ? said.inputs : null;
  if (inputs === null) throw notUnderstood(place, 'it has no list of inputs');
  const own = inputs.find((each) => isRecord(each) && each.input === input);
  return isRecord(own) ? recipeInWords(own, place) : null;
}
