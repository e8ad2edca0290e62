import { INTERPOLATIONS, type Interpolation } from '../options/choices.js';
/**
 * Resampling of 8-bit RGB pictures, to the bit as Pillow does it, which is what torchvision and timm preprocess with:
 * two separable passes with an antialiasing filter in fixed point, the intermediate picture rounded to 8 bits.
 * @see https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
 */

/** Interleaved RGB, 8 bits. */
export interface Picture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A part of a picture, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function hamming(distance: number): number {
  const x = Math.abs(distance);
  if (x === 0) return 1;
  if (x >= 1) return 0;
  const angle = x * Math.PI;
  return (Math.sin(angle) / angle) * (0.54 + 0.46 * Math.cos(angle));
}

const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} satisfies { readonly [name: string]: Filter };

/** timm's names of the ways to interpolate. */
export { INTERPOLATIONS, type Interpolation };

const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

/** For each output position: where its source samples begin, how many there are, and their weights in fixed point. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  /** Room for each position in `weights`. */
  readonly stride: number;
}

/** Taps for output positions `[from, from + count)` of an axis resized from `size` to `target`. */
function tapsOf({ support, weight }: Filter, size: number, target: number, from: number, count: number): Taps {
  const scale = size / target;
  const spread = Math.max(1, scale);
  const reach = support * spread;
  const stride = Math.ceil(reach) * 2 + 1;
  const taps = {
    starts: new Int32Array(count),
    counts: new Int32Array(count),
    weights: new Int32Array(count * stride),
    stride,
  };
  const raw = new Float64Array(stride);
  for (let index = 0; index < count; index++) {
    const center = (from + index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - reach + 0.5));
    const samples = Math.min(size, Math.trunc(center + reach + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < samples; tap++) {
      raw[tap] = weight((tap + start - center + 0.5) * (1 / spread));
      sum += raw[tap];
    }
    for (let tap = 0; tap < samples; tap++) {
      const normal = (sum === 0 ? raw[tap] : raw[tap] / sum) * (1 << PRECISION);
      taps.weights[index * stride + tap] = Math.trunc(normal < 0 ? normal - 0.5 : normal + 0.5);
    }
    taps.starts[index] = start;
    taps.counts[index] = samples;
  }
  return taps;
}

function clamp(sum: number): number {
  const value = sum >> PRECISION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Rows `[top, bottom)` of a picture, each resampled to the columns of `taps`. */
function horizontal(
  { data, width }: Picture,
  { starts, counts, weights, stride }: Taps,
  top: number,
  bottom: number,
): Uint8Array {
  const columns = starts.length;
  const result = new Uint8Array(columns * (bottom - top) * 3);
  let to = 0;
  for (let row = top; row < bottom; row++) {
    for (let column = 0; column < columns; column++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = (row * width + starts[column]) * 3;
      const end = column * stride + counts[column];
      for (let tap = column * stride; tap < end; tap++, from += 3) {
        const weight = weights[tap];
        red = (red + Math.imul(data[from], weight)) | 0;
        green = (green + Math.imul(data[from + 1], weight)) | 0;
        blue = (blue + Math.imul(data[from + 2], weight)) | 0;
      }
      result[to++] = clamp(red);
      result[to++] = clamp(green);
      result[to++] = clamp(blue);
    }
  }
  return result;
}

/** `data` begins at source row `top`. */
function vertical(data: Uint8Array, width: number, top: number, { starts, counts, weights, stride }: Taps): Uint8Array {
  const line = width * 3;
  const result = new Uint8Array(starts.length * line);
  const sums = new Int32Array(line);
  for (let row = 0; row < starts.length; row++) {
    sums.fill(HALF);
    for (let tap = 0; tap < counts[row]; tap++) {
      const weight = weights[row * stride + tap];
      const from = (starts[row] - top + tap) * line;
      for (let column = 0; column < line; column++)
        sums[column] = (sums[column] + Math.imul(data[from + column], weight)) | 0;
    }
    for (let column = 0; column < line; column++) result[row * line + column] = clamp(sums[column]);
  }
  return result;
}

/** Cuts a box out of a picture. */
export function cropPicture({ data, width }: Picture, { left, top, width: columns, height }: Box): Picture {
  const result = new Uint8Array(columns * height * 3);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * width + left) * 3;
    result.set(data.subarray(from, from + columns * 3), row * columns * 3);
  }
  return { data: result, width: columns, height };
}

