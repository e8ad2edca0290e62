import type { TensorValue } from '../onnx/tensor-value.js';
import { option } from '../options/words.js';
import type { OptionsIn } from '../options/types.js';
import { CHANNEL_AXIS } from '../features/feature.js';
import type { MapLayout } from '../options/choices.js';
import { FeatxError, ModelFormatError, RuntimeError, UsageError } from '../errors.js';
import { float32ToHalf } from './float16.js';
import { overLimit } from './faults.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { INTERPOLATIONS, resizeAndCrop, type Interpolation, type Picture } from './resample.js';

/** How a picture becomes an input; what is left out is timm's default. */
export type ImageOptions = OptionsIn<'image'>;

/** Options with nothing left open. */
export interface Preprocessing {
  readonly height: number;
  readonly width: number;
  readonly crop: number;
  readonly interpolation: Interpolation;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly dtype: 'float32' | 'float16';
  readonly layout: MapLayout;
}

/** The sizes of a picture behind axis 0, in the order of its layout. */
const SIZES: { readonly [L in MapLayout]: (to: Preprocessing) => readonly number[] } = {
  NCHW: ({ height, width }) => [3, height, width],
  NHWC: ({ height, width }) => [height, width, 3],
};

/** The shape of a picture without axis 0: [3, H, W] or [H, W, 3]. */
export function pictureShape(to: Preprocessing): readonly number[] {
  return SIZES[to.layout](to);
}

/** @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/constants.py */
const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
const IMAGENET_STD = [0.229, 0.224, 0.225] as const;
const DEFAULT_CROP = 0.875;
const DEFAULT_SIZE = 224;
const LARGEST_SIZE = 16_384;

/** The input of a model that a picture is made for. */
export interface ImageInput {
  readonly name: string;
  readonly dtype: string | null;
  readonly shape: readonly (number | string | null)[] | null;
}

/**
 * timm's preprocessing for an input of a model.
 * @throws UsageError if a picture cannot be that input, or an option is out of range
 */
export function preprocessingFor(input: ImageInput, options: ImageOptions = {}): Preprocessing {
  const shape = input.shape ?? [null, 3, null, null];
  const dtype = input.dtype ?? 'float32';
  if (dtype !== 'float32' && dtype !== 'float16')
    throw new UsageError(`input ${input.name} is ${dtype}; a picture becomes float32 or float16`, {
      hint: 'give it as a .npy array',
    });
  const isLast = shape.length === 4 && shape[3] === 3 && shape[1] !== 3;
  if (shape.length !== 4 || (!isLast && typeof shape[1] === 'number' && shape[1] !== 3)) {
    throw new UsageError(
      `input ${input.name} has shape [${shape.map((dim) => dim ?? '?').join(', ')}]; a picture has [N, 3, H, W] or [N, H, W, 3]`,
      {
        hint: 'give it as a .npy array',
      },
    );
  }
  const [height, width] = isLast ? [shape[1], shape[2]] : [shape[2], shape[3]];
  const asked = typeof options.size === 'number' ? ([options.size, options.size] as const) : options.size;
  for (const [axis, fixed] of [height, width].entries()) {
    if (asked !== undefined && typeof fixed === 'number' && asked[axis] !== fixed) {
      throw new UsageError(
        `input ${input.name} takes pictures of ${String(height)} x ${String(width)}, not ${asked.join(' x ')}`,
        {
          hint: `leave out ${option('image.size')}`,
        },
      );
    }
  }
  const crop = options.crop ?? DEFAULT_CROP;
  if (!(crop > 0 && crop <= 1)) throw new UsageError(`crop is ${crop}; it lies above 0 and at most at 1`);
  const interpolation = options.interpolation ?? 'bicubic';
  if (!INTERPOLATIONS.includes(interpolation))
    throw new UsageError(`interpolation ${String(interpolation)} is unknown`, {
      hint: `choose ${INTERPOLATIONS.join(', ')}`,
    });
  return {
    height: sizeOf(asked?.[0] ?? height, 'height'),
    width: sizeOf(asked?.[1] ?? width, 'width'),
    crop,
    interpolation,
    mean: triple(options.mean ?? IMAGENET_MEAN, 'mean', () => true),
    std: triple(options.std ?? IMAGENET_STD, 'std', (value) => value > 0),
    dtype,
    layout: isLast ? 'NHWC' : 'NCHW',
  };
}

