import { UsageError } from '../errors.js';
import type { MapLayout } from '../options/choices.js';
import type { OptionsIn } from '../options/types.js';
import { option } from '../options/words.js';
import { INTERPOLATIONS, type Interpolation } from './resample.js';

/** How a picture becomes an input; what is left out is timm's default, or what an input of pixels asks for. */
export type ImageOptions = OptionsIn<'image'>;

type Triple = readonly [number, number, number];

/** Options with nothing left open. */
export interface Preprocessing {
  /** Null: the picture's own; if only one side is null, in proportion to the other. */
  readonly height: number | null;
  readonly width: number | null;
  readonly crop: number;
  readonly interpolation: Interpolation;
  /** Null, as `std` then is: pixels from 0 to 255 as they are. */
  readonly mean: Triple | null;
  readonly std: Triple | null;
  readonly dtype: 'float32' | 'float16' | 'uint8';
  readonly layout: PictureLayout;
}

/** Axes of an input that takes pictures; without N it takes one at a time. */
export type PictureLayout = MapLayout | 'CHW' | 'HWC';

/** The shape of a picture without N, in the order of its axes: [3, H, W] or [H, W, 3]. */
export function pictureShape<Side extends number | null>(
  layout: PictureLayout,
  { height, width }: { readonly height: Side; readonly width: Side },
): readonly (Side | 3)[] {
  return Array.from(layout.replace('N', ''), (axis) => (axis === 'C' ? 3 : axis === 'H' ? height : width));
}

/** Whether a picture is three planes, not pixels of three values. */
export function channelsLead(layout: PictureLayout): boolean {
  return layout.indexOf('C') < layout.indexOf('H');
}

/** @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/constants.py */
const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
const IMAGENET_STD = [0.229, 0.224, 0.225] as const;
const DEFAULT_CROP = 0.875;
const DEFAULT_SIZE = 224;
/** The most pixels that a side is resized to. */
export const LARGEST_SIDE = 16_384;

type Shape = readonly (number | string | null)[];

/** The input of a model that a picture is made for. */
export interface ImageInput {
  readonly name: string;
  readonly dtype: string | null;
  readonly shape: Shape | null;
}

/** The axes of an input of RGB pictures, or null; three axes are those of a picture if one of them says 3. */
export function pictureLayout(shape: Shape | null): PictureLayout | null {
  const dims = shape ?? [null, 3, null, null];
  if (dims.length !== 3 && dims.length !== 4) return null;
  const [first, , last] = dims.slice(-3);
  const isBatched = dims.length === 4;
  if (last === 3 && first !== 3) return isBatched ? 'NHWC' : 'HWC';
  if (first === 3 || (isBatched && typeof first !== 'number')) return isBatched ? 'NCHW' : 'CHW';
  return null;
}

/** Which of some inputs can take a picture: those of rank 4, or else those with the three axes of one. */
export function pictureTaker(inputs: readonly ImageInput[]): (candidate: ImageInput) => boolean {
  const isBatch = ({ shape }: ImageInput): boolean => shape === null || shape.length === 4;
  return inputs.some(isBatch) ? isBatch : ({ shape }) => pictureLayout(shape) !== null;
}

/** Whether an input takes several pictures at once. */
export function hasBatchAxis(layout: PictureLayout): boolean {
  return layout.startsWith('N');
}

/**
 * timm's preprocessing for an input of a model; for uint8, which says that the model prepares pictures itself, the
 * pixels as they are, of the picture's own size where the model takes any.
 * @throws UsageError if a picture cannot be that input, or an option is out of range
 */
