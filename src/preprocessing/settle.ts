import { UsageError } from '../errors.js';
import { INTERPOLATIONS } from '../options/choices.js';
import type { OptionsIn } from '../options/types.js';
import { option } from '../options/words.js';
import { axesOf, type ImageInput } from './input.js';
import { PRESETS } from './presets.js';
import { LARGEST_SIDE, type FoundRecipe, type Preprocessing, type Recipe } from './recipe.js';

/** How a picture becomes an input; what is left out is what the model, or a file beside it, says. */
export type ImageOptions = OptionsIn<'image'>;

const DEFAULT_SIZE = 224;

/**
 * A recipe for one input, with single options in the place of what it says. An input of uint8 says that the model
 * prepares pictures itself: it gets pixels as they are, of the picture's own size if it takes any.
 * @throws UsageError if a picture cannot be that input, or an option is out of range
 */
export function settled(input: ImageInput, given: FoundRecipe, options: ImageOptions = {}): Preprocessing {
  const dtype = pictureDtype(input);
  // Nobody has to say how pixels become pixels.
  const isRaw = dtype === 'uint8' && given.source === 'assumed';
  const found: FoundRecipe = isRaw ? { ...given, recipe: PRESETS.raw, source: 'graph', preset: 'raw' } : given;
  const { layout, depth } = axesOf(input);
  const isPixels = dtype === 'uint8';
  // Who says what pixels are multiplied by does not mean ImageNet's mean and deviation.
  const isScaled = found.source === 'assumed' && options.scale !== undefined;
  const base = isScaled ? { ...found.recipe, mean: null, std: null } : found.recipe;
  const recipe = withOptions(isPixels ? asPixels(input, base, options) : base, options);
  const size = pictureSize(input, { layout, isOpen: isPixels || found.isBare === true, recipe, asked: options.size });
  assertRanges(recipe, options);
  if ((options.crop !== undefined || options.resize !== undefined) && (size.height === null || size.width === null))
    throw new UsageError(
      `input ${input.name} takes pictures of their own size, which have no ${options.crop === undefined ? 'other one in front of a crop' : `crop of ${options.crop}`}`,
      { hint: `say the size as well, with ${option('image.size')}, or leave out ${option('image.crop')}` },
    );
  const resize = found.isBare === true ? null : resizeOf(recipe, size, options);
  assertResize(resize, recipe.crop);
  const { size: _made, resize: _resize, ...rest } = recipe;
  return {
    ...rest,
    source: sourceOf(found, options),
    path: found.path,
    preset: found.preset,
    ...size,
    resize,
    crop: shareOf(recipe.crop, resize, size),
    mean: perChannel(recipe.mean, depth),
    std: perChannel(recipe.std, depth),
    dtype,
    layout,
    depth,
  };
}

/** What is known of the sizes of an input. */
export interface KnownSizes {
  /** Numbers for all of its dims, where some are symbolic. */
  readonly numbers?: readonly number[];
  /** Whether the caller gave them; others give way to sizes that are asked for, or that a recipe says. */
  readonly isGiven: boolean;
}

/** `settled` for an input of a model whose symbolic dims have numbers, given or guessed. */
export function settledFor(
  input: ImageInput,
  found: FoundRecipe,
  { numbers, isGiven }: KnownSizes,
  options: ImageOptions = {},
): Preprocessing {
  // Pixels come at the picture's own size.
  const isOpen = !isGiven && (options.size !== undefined || input.dtype === 'uint8' || found.isBare === true);
  if (isOpen || numbers === undefined) return settled(input, found, options);
  const own = input.shape ?? numbers.map(() => null);
  const isSized = !isGiven && found.source !== 'assumed' && found.recipe.size !== null;
  const shape = own.map((dim, axis) =>
    typeof dim === 'number' || (isSized && numbers[axis] === GUESSED_SIDE) ? dim : (numbers[axis] ?? dim),
  );
  return settled({ ...input, shape }, found, options);
}

/** What stands in for the sides of a picture if nothing is known of them: a recipe says better ones. */
const GUESSED_SIDE = DEFAULT_SIZE;

