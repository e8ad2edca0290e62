// node bare.mjs MODEL ROWS BATCH.npy...: milliseconds, on the clock and of CPU time, that a bare loop of onnxruntime-node takes over batches that lie decoded in memory; nothing is done with what comes out.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node');
const [model, rows, ...files] = process.argv.slice(2);

/** The float32 values of a .npy file, [rows, 3, 224, 224]. */
function batch(path) {
  const bytes = readFileSync(path);
  const values = bytes.subarray(10 + bytes.readUInt16LE(8));
  return new Tensor('float32', new Float32Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.length)), [Number(rows), 3, 224, 224]);
}

const session = await InferenceSession.create(model);
const batches = files.map(batch);
const [input] = session.inputNames;
await session.run({ [input]: batches[0] });
const start = performance.now();
const before = process.cpuUsage();
for (const tensor of batches) await session.run({ [input]: tensor });
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ wall: performance.now() - start, cpu: (user + system) / 1000 }));