function sizeOf(dim: number | string | null, what: string): number {
  if (typeof dim !== 'number') return DEFAULT_SIZE;
  if (Number.isInteger(dim) && dim >= 1 && dim <= LARGEST_SIZE) return dim;
  throw new UsageError(`the ${what} of a picture is ${dim}; it lies between 1 and ${LARGEST_SIZE}`);
}

function triple(
  values: readonly number[],
  what: string,
  isGood: (value: number) => boolean,
): readonly [number, number, number] {
  const [red, green = red, blue = red] = values;
  if ((values.length === 1 || values.length === 3) && values.every((value) => Number.isFinite(value) && isGood(value)))
    return [red, green, blue];
  throw new UsageError(
    `${what} is ${values.join(', ')}; it takes one or three numbers${what === 'std' ? ' above 0' : ''}`,
  );
}

type SharpModule = typeof import('sharp');

let loading: Promise<SharpModule> | null = null;

/**
 * sharp, loaded when the first picture is; its types stay out of ours, which are read where it is absent.
 * @throws RuntimeError that says how to install it
 */
export async function loadSharp<Module extends { readonly default: unknown }>(
  load: () => Promise<Module>,
): Promise<Module['default']> {
  try {
    return (await load()).default;
  } catch (cause) {
    throw new RuntimeError('pictures need the package sharp, which is not installed or does not load here', {
      code: 'FEATX_RUNTIME_SHARP',
      hint: 'npm install -E sharp@0.35.5 (beside featx; -g where featx is global), or give .npy arrays',
      cause,
    });
  }
}

/**
 * Decodes a jpg, png or webp in full, to RGB as Pillow's `convert('RGB')` does: alpha dropped, colour profile and
 * orientation tag not applied, CMYK without a profile.
 * @throws ModelFormatError for bytes that cannot be decoded; PolicyError; RuntimeError if sharp is missing
 */
export async function decodePicture(
  bytes: Uint8Array,
  name: string,
  limits: TensorLimits = DEFAULT_TENSOR_LIMITS,
): Promise<Picture> {
  loading ??= import('sharp');
  const current = loading;
  const sharp = await loadSharp(() => current);
  try {
    const decoder = sharp(bytes, { failOn: 'error', limitInputPixels: false, ignoreIcc: true, autoOrient: false });
    const { width: across, height: down, space, pages = 1 } = await decoder.metadata();
    if (pages > 1 || isAnimatedPng(bytes))
      throw new ModelFormatError(
        `${name} is animated, and a feature has no place for ${pages > 1 ? pages : 'its'} frames`,
        {
          code: 'FEATX_TENSOR_ANIMATED',
          path: name,
          hint: 'save the frames that count as pictures of their own',
        },
      );
    if (across * down > limits.pixels)
      throw overLimit(name, `a picture of ${across} x ${down} pixels is over the limit of ${limits.pixels}`, 'pixels');
    const isInk = space === 'cmyk';
    const { data, info } = await (isInk
      ? decoder.pipelineColourspace('cmyk').toColourspace('cmyk')
      : decoder.removeAlpha().toColourspace('srgb')
    )
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    if (isInk && channels === 4) return { data: fromInk(data), width, height };
    if (channels === 3) return { data, width, height };
    if (channels !== 1)
      throw new ModelFormatError(`${name} has ${channels} channels after decoding`, {
        code: 'FEATX_TENSOR_FORMAT',
        path: name,
      });
    const rgb = new Uint8Array(data.length * 3);
    for (let index = 0; index < data.length; index++) rgb.fill(data[index], index * 3, index * 3 + 3);
    return { data: rgb, width, height };
  } catch (error) {
    if (error instanceof FeatxError) throw error;
    throw new ModelFormatError(`${name} cannot be decoded: ${error instanceof Error ? error.message : String(error)}`, {
      code: 'FEATX_TENSOR_FORMAT',
      path: name,
      cause: error,
    });
  }
}

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);
const PNG_HEADER = 8;