/** What to tell of a recipe that became this. */
export function warningsOf({ source, warnings }: FoundRecipe, to: Preprocessing): readonly string[] {
  return to.source === 'assumed' || source !== 'assumed' ? warnings : [];
}

/** Values that the caller says in full are his. */
function sourceOf(
  { source, preset }: FoundRecipe,
  { mean, std, scale, preprocess }: ImageOptions,
): Preprocessing['source'] {
  const isSaid = (mean !== undefined && std !== undefined) || scale !== undefined;
  return source === 'assumed' && (isSaid || (preprocess !== undefined && preset !== null)) ? 'flags' : source;
}

function pictureDtype({ name, dtype }: ImageInput): Preprocessing['dtype'] {
  if (dtype === null) return 'float32';
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'uint8') return dtype;
  throw new UsageError(`input ${name} is ${dtype}; a picture becomes float32, float16 or uint8`, {
    hint: 'give it as a .npy array',
  });
}

function asPixels({ name }: ImageInput, recipe: Recipe, { mean, std, scale }: ImageOptions): Recipe {
  if (mean !== undefined || std !== undefined || scale !== undefined)
    throw new UsageError(`input ${name} is uint8: it takes pixels from 0 to 255 as they are`, {
      hint: `leave out ${option('image.mean')}, ${option('image.std')} and ${option('image.scale')}`,
    });
  return { ...recipe, scale: 1, mean: null, std: null };
}

function withOptions(recipe: Recipe, options: ImageOptions): Recipe {
  const { crop, resize, fit, interpolation, scale, mean, std, channels, orient, fill } = options;
  const isOther = crop !== undefined || resize !== undefined || (fit !== undefined && fit !== recipe.fit);
  return {
    ...recipe,
    ...(isOther ? { resize: resize ?? null, crop: crop ?? (resize === undefined ? recipe.crop : 1) } : {}),
    fit: fit ?? recipe.fit,
    // ultralytics fits with OpenCV, which does not antialias.
    antialias: fit === undefined || fit === recipe.fit ? recipe.antialias : fit !== 'letterbox',
    interpolation: interpolation ?? (fit === 'letterbox' && recipe.fit !== fit ? 'bilinear' : recipe.interpolation),
    scale: scale ?? recipe.scale,
    mean: mean ?? recipe.mean,
    std: std ?? recipe.std,
    channels: channels ?? recipe.channels,
    orientation: orient ?? recipe.orientation,
    fill: fill ?? (fit === 'letterbox' && recipe.fit !== fit ? [114] : recipe.fill),
  };
}

function assertRanges(recipe: Recipe, options: ImageOptions): void {
  const { crop, interpolation, antialias, scale, fill } = recipe;
  if (!(crop > 0 && crop <= 1)) throw new UsageError(`crop is ${crop}; it lies above 0 and at most at 1`);
  if (!INTERPOLATIONS.includes(interpolation))
    throw new UsageError(`interpolation ${String(interpolation)} is unknown`, {
      hint: `choose ${INTERPOLATIONS.join(', ')}`,
    });
  if (!antialias && interpolation !== 'bilinear' && interpolation !== 'nearest')
    throw new UsageError(`without antialiasing, as OpenCV resizes, there is no interpolation ${interpolation}`, {
      hint: `choose ${option('image.interpolation', 'bilinear')}`,
    });
  if (!(scale > 0)) throw new UsageError(`scale is ${scale}; it lies above 0`);
  if (fill.some((value) => !Number.isInteger(value) || value < 0 || value > 255))
    throw new UsageError(`fill is ${fill.join(', ')}; it takes whole numbers from 0 to 255`);
  for (const [what, values] of [['mean', options.mean] as const, ['std', options.std] as const]) {
    if (values === undefined) continue;
    const isGood = (value: number): boolean => Number.isFinite(value) && (what === 'mean' || value > 0);
    if ((values.length !== 1 && values.length !== 3) || !values.every(isGood))
      throw new UsageError(
        `${what} is ${values.join(', ')}; it takes one or three numbers${what === 'std' ? ' above 0' : ''}`,
      );
    assertUnits(what, values, scale);
  }
}

/** The most that a mean or a deviation of values is that lie between 0 and `scale * 255`. */
const MOST = { mean: 1, std: 2 } as const;

