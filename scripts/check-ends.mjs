// Round trips of cuts with two ends, over every model of a folder (`npm run check:ends -- FOLDER [--most N]`; the
// fixtures by default): split at every feature, begin at every feature, sizes fixed, the batch freed. Every result must
// compute what the model computes, bit for bit at optimisation level `disabled`; a batch may be refused. It needs the
// build.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './ready.mjs';

const { extract, inspect, split, verify } = await import(join(root, 'dist/index.js'));
const args = process.argv.slice(2);
const most = args.includes('--most') ? Number(args[args.indexOf('--most') + 1]) : Number.POSITIVE_INFINITY;
const folder =
  args.find((arg, at) => !arg.startsWith('--') && args[at - 1] !== '--most') ?? join(root, 'fixtures/timm');
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.onnx'))
  .slice(0, most);
const work = mkdtempSync(join(tmpdir(), 'featx-ends-'));
const counts = new Map();
let wrong = 0;

/** Counts what a trip comes to; refusals have a code that says so. */
async function trip(kind, name, make, refusals = []) {
  let outcome = 'right';
  try {
    const [model, result] = await make();
    const { equal, reason, features } = await verify(model, result);
    if (equal === null) outcome = `not judged: ${reason}`;
    else if (!equal) {
      // Fusion stops at a cut: what is asked is that nothing differs without it.
      outcome = features.every((feature) => feature.bit_equal)
        ? 'bit-equal at disabled, beyond the tolerance at all'
        : 'WRONG';
      console.log(`${kind} ${name}: ${JSON.stringify(features.filter((feature) => feature.equal === false))}`);
    }
  } catch (error) {
    outcome = refusals.includes(error.code) ? `refused (${error.code})` : 'WRONG';
    if (outcome === 'WRONG') console.log(`${kind} ${name}: ${error.code ?? ''} ${error.message}`);
  }
  if (outcome === 'WRONG') wrong++;
  counts.set(`${kind}: ${outcome}`, (counts.get(`${kind}: ${outcome}`) ?? 0) + 1);
}

for (const name of files) {
  const model = join(folder, name);
  const { feature_info: features, inputs } = await inspect(model);
  const held = features.filter(({ tensor }) => tensor !== null).map(({ tensor }) => tensor);
  const cut = join(work, 'cut.onnx');
  for (const tensor of held) {
    const apart = async () => [
      model,
      (await split(model, join(work, '{name}.{part}.onnx'), { at: [tensor] })).manifest,
    ];
    await trip('split', `${name} at ${tensor}`, apart, ['FEATX_SPLIT_EMPTY']);
    const begun = async () => [model, (await extract(model, cut, { from: [tensor] })).output];
    await trip('from', `${name} at ${tensor}`, begun, ['FEATX_FROM_UNCOVERED', 'FEATX_FROM_UNUSED']);
  }
  const symbols = new Set(inputs.flatMap(({ shape }) => (shape ?? []).filter((dim) => typeof dim === 'string')));
  const [first] = symbols;
  if (first !== undefined)
    await trip('dim', name, async () => [model, (await extract(model, cut, { dims: { [first]: 2 } })).output], [
      'FEATX_DIM_BAKED',
    ]);
  const freed = async () => [model, (await extract(model, cut, { freeBatch: true })).output];
  await trip('free batch', name, freed, ['FEATX_DIM_BAKED']);
}
rmSync(work, { recursive: true });
console.log(`${files.length} models of ${folder}`);
for (const [outcome, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`${String(count).padStart(5)}  ${outcome}`);
process.exitCode = wrong === 0 ? 0 : 1;