export function preprocessingFor(input: ImageInput, options: ImageOptions = {}): Preprocessing {
  const dtype = pictureDtype(input);
  const layout = pictureLayout(input.shape);
  if (layout === null)
    throw new UsageError(
      `input ${input.name} has shape [${(input.shape ?? []).map((dim) => dim ?? '?').join(', ')}]; a picture has [N, 3, H, W], [N, H, W, 3], [3, H, W] or [H, W, 3]`,
      { hint: 'give it as a .npy array' },
    );
  const crop = options.crop ?? (dtype === 'uint8' ? 1 : DEFAULT_CROP);
  if (!(crop > 0 && crop <= 1)) throw new UsageError(`crop is ${crop}; it lies above 0 and at most at 1`);
  const interpolation = options.interpolation ?? 'bicubic';
  if (!INTERPOLATIONS.includes(interpolation))
    throw new UsageError(`interpolation ${String(interpolation)} is unknown`, {
      hint: `choose ${INTERPOLATIONS.join(', ')}`,
    });
  const size = pictureSize(input, { layout, dtype, asked: options.size });
  if (options.crop !== undefined && (size.height === null || size.width === null))
    throw new UsageError(`input ${input.name} takes pictures of their own size, which have no crop of ${crop}`, {
      hint: `say the size as well, with ${option('image.size')}, or leave out ${option('image.crop')}`,
    });
  return { ...size, crop, interpolation, ...normalization(input, dtype, options), dtype, layout };
}

function pictureDtype({ name, dtype }: ImageInput): Preprocessing['dtype'] {
  if (dtype === null) return 'float32';
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'uint8') return dtype;
  throw new UsageError(`input ${name} is ${dtype}; a picture becomes float32, float16 or uint8`, {
    hint: 'give it as a .npy array',
  });
}

interface Sizing {
  readonly layout: PictureLayout;
  readonly dtype: Preprocessing['dtype'];
  readonly asked: ImageOptions['size'];
}

function pictureSize(
  { name, shape }: ImageInput,
  { layout, dtype, asked }: Sizing,
): Pick<Preprocessing, 'height' | 'width'> {
  const sides = [shape?.[layout.indexOf('H')] ?? null, shape?.[layout.indexOf('W')] ?? null];
  const wanted = typeof asked === 'number' ? [asked, asked] : asked;
  if (wanted !== undefined && sides.some((fixed, axis) => typeof fixed === 'number' && wanted[axis] !== fixed))
    throw new UsageError(
      `input ${name} takes pictures of ${sides.map((side) => side ?? '?').join(' x ')}, not ${wanted.join(' x ')}`,
      { hint: `leave out ${option('image.size')}` },
    );
  const [height, width] = sides.map((fixed, axis) => {
    const side = wanted?.[axis] ?? fixed;
    if (typeof side !== 'number') return dtype === 'uint8' ? null : DEFAULT_SIZE;
    if (Number.isInteger(side) && side >= 1 && side <= LARGEST_SIDE) return side;
    throw new UsageError(
      `the ${axis === 0 ? 'height' : 'width'} of a picture is ${side}; it lies between 1 and ${LARGEST_SIDE}`,
    );
  });
  return { height, width };
}

function normalization(
  { name }: ImageInput,
  dtype: Preprocessing['dtype'],
  { mean, std }: ImageOptions,
): Pick<Preprocessing, 'mean' | 'std'> {
  if (dtype !== 'uint8')
    return {
      mean: triple(mean ?? IMAGENET_MEAN, 'mean', () => true),
      std: triple(std ?? IMAGENET_STD, 'std', (value) => value > 0),
    };
  if (mean === undefined && std === undefined) return { mean: null, std: null };
  throw new UsageError(`input ${name} is uint8: it takes pixels from 0 to 255 as they are`, {
    hint: `leave out ${option('image.mean')} and ${option('image.std')}`,
  });
}

function triple(values: readonly number[], what: string, isGood: (value: number) => boolean): Triple {
  const [red, green = red, blue = red] = values;
  if ((values.length === 1 || values.length === 3) && values.every((value) => Number.isFinite(value) && isGood(value)))
    return [red, green, blue];
  throw new UsageError(
    `${what} is ${values.join(', ')}; it takes one or three numbers${what === 'std' ? ' above 0' : ''}`,
  );
}
