// Graphs that are shared without their weights, with seeded ones beside them.
import { copyFileSync, openSync, writeSync, closeSync } from 'node:fs';
import { basename, join } from 'node:path';

/** mulberry32, as numbers in [0, 1). */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Copies a graph and writes the file that its float32 weights lie in: matrices and filters so that variances stay,
 * vectors between 0.5 and 1.5, for a variance is positive. Other types stay zeros.
 */
export async function withSeededWeights({ openModel }, file, folder) {
  const copy = join(folder, basename(file));
  copyFileSync(file, copy);
  const model = await openModel(file);
  const handles = new Map();
  const random = randomOf(model.graph.nodes.length);
  for (const tensor of model.graph.initializers) {
    if (tensor.external === null) continue;
    const entries = new Map(tensor.external.map(({ key, value }) => [key, value]));
    const place = join(folder, entries.get('location') ?? 'weights.bin');
    if (!handles.has(place)) handles.set(place, openSync(place, 'w'));
    const count = tensor.dims.reduce((all, dim) => all * dim, 1);
    const offset = Number(entries.get('offset') ?? 0);
    const bytes = Number(entries.get('length') ?? count * 4);
    const isFloat = tensor.dataType === 1 && bytes === count * 4;
    const values = new Float32Array(isFloat ? count : Math.ceil(bytes / 4));
    if (isFloat) {
      const fan = tensor.dims.length < 2 ? 0 : count / Math.max(tensor.dims[0], 1);
      const scale = fan === 0 ? 0 : Math.sqrt(3 / fan) * 1.3;
      for (let at = 0; at < count; at++) values[at] = fan === 0 ? 0.5 + random() : (random() * 2 - 1) * scale;
    }
    writeSync(handles.get(place), new Uint8Array(values.buffer, 0, bytes), 0, bytes, offset);
  }
  for (const handle of handles.values()) closeSync(handle);
  await model[Symbol.asyncDispose]();
  return copy;
}
