import { FeatxError, ModelFormatError, RuntimeError } from '../errors.js';
import { overLimit } from './faults.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import type { Picture } from './resample.js';

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
 * Decodes a jpg, png or webp in full, to RGB as Pillow's `convert('RGB')` does: alpha dropped, colour profile not
 * applied, CMYK without a profile; turned as its EXIF orientation says if that is asked for.
 * @throws ModelFormatError for bytes that cannot be decoded; PolicyError; RuntimeError if sharp is missing
 */
export async function decodePicture(
  bytes: Uint8Array,
  name: string,
  limits: TensorLimits = DEFAULT_TENSOR_LIMITS,
  orientation: Preprocessing['orientation'] = 'ignore',
): Promise<Picture> {
  loading ??= import('sharp');
  const current = loading;
  const sharp = await loadSharp(() => current);
  try {
    const decoder = sharp(bytes, {
      failOn: 'error',
      limitInputPixels: false,
      ignoreIcc: true,
      autoOrient: orientation === 'apply',
    });
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
