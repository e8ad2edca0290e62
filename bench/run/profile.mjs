// node profile.mjs MODEL FIRST: the share of the kernels' time that is spent in nodes from the first one on whose name
// begins with FIRST.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, basename, join } from 'node:path';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node');
const [model, first] = process.argv.slice(2);
const RUNS = 4;

const prefix = `${model}.profile`;
const session = await InferenceSession.create(model, { enableProfiling: true, profileFilePrefix: prefix });
const input = new Tensor('float32', new Float32Array(3 * 224 * 224).fill(0.5), [1, 3, 224, 224]);
for (let run = 0; run < RUNS; run++) await session.run({ [session.inputNames[0]]: input });
session.endProfiling();
const file = readdirSync(dirname(prefix))
  .filter((name) => name.startsWith(basename(prefix)))
  .sort()
  .at(-1);
const kernels = JSON.parse(readFileSync(join(dirname(prefix), file), 'utf8')).filter(
  ({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'),
);
const count = kernels.length / RUNS;
// The first run pays for memory that the others find.
const runs = Array.from({ length: RUNS - 1 }, (_run, index) => kernels.slice((index + 1) * count, (index + 2) * count));
const shares = runs.map((run) => {
  const at = run.findIndex(({ name }) => name.startsWith(first));
  const time = (events) => events.reduce((sum, { dur }) => sum + dur, 0);
  return time(run.slice(at)) / time(run);
});
console.log(shares.sort((a, b) => a - b)[Math.floor(shares.length / 2)]);