/** Whether an `acTL` chunk comes before the pixels. @see https://www.w3.org/TR/png-3/#acTL-chunk */
function isAnimatedPng(bytes: Uint8Array): boolean {
  if (!PNG.every((byte, at) => bytes[at] === byte)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = PNG_HEADER; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === 'acTL' || kind === 'IDAT') return kind === 'acTL';
  }
  return false;
}

/**
 * CMYK as Pillow turns it into RGB.
 * @see https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Convert.c (cmyk2rgb)
 */
function fromInk(data: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((data.length / 4) * 3);
  let to = 0;
  for (let from = 0; from < data.length; from += 4) {
    const white = 255 - data[from + 3];
    for (let ink = 0; ink < 3; ink++) {
      const product = data[from + ink] * white + 128;
      rgb[to++] = white - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}

/** Python's `round`: halves go to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The size a picture is resized to before the centre crop.
 * @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/transforms_factory.py
 * (transforms_imagenet_eval)
 */
export function resizedSize({ width, height }: Size, to: Pick<Preprocessing, 'height' | 'width' | 'crop'>): Size {
  const scaledHeight = Math.floor(to.height / to.crop);
  const scaledWidth = Math.floor(to.width / to.crop);
  if (scaledHeight !== scaledWidth) {
    const ratio = Math.min(height / scaledHeight, width / scaledWidth);
    return { width: roundHalfEven(width / ratio), height: roundHalfEven(height / ratio) };
  }
  const long = (short: number, other: number): number => Math.trunc((scaledHeight * other) / short);
  return width <= height
    ? { width: scaledHeight, height: long(width, height) }
    : { width: long(height, width), height: scaledHeight };
}

/**
 * A decoded picture as values `[3, H, W]` or `[H, W, 3]`, one entry of the input: resized, centre-cropped, normalised.
 */
export function pictureTensor(picture: Picture, to: Preprocessing): TensorValue {
  const resized = resizedSize(picture, to);
  const box = {
    left: roundHalfEven((resized.width - to.width) / 2),
    top: roundHalfEven((resized.height - to.height) / 2),
    width: to.width,
    height: to.height,
  };
  const { data } = resizeAndCrop(picture, resized, box, to.interpolation);
  const plane = to.width * to.height;
  const shape = pictureShape(to);
  const isFirst = CHANNEL_AXIS[to.layout] === 1;
  const isHalf = to.dtype === 'float16';
  const values = isHalf ? new Uint16Array(plane * 3) : new Float32Array(plane * 3);
  for (let channel = 0; channel < 3; channel++) {
    const table = isHalf ? float32ToHalf(normalized(to, channel)) : normalized(to, channel);
    const [start, step] = isFirst ? [channel * plane, 1] : [channel, 3];
    for (let pixel = 0; pixel < plane; pixel++) values[start + pixel * step] = table[data[pixel * 3 + channel]];
  }
  return { dtype: to.dtype, shape: [1, ...shape], data: values };
}

/** The 256 values of a channel, with PyTorch's float32 arithmetic: divide by 255, subtract, divide. */
function normalized({ mean, std }: Preprocessing, channel: number): Float32Array {
  const table = new Float32Array(256);
  for (let value = 0; value < 256; value++)
    table[value] = Math.fround(Math.fround(value / 255) - Math.fround(mean[channel])) / Math.fround(std[channel]);
  return table;
}
