import { notUnderstood } from './config-fields.js';
import { LARGEST_SIDE, type Recipe } from './recipe.js';

/** A recipe of a file or of metadata, its numbers such that pictures can be prepared by them. @throws UsageError */
export function usable(path: string, recipe: Recipe): Recipe {
  const fault = faultOf(recipe);
  if (fault === null) return recipe;
  throw notUnderstood(path, fault);
}

function faultOf({ size, resize, crop, scale, mean, std, fill }: Recipe): string | null {
  const sides = [...(size ?? []), ...(resize === null ? [] : [resize].flat())];
  const side = sides.find((each) => !(Number.isInteger(each) && each >= 1 && each <= LARGEST_SIDE));
  if (side !== undefined) return `a side of pictures is ${side}; it lies between 1 and ${LARGEST_SIDE}`;
  if (!(crop > 0 && crop <= 1)) return `the share that a crop keeps is ${crop}; it lies above 0 and at most at 1`;
  if (!(scale > 0 && Number.isFinite(scale))) return `pixels are multiplied by ${scale}, which must lie above 0`;
  const wrong = std?.find((value) => !(value > 0));
  if (wrong !== undefined) return `a deviation is ${wrong}; it lies above 0`;
  const odd = fill.find((value) => !(Number.isInteger(value) && value >= 0 && value <= 255));
  if (odd !== undefined) return `pictures are filled up with ${odd}; it takes whole numbers from 0 to 255`;
  const channels = Math.max(mean?.length ?? 1, std?.length ?? 1);
  for (let channel = 0; channel < channels; channel++) {
    const [middle, deviation] = [mean?.[channel] ?? mean?.[0] ?? 0, std?.[channel] ?? std?.[0] ?? 1];
    // In the arithmetic that pixels go through.
    const isFinite = [0, 255].every((pixel) =>
      Number.isFinite((Math.fround(pixel * scale) - Math.fround(middle)) / Math.fround(deviation)),
    );
    if (!isFinite) return `a mean of ${middle} and a deviation of ${deviation} make pixels infinite`;
  }
  return null;
}
