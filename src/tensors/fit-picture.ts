import { UsageError } from '../errors.js';
import { option } from '../options/words.js';
import { LARGEST_SIDE, type Preprocessing } from '../preprocessing/recipe.js';
import { cropPicture, resizeAndCrop, type Box, type Picture } from './resample.js';
import { resizeByTwo, roundHalfEven } from './resample-opencv.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The size a picture is resized to before the crop, the share of the input's size that `resize` and `fit` say.
 * @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/transforms.py (ResizeKeepRatio)
 * @see https://github.com/ultralytics/ultralytics/blob/main/ultralytics/data/augment.py (LetterBox)
 */
export function resizedSize(
  { width, height }: Size,
  { fit, resize }: { readonly fit: Preprocessing['fit']; readonly resize: NonNullable<Preprocessing['resize']> },
): Size {
  if (fit === 'shortest' && typeof resize === 'number') {
    const long = (short: number, other: number): number => Math.trunc((resize * other) / short);
    return width <= height
      ? { width: resize, height: long(width, height) }
      : { width: long(height, width), height: resize };
  }
  const [tall, wide] = typeof resize === 'number' ? [resize, resize] : resize;
  if (fit === 'squash') return { width: wide, height: tall };
  if (fit === 'letterbox') {
    const ratio = Math.min(tall / height, wide / width);
    return { width: Math.max(1, roundHalfEven(width * ratio)), height: Math.max(1, roundHalfEven(height * ratio)) };
  }
  const ratios = [height / tall, width / wide];
  const ratio = fit === 'pad' ? Math.max(...ratios) : Math.min(...ratios);
  return { width: Math.max(1, roundHalfEven(width / ratio)), height: Math.max(1, roundHalfEven(height / ratio)) };
}

/**
 * The size that a picture gets: a side that the input leaves open keeps the picture's ratio.
 * @throws UsageError if that makes it too long
 */
function sizeOf({ width, height }: Size, to: Preprocessing): Size {
  if (to.height === null && to.width === null) return { width, height };
  const size = {
    width: to.width ?? Math.max(1, roundHalfEven((width * (to.height ?? height)) / height)),
    height: to.height ?? Math.max(1, roundHalfEven((height * (to.width ?? width)) / width)),
  };
  if (Math.max(size.width, size.height) <= LARGEST_SIDE) return size;
  throw new UsageError(
    `a picture of ${width} x ${height} would become ${size.width} x ${size.height}; a side has at most ${LARGEST_SIDE} pixels`,
    { hint: `say both sides with ${option('image.size')}` },
  );
}

/** The picture at the size of the input: resized, then cropped or padded at its centre, or as it is. */
export function fitted(picture: Picture, to: Preprocessing): Picture {
  const size = sizeOf(picture, to);
  if (to.resize === null) {
    const isWhole = to.height !== null && to.width !== null;
    if (isWhole && (picture.width !== size.width || picture.height !== size.height))
      throw new UsageError(
        `a picture of ${picture.width} x ${picture.height} is not resized, and the input takes ${size.width} x ${size.height}`,
        { hint: `leave out ${option('image.preprocess', 'none')}` },
      );
    if (isWhole || (to.height === null && to.width === null)) return picture;
  }
  const resized = resizedSize(picture, { fit: to.fit, resize: to.resize ?? [size.height, size.width] });
  const across = placed(resized.width, size.width, to);
  const down = placed(resized.height, size.height, to);
  const box = { left: across.from, top: down.from, width: across.length, height: down.length };
  const inner = resizedPart(picture, resized, box, to);
  if (inner.width === size.width && inner.height === size.height) return inner;
  return framed(inner, { ...size, left: across.to, top: down.to }, to.fill);
}

function resizedPart(picture: Picture, size: Size, box: Box, { interpolation, antialias }: Preprocessing): Picture {
  if (antialias || interpolation === 'nearest') return resizeAndCrop(picture, size, box, interpolation);
  return cropPicture(resizeByTwo(picture, size), box);
}

/** Along one axis: which part of the resized picture stays, and where it goes. */
interface Placed {
  readonly from: number;
  readonly length: number;
  readonly to: number;
}

/**
 * @see https://github.com/pytorch/vision/blob/main/torchvision/transforms/functional.py (center_crop)
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/image_transforms.py (center_crop)
 */
function placed(have: number, want: number, { fit, cropRounding }: Preprocessing): Placed {
  const rest = Math.abs(have - want) / 2;
  if (have >= want)
    return { from: cropRounding === 'even' ? roundHalfEven(rest) : Math.floor(rest), length: want, to: 0 };
  // ultralytics rounds half of an odd rest down on the first side.
  const to =
    fit === 'letterbox' ? roundHalfEven(rest - 0.1) : cropRounding === 'even' ? Math.floor(rest) : Math.ceil(rest);
  return { from: 0, length: have, to };
}

/** A picture inside a larger one of one colour. */
function framed(
  { data, width, height }: Picture,
  { left, top, ...size }: Size & { readonly left: number; readonly top: number },
  fill: readonly number[],
): Picture {
  const [red, green = red, blue = red] = fill;
  const result = new Uint8Array(size.width * size.height * 3);
  for (let at = 0; at < result.length; at += 3) {
    result[at] = red;
    result[at + 1] = green;
    result[at + 2] = blue;
  }
  for (let row = 0; row < height; row++)
    result.set(data.subarray(row * width * 3, (row + 1) * width * 3), ((top + row) * size.width + left) * 3);
  return { data: result, ...size };
}