/** Numbers for pixels from 0 to 255 are not such for values from 0 to 1. */
function assertUnits(what: 'mean' | 'std', values: readonly number[], scale: number): void {
  const whole = scale * 255;
  if (values.every((value) => Math.abs(value) <= MOST[what] * whole)) return;
  const proposed = values.map((value) => Number((value * scale).toPrecision(6)));
  throw new UsageError(
    `${what} is ${values.join(', ')}, as of pixels from 0 to 255, and the values here are from 0 to ${Number(whole.toPrecision(6))}`,
    {
      code: 'FEATX_USAGE_OPTION',
      hint: `give ${option(`image.${what}`, proposed)}, or leave pixels from 0 to 255 with ${option('image.scale', 1)}`,
    },
  );
}

function perChannel(values: readonly number[] | null, depth: 1 | 3): readonly number[] | null {
  if (values === null) return null;
  const [red, green = red, blue = red] = values;
  return depth === 3 ? [red, green, blue] : [(red + green + blue) / 3];
}

interface Sizing {
  readonly layout: Preprocessing['layout'];
  /** Whether a size that nobody fixes is the picture's own. */
  readonly isOpen: boolean;
  readonly recipe: Recipe;
  readonly asked: ImageOptions['size'];
}

type Size = Pick<Preprocessing, 'height' | 'width'>;

function pictureSize({ name, shape }: ImageInput, { layout, isOpen, recipe, asked }: Sizing): Size {
  const sides = [shape?.[layout.indexOf('H')] ?? null, shape?.[layout.indexOf('W')] ?? null];
  const wanted = typeof asked === 'number' ? [asked, asked] : asked;
  if (wanted !== undefined && sides.some((fixed, axis) => typeof fixed === 'number' && wanted[axis] !== fixed))
    throw new UsageError(
      `input ${name} takes pictures of ${sides.map((side) => side ?? '?').join(' x ')}, not ${wanted.join(' x ')}`,
      { hint: `leave out ${option('image.size')}` },
    );
  const [height, width] = sides.map((fixed, axis) => {
    const side = wanted?.[axis] ?? (typeof fixed === 'number' ? fixed : isOpen ? null : recipe.size?.[axis]);
    if (side === null) return null;
    if (side === undefined) return DEFAULT_SIZE;
    if (Number.isInteger(side) && side >= 1 && side <= LARGEST_SIDE) return side;
    throw new UsageError(
      `the ${axis === 0 ? 'height' : 'width'} of a picture is ${side}; it lies between 1 and ${LARGEST_SIDE}`,
    );
  });
  return { height, width };
}

/** What pictures are resized to for an input of this size. */
function resizeOf(
  { fit, resize, crop, size: made }: Recipe,
  { height, width }: Size,
  options: ImageOptions,
): Preprocessing['resize'] {
  if (height === null || width === null) return null;
  const isAsMade = options.resize !== undefined || (made !== null && made[0] === height && made[1] === width);
  if (resize !== null && isAsMade) return fit === 'squash' && typeof resize === 'number' ? [resize, resize] : resize;
  if (fit === 'letterbox') return [height, width];
  const [tall, wide] = [Math.floor(height / crop), Math.floor(width / crop)];
  return fit === 'shortest' && tall === wide ? tall : [tall, wide];
}

function assertResize(resize: Preprocessing['resize'], crop: number): void {
  const side = Math.max(0, ...[resize ?? []].flat());
  if (side <= LARGEST_SIDE) return;
  throw new UsageError(
    `a picture would be resized to ${side} pixels in front of a crop of ${crop}; a side has at most ${LARGEST_SIDE}`,
    { hint: `say less with ${option('image.resize')}, or a larger ${option('image.crop')}` },
  );
}

/** The share of the resized picture that stays, along the side that loses most. */
function shareOf(crop: number, resize: Preprocessing['resize'], { height, width }: Size): number {
  if (resize === null || height === null || width === null) return crop;
  const [tall, wide] = typeof resize === 'number' ? [resize, resize] : resize;
  // Rounded down to whole pixels, a share is the one that was asked for.
  if (Math.floor(height / crop) === tall && Math.floor(width / crop) === wide) return crop;
  return Math.min(1, height / tall, width / wide);
}
