import type { TensorValue } from '../onnx/tensor-value.js';

/**
 * Scale and zero point of quantised codes: one of each, or one per channel on axis 1; null where they are not known.
 */
export interface CodeScale {
  readonly scale: number | readonly number[] | null;
  readonly zero_point: number | readonly number[] | null;
}

/**
 * The float32 numbers that codes stand for, as DequantizeLinear computes them: `(code - zero point) * scale`, rounded
 * once. Codes whose scale is not known stay codes.
 * @see https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
 */
export function dequantized(codes: TensorValue, { scale, zero_point: zeroPoint }: CodeScale): TensorValue {
  if (scale === null || zeroPoint === null) return codes;
  const { shape, data } = codes;
  const channels = shape[1] ?? 1;
  const inner = shape.slice(2).reduce((product, dim) => product * dim, 1);
  const at = (value: number | readonly number[], index: number): number =>
    typeof value === 'number' ? value : (value[Math.floor(index / inner) % channels] ?? 0);
  const values = Float32Array.from({ length: data.length }, (_, index) =>
    Math.fround((Number(data[index]) - at(zeroPoint, index)) * at(scale, index)),
  );
  return { dtype: 'float32', shape, data: values };
}

/**
 * A map whose channels lie in blocks, [N, C / block, H, W, block] in memory under the shape [N, C, H, W], in the order
 * of its shape and with `channels` of them; null if its channels are not whole blocks, or it is not a float32 map.
 * @see https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/mlas/lib/snchwc.cpp
 */
export function unblocked(map: TensorValue, block: number, channels: number): TensorValue | null {
  const { shape, data } = map;
  const [batch, padded, height, width] = shape;
  if (shape.length !== 4 || padded % block !== 0 || channels > padded || !(data instanceof Float32Array)) return null;
  const plane = height * width;
  const values = new Float32Array(batch * channels * plane);
  for (let n = 0; n < batch; n++)
    for (let c = 0; c < channels; c++) {
      const from = n * padded * plane + Math.floor(c / block) * block * plane + (c % block);
      const to = (n * channels + c) * plane;
      for (let place = 0; place < plane; place++) values[to + place] = data[from + place * block];
    }
  return { dtype: 'float32', shape: [batch, channels, height, width], data: values };
}
