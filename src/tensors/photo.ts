import type { TensorValue } from '../onnx/tensor-value.js';
import { toFloat32 } from './convert.js';
import { loadSharp } from './image.js';
import type { Preprocessing } from '../preprocessing/recipe.js';

/** A picture for people. */
export interface Photo {
  readonly bytes: Uint8Array;
  readonly type: 'jpeg';
}

const WIDEST = 320;
const QUALITY = 80;

/**
 * The picture that a network was given, as it saw it: cropped, its normalisation undone, in colours again.
 * @param seen `[1, 3, H, W]`, `[1, H, W, 3]`, or without the batch axis
 * @throws RuntimeError if sharp is missing
 */
export async function photoOf(
  seen: TensorValue,
  { layout, scale, mean, std, channels, depth }: Preprocessing,
): Promise<Photo> {
  const axes = layout.replace('N', '');
  const sides = seen.shape.slice(-axes.length);
  const [height, width] = [sides[axes.indexOf('H')], sides[axes.indexOf('W')]];
  const values = toFloat32(seen);
  const pixels = new Uint8Array(height * width * 3);
  const isPlanes = axes.startsWith('C');
  for (let colour = 0; colour < 3; colour++) {
    // A grey picture has one plane for all three.
    const channel = depth === 1 ? 0 : channels === 'bgr' ? 2 - colour : colour;
    for (let pixel = 0; pixel < height * width; pixel++) {
      const value = values[isPlanes ? channel * height * width + pixel : pixel * depth + channel];
      const shown = (value * (std?.[channel] ?? 1) + (mean?.[channel] ?? 0)) / scale;
      pixels[pixel * 3 + colour] = Math.max(0, Math.min(255, Math.round(shown)));
    }
  }
  const sharp = await loadSharp(() => import('sharp'));
  const { data } = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .resize({ width: WIDEST, withoutEnlargement: true })
    .jpeg({ quality: QUALITY, mozjpeg: true })
    .toBuffer({ resolveWithObject: true });
  return { bytes: data, type: 'jpeg' };
}
