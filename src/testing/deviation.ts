import type { TensorValue } from '../onnx/tensor-value.js';

/** The largest difference between two float32 tensors of one shape, over the standard deviation of the second. */
export function deviation(got: TensorValue, wanted: TensorValue): number {
  if (String(got.shape) !== String(wanted.shape))
    throw new Error(`the shape is [${got.shape.join(', ')}], not [${wanted.shape.join(', ')}]`);
  if (!(got.data instanceof Float32Array) || !(wanted.data instanceof Float32Array))
    throw new Error(`${got.dtype} and ${wanted.dtype} are not both float32`);
  let sum = 0;
  for (const value of wanted.data) sum += value;
  const mean = sum / wanted.data.length;
  let squares = 0;
  let largest = 0;
  for (let index = 0; index < wanted.data.length; index++) {
    const value = wanted.data[index];
    squares += (value - mean) ** 2;
    largest = Math.max(largest, Math.abs(got.data[index] - value));
  }
  return largest / Math.sqrt(squares / wanted.data.length);
}
