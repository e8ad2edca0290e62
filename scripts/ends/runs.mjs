// Runs of models with ONNX Runtime's optimiser off.
import * as ort from 'onnxruntime-node';
import { randomOf } from './seeded.mjs';

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
  float16: globalThis.Float16Array ?? Uint16Array,
};

/** A tensor of a dtype with seeded values; whole numbers are 1, which every table of words has. */
export function seededTensor(dtype, dims, seed) {
  const count = dims.reduce((all, dim) => all * dim, 1);
  const random = randomOf(seed);
  const Values = ARRAYS[dtype];
  if (Values === undefined) throw new Error(`no values of ${dtype}`);
  const isFloat = dtype.startsWith('float');
  const data = new Values(count);
  for (let at = 0; at < count; at++)
    data[at] = dtype.endsWith('int64')
      ? 1n
      : isFloat
        ? Values === Uint16Array
          ? 0x3800
          : random() * 2 - 1
        : dtype === 'uint8'
          ? Math.floor(random() * 256)
          : 1;
  return new ort.Tensor(dtype, data, dims);
}

/** The outputs of a model by name. */
export async function outputsOf(path, feeds) {
  const session = await ort.InferenceSession.create(path, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  try {
    const own = session.inputNames.map((name) => {
      if (feeds[name] === undefined) throw new Error(`nothing is given for '${name}'`);
      return [name, feeds[name]];
    });
    return await session.run(Object.fromEntries(own));
  } finally {
    await session.release();
  }
}

function bytesOf({ data }) {
  return Array.isArray(data)
    ? Buffer.from(JSON.stringify(data))
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** The first output that differs in a bit from what it should be; null if none does. */
export function difference(wanted, got) {
  for (const [name, tensor] of Object.entries(wanted)) {
    const other = got[name];
    if (other === undefined) return `'${name}' is missing`;
    if (tensor.dims.join() !== other.dims.join()) return `'${name}' is [${other.dims}], not [${tensor.dims}]`;
    if (Buffer.compare(bytesOf(tensor), bytesOf(other)) !== 0) return `'${name}' differs by ${farthest(tensor, other)}`;
  }
  return null;
}

/** The largest difference of two tensors, in standard deviations of the first. */
export function farthest({ data }, other, from = 0, count = data.length) {
  let [far, sum, squares] = [0, 0, 0];
  for (let at = 0; at < count; at++) {
    const value = Number(data[from + at]);
    far = Math.max(far, Math.abs(value - Number(other.data[at])));
    sum += value;
    squares += value * value;
  }
  const deviation = Math.sqrt(Math.max(squares / count - (sum / count) ** 2, 0));
  return far === 0 ? 0 : far / (deviation || 1);
}

/** Several tensors as one, along an axis. */
export function joined(tensors, axis) {
  const [{ type, dims }] = tensors;
  const [outer, inner] = [dims.slice(0, axis), dims.slice(axis)].map((part) => part.reduce((all, dim) => all * dim, 1));
  const data = new tensors[0].data.constructor(outer * inner * tensors.length);
  for (let at = 0; at < outer; at++)
    tensors.forEach((tensor, entry) =>
      data.set(tensor.data.subarray(at * inner, (at + 1) * inner), (at * tensors.length + entry) * inner),
    );
  return new ort.Tensor(type, data, dims.with(axis, dims[axis] * tensors.length));
}

/** One of several entries that lie along an axis. */
export function entryOf({ type, dims, data }, axis, entry, count) {
  const size = dims[axis] / count;
  const outer = dims.slice(0, axis).reduce((all, dim) => all * dim, 1);
  const inner = dims.slice(axis + 1).reduce((all, dim) => all * dim, 1) * size;
  const own = new data.constructor(outer * inner);
  for (let at = 0; at < outer; at++)
    own.set(data.subarray((at * count + entry) * inner, (at * count + entry + 1) * inner), at * inner);
  return new ort.Tensor(type, own, dims.with(axis, size));
}
