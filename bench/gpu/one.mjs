// node one.mjs PROVIDER MODEL [REFERENCE.npz]: runs the features of a model on a provider and on the CPU, and prints as
// JSON where its nodes ran, how far the values are from the CPU's and from the reference's, and how long it took. A
// process of its own, because a provider that fails may take its process along.
import { FeatureRunner } from '../../dist/runner.js';
import { readTensors } from '../../dist/tensors/array-file.js';
import { randomTensor } from '../../dist/tensors/random.js';

const [provider, model, reference] = process.argv.slice(2);
const SIDE = 224;
const BATCH = 32;
const SECONDS = Number(process.env.FEATX_BENCH_SECONDS ?? 3);
const MOST_RUNS = 200;
/** One picture takes so long that a batch would tell nothing more. */
const SLOW_MS = 1_000;

try {
  console.log(JSON.stringify(await measure()));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, code: error.code ?? null, hint: error.hint ?? null }));
}

async function measure() {
  const plan = { outputFmt: 'NCHW' };
  const arrays = reference === undefined ? null : await readTensors(reference);
  const cpu = await FeatureRunner.open(model, { plan, providers: ['cpu'] });
  const [input] = cpu.session.inputs;
  const given =
    arrays?.get('input') ??
    randomTensor(
      input.dtype,
      (input.shape ?? []).map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : SIDE)),
      1,
      input.name,
    );
  const wanted = await cpu.run(new Map([[input.name, given]]));
  await cpu.close();
  const start = performance.now();
  const runner = await FeatureRunner.open(model, { plan, providers: [provider] });
  const opened = performance.now();
  const got = await runner.run(new Map([[input.name, given]]));
  const first = performance.now();
  const names = [...wanted.keys()];
  const result = {
    ran_on: runner.session.provider,
    placement: runner.session.placement?.providers ?? null,
    features: names.length,
    open_ms: opened - start,
    first_ms: first - opened,
    off_cpu: Math.max(...names.map((name) => deviation(got.get(name), wanted.get(name)))),
    off_reference:
      arrays === null
        ? null
        : Math.max(...names.map((name, index) => deviation(got.get(name), arrays.get(`feature_${index}`)))),
  };
  const isFixed = typeof input.shape?.[0] === 'number';
  const single = isFixed ? given : batchOf(given, 1);
  const latency = await timeOf(runner, input.name, single);
  const batch = isFixed || latency > SLOW_MS ? single : batchOf(given, BATCH);
  const batched = batch === single ? latency : await timeOf(runner, input.name, batch);
  await runner.close();
  // The features added to the network, of which nothing is left out.
  const whole = await FeatureRunner.open(model, { plan: { mode: 'hook' }, providers: [provider] });
  const wholeLatency = await timeOf(whole, input.name, single);
  return {
    ...result,
    rows: single.shape[0],
    latency_ms: latency,
    whole_ms: wholeLatency,
    batch: batch.shape[0],
    images_per_s: (batch.shape[0] * 1000) / batched,
  };
}

/** Median milliseconds of a run. */
async function timeOf(runner, name, value) {
  const feeds = new Map([[name, value]]);
  // Kernels are chosen or compiled for a shape when it is first seen.
  await runner.run(feeds);
  const times = [];
  for (
    const end = performance.now() + SECONDS * 1000;
    times.length === 0 || (performance.now() < end && times.length < MOST_RUNS);
  ) {
    const start = performance.now();
    await runner.run(feeds);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

/** `rows` entries, those of `tensor` over and over. */
function batchOf({ dtype, shape, data }, rows) {
  const width = data.length / shape[0];
  const values = new data.constructor(rows * width);
  for (let row = 0; row < rows; row++)
    values.set(data.subarray((row % shape[0]) * width, (row % shape[0]) * width + width), row * width);
  return { dtype, shape: [rows, ...shape.slice(1)], data: values };
}

/** The largest difference over the standard deviation of what is wanted. */
function deviation(got, wanted) {
  if (String(got.shape) !== String(wanted.shape))
    throw new Error(`a feature has the shape [${got.shape.join(', ')}], not [${wanted.shape.join(', ')}]`);
  const mean = wanted.data.reduce((sum, value) => sum + value, 0) / wanted.data.length;
  const variance = wanted.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / wanted.data.length;
  return (
    got.data.reduce((largest, value, index) => Math.max(largest, Math.abs(value - wanted.data[index])), 0) /
    Math.sqrt(variance)
  );
}
