// npm run check:ends: round trips of cuts with two ends, with ONNX Runtime's optimiser off. Networks: split at every
// feature, the parts one after the other; a cut's outputs, and what begins at them; numbers for the symbols of inputs;
// the batch freed, with one entry bit for bit and with three against each alone. All must compute what the model
// computes, bit for bit; a batch may be refused. It needs the build.
//   FOLDER...     folders of models, searched (default: fixtures/timm); graphs without weights get seeded ones
//   --most N      of each folder, the smallest first; --bytes N: none larger
//   --only TRIPS  some of split, from, dim, free
//   --seeds A-B   random graphs, at random tensors (default: none); --minutes N, --record as for check:cuts
//   --minutes N   ends after the network that is looked at then; --skip N networks
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { difference, entryOf, farthest, joined, outputsOf, seededTensor } from './ends/runs.mjs';
import { withSeededWeights } from './ends/seeded.mjs';
import { campaign, CAMPAIGN_OPTIONS } from './graphs/campaign.mjs';
import { installed, root } from './ready.mjs';

const REFUSALS = new Set([
  'FEATX_SPLIT_EMPTY',
  'FEATX_SPLIT_POINT',
  'FEATX_SPLIT_OUTPUT',
  'FEATX_FROM_UNCOVERED',
  'FEATX_FROM_UNUSED',
  'FEATX_DIM_BAKED',
  'FEATX_FREE_BATCH',
]);

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...CAMPAIGN_OPTIONS,
    seeds: { type: 'string', default: '0' },
    most: { type: 'string', default: 'Infinity' },
    bytes: { type: 'string', default: 'Infinity' },
    skip: { type: 'string', default: '0' },
    only: { type: 'string', default: 'split,from,dim,free' },
  },
});
installed();
const featx = await import(join(root, 'dist/index.js'));
const trips = new Set(options.only.split(','));
const deadline = Date.now() + Number(options.minutes) * 60_000;
const counts = new Map();
let wrong = 0;
let looked = 0;

const folders = positionals.length > 0 ? positionals : options.seeds === '0' ? [join(root, 'fixtures/timm')] : [];
for (const folder of folders)
  for (const file of modelsIn(folder).slice(Number(options.skip), Number(options.skip) + Number(options.most))) {
    if (Date.now() > deadline) break;
    const work = mkdtempSync(join(tmpdir(), 'featx-ends-'));
    try {
      await network(file, work);
    } finally {
      rmSync(work, { recursive: true });
    }
  }
