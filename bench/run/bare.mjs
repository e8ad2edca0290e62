// node bare.mjs MODEL ROWS FILE...: milliseconds, on the clock and of CPU time, that a bare loop of onnxruntime-node
// takes over batches that lie decoded in memory (.npy), or over pictures that it decodes one after the other; what
// comes out is held. With `net` before the files a FeatureListNet of features 1 to 4 takes the place of the bare
// session.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { FeatureListNet } from '../../dist/index.js';
import { pictureTensor } from '../../dist/tensors/picture-tensor.js';
import { decodePicture } from '../../dist/tensors/image.js';
import { stackRows } from '../../dist/tensors/tensor.js';
import { IMAGENET } from './imagenet.mjs';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node');
const [model, count, ...rest] = process.argv.slice(2);
const isNet = rest[0] === 'net';
const files = isNet ? rest.slice(1) : rest;
const rows = Number(count);

/** The float32 values of a .npy file, [rows, 3, 224, 224]. */
function batch(path) {
  const bytes = readFileSync(path);
  const values = bytes.subarray(10 + bytes.readUInt16LE(8));
  return new Tensor(
    'float32',
    new Float32Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.length)),
    [rows, 3, 224, 224],
  );
}

async function decoded(paths) {
  const tensors = [];
  for (const path of paths) tensors.push(pictureTensor(await decodePicture(readFileSync(path), path), IMAGENET));
  const { data, shape } = stackRows(tensors);
  return new Tensor('float32', data, shape);
}

const session = isNet ? null : await InferenceSession.create(model);
const net = isNet ? await FeatureListNet.create(model, { outIndices: [1, 2, 3, 4] }) : null;
const arePictures = files.every((path) => path.endsWith('.png'));
const groups = arePictures
  ? Array.from({ length: files.length / rows }, (_group, index) => files.slice(index * rows, (index + 1) * rows))
  : files.map(batch);
const tensor = async (group) => (Array.isArray(group) ? decoded(group) : group);
const runNet = async (group) => {
  const { data, dims } = await tensor(group);
  return net.forward({ input: { dtype: 'float32', shape: dims, data } });
};
const run = isNet ? runNet : async (group) => session.run({ [session.inputNames[0]]: await tensor(group) });
await run(groups[0]);
const start = performance.now();
const before = process.cpuUsage();
const held = [];
for (const group of groups) held.push(await run(group));
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ wall: performance.now() - start, cpu: (user + system) / 1000 }));
await net?.dispose();