/** The box `crop` of the picture resized to `width` x `height`; nothing outside of it is computed. */
export function resizeAndCrop(
  picture: Picture,
  { width, height }: { readonly width: number; readonly height: number },
  crop: Box,
  interpolation: Interpolation,
): Picture {
  if (interpolation === 'nearest') return nearest(picture, width, height, crop);
  const filter = FILTERS[interpolation];
  const isSameWidth = width === picture.width;
  const isSameHeight = height === picture.height;
  if (isSameWidth && isSameHeight) return cropPicture(picture, crop);
  const rows = isSameHeight ? null : tapsOf(filter, picture.height, height, crop.top, crop.height);
  if (rows !== null && !isSameWidth && goesDownFirst(picture, { width, height })) {
    return downThenAcross(picture, rows, tapsOf(filter, picture.width, width, crop.left, crop.width));
  }
  const last = crop.height - 1;
  const top = rows === null ? crop.top : rows.starts[0];
  const bottom = rows === null ? crop.top + crop.height : rows.starts[last] + rows.counts[last];
  const across = isSameWidth
    ? cropPicture(picture, { left: crop.left, top, width: crop.width, height: bottom - top }).data
    : horizontal(picture, tapsOf(filter, picture.width, width, crop.left, crop.width), top, bottom);
  return {
    data: rows === null ? across : vertical(across, crop.width, top, rows),
    width: crop.width,
    height: crop.height,
  };
}

/**
 * Whether Pillow resizes columns before rows, which rounds otherwise: since version 13 where the height shrinks by more
 * than twice of what the width does.
 */
function goesDownFirst(from: Sides, to: Sides): boolean {
  return to.height < from.height && 2 * (from.width - to.width) < from.height - to.height;
}

interface Sides {
  readonly width: number;
  readonly height: number;
}

function downThenAcross(picture: Picture, rows: Taps, columns: Taps): Picture {
  const [left, right] = reachOf(columns);
  const [top, bottom] = reachOf(rows);
  const part = cropPicture(picture, { left, top, width: right - left, height: bottom - top });
  const data = vertical(part.data, part.width, top, rows);
  const height = rows.starts.length;
  const shifted = { ...columns, starts: columns.starts.map((start) => start - left) };
  return {
    data: horizontal({ data, width: part.width, height }, shifted, 0, height),
    width: columns.starts.length,
    height,
  };
}

/** The first sample that some taps read, and the one behind the last. */
function reachOf({ starts, counts }: Taps): readonly [number, number] {
  const last = starts.length - 1;
  return [starts[0], starts[last] + counts[last]];
}

/** Pillow walks the source by adding the scale, so that its rounding is that of the running sum. */
function nearestPositions(size: number, target: number): Int32Array {
  const positions = new Int32Array(target);
  const scale = size / target;
  let at = scale * 0.5;
  for (let index = 0; index < target; index++, at += scale) positions[index] = Math.min(size - 1, Math.floor(at));
  return positions;
}

function nearest({ data, width, height }: Picture, targetWidth: number, targetHeight: number, crop: Box): Picture {
  const columns = nearestPositions(width, targetWidth);
  const rows = nearestPositions(height, targetHeight);
  const result = new Uint8Array(crop.width * crop.height * 3);
  let to = 0;
  for (let row = 0; row < crop.height; row++) {
    for (let column = 0; column < crop.width; column++) {
      const from = (rows[crop.top + row] * width + columns[crop.left + column]) * 3;
      result[to++] = data[from];
      result[to++] = data[from + 1];
      result[to++] = data[from + 2];
    }
  }
  return { data: result, width: crop.width, height: crop.height };
}