if (looked > 0) {
  console.log(`${looked} networks of ${folders.join(', ')}`);
  for (const [outcome, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${String(count).padStart(5)}  ${outcome}`);
}
if (options.seeds !== '0') {
  const { differences = [], ...tally } = await campaign('ends', options);
  console.log(`${JSON.stringify(tally)}\n${differences.length} differences`);
  wrong += differences.length;
}
process.exitCode = wrong === 0 ? 0 : 1;

/** The models of a folder, the smallest first. */
function modelsIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.onnx'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, bytes: statSync(path).size }))
    .filter(({ bytes }) => bytes > 1000 && bytes <= Number(options.bytes))
    .sort((a, b) => a.bytes - b.bytes || (a.path < b.path ? -1 : 1))
    .map(({ path }) => path);
}

async function trip(kind, name, make, isHalf = false) {
  let outcome;
  try {
    const found = await make();
    const [, far = Infinity] = /differs by ([\d.e-]+)$/.exec(found ?? '') ?? [];
    outcome = found === null ? 'right' : isHalf && Number(far) <= 1e-3 ? 'rounded elsewhere (float16)' : 'WRONG';
    if (found !== null) console.log(`${kind} ${name}: ${found}`);
  } catch (error) {
    const isRefused = REFUSALS.has(error.code);
    outcome = isRefused ? `refused (${error.code})` : 'WRONG';
    console.log(`${kind} ${name}: ${error.code ?? ''} ${error.message}`);
  }
  if (outcome === 'WRONG') wrong++;
  const key = `${kind}: ${outcome}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

async function network(file, work) {
  const model = await withSeededWeights(featx, file, work);
  const report = await featx.inspect(model);
  const sizes = report.nominal_input_shape ?? {};
  const shapeOf = ({ name, shape }) => sizes[name] ?? (shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
  const feedsOf = (seed) =>
    Object.fromEntries(
      report.inputs.map((input, at) => [input.name, seededTensor(input.dtype, shapeOf(input), seed + at)]),
    );
  let feeds;
  let whole;
  try {
    feeds = feedsOf(1);
    whole = await outputsOf(model, feeds);
  } catch (error) {
    console.log(`not run: ${file}: ${error.message.slice(0, 160)}`);
    counts.set('not run', (counts.get('not run') ?? 0) + 1);
    return;
  }
  looked++;
  const cut = join(work, 'cut.onnx');
  // ONNX Runtime's CPU computes float16 in float32 between nodes and rounds it where a tensor leaves a graph: there the
  // model is asked with these tensors among its outputs.
  const isHalf =
    JSON.stringify(report.outputs).includes('float16') || JSON.stringify(report.feature_info).includes('float16');
  const truth = async (tensors) => {
    if (!isHalf) return whole;
    const hooked = join(work, 'hooked.onnx');
    const select = tensors.map((name) => ({ by: 'tensor', name: escaped(name) }));
    await featx.extract(model, hooked, { mode: 'hook', select });
    const all = await outputsOf(hooked, feeds);
    return Object.fromEntries(Object.keys(whole).map((name) => [name, all[name]]));
  };
  const held = report.feature_info.filter(({ tensor }) => tensor !== null).map(({ tensor }) => tensor);
  for (const tensor of held) {
    if (trips.has('split'))
      await trip(
        'split',
        `${file} at ${tensor}`,
        async () => {
          const { manifest, cuts } = await featx.split(model, join(work, '{name}.{part}.onnx'), { at: [tensor] });
          const frontier = cuts.flatMap((place) => place.frontier.map((crossing) => crossing.tensor));
          return difference(await truth(frontier), await chained(manifest, feeds));
        },
        isHalf,
      );
    if (trips.has('from'))
      await trip(
        'from',
        `${file} at ${tensor}`,
        async () => {
          const features = await featx.extract(model, cut, {
            select: [{ by: 'tensor', name: escaped(tensor) }],
          });
          const [feature] = Object.values(await outputsOf(cut, feeds));
          const rest = join(work, 'rest.onnx');
          const { from } = await featx.extract(model, rest, { from: [features.features[0].tensor] });
          return difference(await truth([tensor]), await outputsOf(rest, { ...feeds, [from[0].input]: feature }));
        },
        isHalf,
      );
  }
  const symbols = new Map(
    report.inputs.flatMap((input) =>
      (input.shape ?? []).flatMap((dim, axis) =>
        typeof dim === 'string' && /^\w+$/.test(dim) ? [[dim, shapeOf(input)[axis]]] : [],
      ),
    ),
  );
  if (symbols.size > 0 && trips.has('dim'))
    await trip('dim', file, async () => {
      await featx.extract(model, cut, { dims: Object.fromEntries(symbols) });
      return difference(whole, await outputsOf(cut, feeds));
    });
  if (trips.has('free'))
    await trip('free', file, async () => {
      const { freed } = await featx.extract(model, cut, { freeBatch: true });
      const one = difference(whole, await outputsOf(cut, feeds));
      return one === null ? await inThree(model, cut, freed, feedsOf) : `with one entry ${one}`;
    });
}

/** A name as a pattern that stands for nothing else. */
function escaped(name) {
  return name.replace(/[\\*?]/g, '\\$&');
}

/** What parts give, each from what those before it gave. */
async function chained(manifest, feeds) {
  const { parts } = JSON.parse(readFileSync(manifest, 'utf8'));
  let known = { ...feeds };
  for (const { file } of parts) known = { ...known, ...(await outputsOf(join(dirname(manifest), file), known)) };
  return known;
}

/** Three entries at once against each alone; null if they are the same but for the last bits. */
async function inThree(model, cut, { inputs, outputs, batch }, feedsOf) {
  if (batch !== 1) return null;
  const each = [];
  for (const seed of [1, 101, 201]) each.push(feedsOf(seed));
  const alone = [];
  for (const feeds of each) {
    for (const [name, axis] of Object.entries(inputs)) if (axis === null) feeds[name] = each[0][name];
    alone.push(await outputsOf(model, feeds));
  }
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, axis]) => [
      name,
      axis === null
        ? each[0][name]
        : joined(
            each.map((one) => one[name]),
            axis,
          ),
    ]),
  );
  const whole = await outputsOf(cut, feeds);
  for (const [name, axis] of Object.entries(outputs))
    for (const [entry, one] of alone.entries()) {
      const own = axis === null ? whole[name] : entryOf(whole[name], axis, entry, 3);
      if (own.dims.join() !== one[name].dims.join())
        return `with three entries '${name}' is [${whole[name].dims.join()}]`;
      const far = farthest(one[name], own);
      if (!(far <= 1e-3)) return `with three entries '${name}' differs by ${far} standard deviations`;
    }
  return null;
}
