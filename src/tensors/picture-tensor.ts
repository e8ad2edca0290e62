import type { TensorValue } from '../onnx/tensor-value.js';
import { channelsLead, pictureShape } from '../preprocessing/input.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import { fitted } from './fit-picture.js';
import { float32ToHalf } from './float16.js';
import type { Picture } from './resample.js';
import type { ValueMemory } from './tensor.js';

/**
 * A decoded picture as one entry of the input, `[1, 3, H, W]` or `[1, H, W, 3]` (1 for 3 where it is grey): fitted,
 * scaled, normalised; or its pixels as they are.
 * @throws UsageError if a side that the input leaves open becomes too long
 */
export function pictureTensor(picture: Picture, to: Preprocessing, memory?: ValueMemory): TensorValue {
  const { data, width, height } = fitted(to.depth === 1 ? grey(picture) : picture, to);
  const { depth } = to;
  const isFirst = channelsLead(to.layout);
  const plane = width * height;
  const count = plane * depth;
  const ArrayOf = to.dtype === 'uint8' ? Uint8Array : to.dtype === 'float16' ? Uint16Array : Float32Array;
  const bytes = memory?.take(count * ArrayOf.BYTES_PER_ELEMENT);
  const values = bytes === undefined ? new ArrayOf(count) : new ArrayOf(bytes.buffer, 0, count);
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
