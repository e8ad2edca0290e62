import type { Picture } from './resample.js';

/**
 * Resampling of 8-bit RGB pictures as OpenCV's INTER_LINEAR does it, which is what ultralytics, PaddlePaddle and
 * insightface preprocess with: every pixel of the result is made of two by two pixels, however much smaller it is, in
 * fixed point of 11 bits.
 * @see https://github.com/opencv/opencv/blob/4.x/modules/imgproc/src/resize.cpp (HResizeLinear, VResizeLinear)
 */

const BITS = 11;
const ONE = 1 << BITS;

/** For each position of the result: the first of two samples, and the weights of both. */
interface Pairs {
  readonly starts: Int32Array;
  readonly nexts: Int32Array;
  readonly first: Int32Array;
  readonly second: Int32Array;
}

/** Columns beyond the edge are the edge; rows beyond it are weighed all the same. */
function pairsOf(size: number, target: number, isRows: boolean): Pairs {
  const scale = size / target;
  const pairs = {
    starts: new Int32Array(target),
    nexts: new Int32Array(target),
    first: new Int32Array(target),
    second: new Int32Array(target),
  };
  for (let at = 0; at < target; at++) {
    const position = Math.fround((at + 0.5) * scale - 0.5);
    const start = Math.floor(position);
    const isInside = start >= 0 && start < size - 1;
    const weight = isInside || isRows ? Math.fround(position - start) : 0;
    pairs.starts[at] = Math.min(Math.max(start, 0), size - 1);
    pairs.nexts[at] = Math.min(Math.max(start + 1, 0), size - 1);
    pairs.first[at] = roundHalfEven(Math.fround(1 - weight) * ONE);
    pairs.second[at] = roundHalfEven(weight * ONE);
  }
  return pairs;
}

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** A picture at another size, each pixel between two by two of its own. */
export function resizeByTwo(
  picture: Picture,
  { width, height }: { readonly width: number; readonly height: number },
): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const columns = pairsOf(picture.width, width, false);
  const rows = pairsOf(picture.height, height, true);
  const line = width * 3;
  const result = new Uint8Array(line * height);
  const lines = new Map<number, Int32Array>();
  const lineAt = (row: number): Int32Array => {
    const known = lines.get(row);
    if (known !== undefined) return known;
    // Two lines are in use at once; those above are not needed any more.
    for (const old of lines.keys()) if (old < row - 1) lines.delete(old);
    const made = horizontal(picture, row, columns);
    lines.set(row, made);
    return made;
  };
  for (let row = 0; row < height; row++) {
    const above = lineAt(rows.starts[row]);
    const below = lineAt(rows.nexts[row]);
    const [first, second] = [rows.first[row], rows.second[row]];
    const to = row * line;
    for (let at = 0; at < line; at++)
      result[to + at] = ((((first * (above[at] >> 4)) >> 16) + ((second * (below[at] >> 4)) >> 16) + 2) >> 2) & 0xff;
  }
  return { data: result, width, height };
}

function horizontal({ data, width }: Picture, row: number, { starts, nexts, first, second }: Pairs): Int32Array {
  const result = new Int32Array(starts.length * 3);
  const base = row * width * 3;
  let to = 0;
  for (let column = 0; column < starts.length; column++) {
    const [one, other] = [base + starts[column] * 3, base + nexts[column] * 3];
    const [a, b] = [first[column], second[column]];
    for (let channel = 0; channel < 3; channel++) result[to++] = data[one + channel] * a + data[other + channel] * b;
  }
  return result;
}
