import type { TensorValue } from '../onnx/tensor-value.js';
import { FeatxError, ModelFormatError, RuntimeError } from '../errors.js';
import { float32ToHalf } from './float16.js';
import { overLimit } from './faults.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { channelsLead, pictureShape } from '../preprocessing/input.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import { fitted } from './fit-picture.js';
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

/**
 * A decoded picture as one entry of the input, `[1, 3, H, W]` or `[1, H, W, 3]` (1 for 3 where it is grey): fitted,
 * scaled, normalised; or its pixels as they are.
 * @throws UsageError if a side that the input leaves open becomes too long
 */
export function pictureTensor(picture: Picture, to: Preprocessing): TensorValue {
  const { data, width, height } = fitted(to.depth === 1 ? grey(picture) : picture, to);
  const { depth } = to;
  const isFirst = channelsLead(to.layout);
  const plane = width * height;
  const count = plane * depth;
  const values =
    to.dtype === 'uint8'
      ? new Uint8Array(count)
      : to.dtype === 'float16'
        ? new Uint16Array(count)
        : new Float32Array(count);
  for (let channel = 0; channel < depth; channel++) {
    const table = valuesOf(to, channel);
    const [start, step] = isFirst ? [channel * plane, 1] : [channel, depth];
    const from = to.channels === 'bgr' && depth === 3 ? 2 - channel : channel;
    for (let pixel = 0; pixel < plane; pixel++) values[start + pixel * step] = table[data[pixel * 3 + from]];
  }
  return { dtype: to.dtype, shape: [1, ...pictureShape(to.layout, { height, width, depth })], data: values };
}

/**
 * A picture whose channels are its luma, as Pillow's `convert('L')` calculates it.
 * @see https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Convert.c (L24)
 */
function grey({ data, width, height }: Picture): Picture {
  const result = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += 3) {
    const luma = (data[at] * 19_595 + data[at + 1] * 38_470 + data[at + 2] * 7_471 + 0x8000) >> 16;
    result.fill(luma, at, at + 3);
  }
  return { data: result, width, height };
}

const PIXELS = Uint8Array.from({ length: 256 }, (_empty, value) => value);

/** What the 256 values of a channel become, in PyTorch's float32 arithmetic: divide by 255, subtract, divide. */
function valuesOf(
  { mean, std, scale, dtype }: Preprocessing,
  channel: number,
): Uint8Array | Uint16Array | Float32Array {
  if (dtype === 'uint8') return PIXELS;
  const table = new Float32Array(256);
  for (let value = 0; value < 256; value++) {
    const scaled = Math.fround(scale === 1 / 255 ? value / 255 : value * scale);
    const centred = mean === null ? scaled : Math.fround(scaled - Math.fround(mean[channel]));
    table[value] = std === null ? centred : centred / Math.fround(std[channel]);
  }
  return dtype === 'float16' ? float32ToHalf(table) : table;
}
