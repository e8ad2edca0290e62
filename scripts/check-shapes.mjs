// npm run check:shapes: what featx infers of types and shapes against ONNX Runtime. Real networks: every tensor against
// the runtime's inference with numbers for the inputs, formulas with other numbers too. Single nodes with random dims
// and attributes, and random graphs: against the shapes of a run. No number, rank or dtype may be wrong, and no count
// may fall below the one in fixtures/shapes.json.
//   FOLDER...     folders of networks; default: those of the repository, and ../shared/zoo, zoo_tv_hf and models;
//                 `none` for no network
//   --random N    random nodes (default 5000); --seed S (default 1)
//   --seeds A-B   random graphs (default 1-5000; 0 for none); --minutes N, --record as for check:cuts
//   --rounds N    sizes per symbolic network (default 4: the usual one, then others, some of them odd)
//   --stride N    every n-th network
//   --accept      write the counts down
//   --python PATH a Python with onnx: what its shape inference knows must be known here too
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { basename, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { campaign, CAMPAIGN_OPTIONS } from './graphs/campaign.mjs';
import { bundleInto } from './bundled.mjs';
import { installed, root } from './ready.mjs';

const { values: options, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    random: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '4' },
    stride: { type: 'string', default: '1' },
    accept: { type: 'boolean', default: false },
    python: { type: 'string' },
    ...CAMPAIGN_OPTIONS,
  },
});
const [nodes, seed, rounds, stride] = [options.random, options.seed, options.rounds, options.stride].map(Number);

const RATCHET = join(root, 'fixtures', 'shapes.json');
const SHARED = ['zoo', 'zoo_tv_hf', 'models'].map((name) => join('..', 'shared', name));
const OWN = ['zoo', 'timm', 'models'].map((name) => join('fixtures', name));

installed();
const home = join(root, 'node_modules', '.cache', 'featx', `shapes-${process.pid}`);
mkdirSync(home, { recursive: true });
let isGood = true;
try {
  await bundleInto(home, { compare: 'src/testing/shapes/compare.ts', random: 'src/testing/shapes/random-check.ts' });
  const load = (name) => import(pathToFileURL(join(home, name)).href);
  const { compareFile, numericShapes } = await load('compare.mjs');
  const onnx = options.python === undefined ? null : onnxInference(options.python);
  const { checkRandomNodes } = await load('random.mjs');
  const known = existsSync(RATCHET) ? JSON.parse(readFileSync(RATCHET, 'utf8')) : {};
  const given =
    folders.length > 0 ? folders : [...OWN, ...SHARED.filter((folder) => existsSync(resolve(root, folder)))];
  for (const folder of given)
    if (folder !== 'none') judge(known, nameOf(folder), await compareFolder(compareFile, resolve(root, folder)));
  if (onnx !== null) {
    for (const folder of given)
      if (folder !== 'none') await compareWithOnnx(onnx, numericShapes, resolve(root, folder));
    onnx.end();
  }
  const { differences, unknown, ...counts } = await checkRandomNodes(nodes, seed);
  console.log(`${nodes} random nodes: ${JSON.stringify(counts)}`);
  for (const difference of differences) fail(difference);
  for (const each of unknown.slice(0, 10)) console.log(`  unknown: ${each}`);
  if (options.seeds !== '0') judgeGraphs(known, await campaign('shapes', options));
  if (options.accept && isGood) writeFileSync(RATCHET, `${JSON.stringify(known, null, 2)}\n`);
} finally {
  rmSync(home, { recursive: true, force: true });
}
console.log(isGood ? 'nothing is wrong' : 'something is wrong');
process.exit(isGood ? 0 : 1);

async function compareFolder(compareFile, folder) {
  const files = modelsIn(folder);
  const tally = {
    files: 0,
    tensors: 0,
    ranked: 0,
    numeric: 0,
    formulas: 0,
    oracle: 0,
    shared: 0,
    evaluated: 0,
    alone: 0,
    refused: 0,
    ms: 0,
  };
  for (const file of files) {
    let found;
    try {
      found = await compareFile(join(folder, file), rounds);
    } catch (error) {
      if (!String(error?.code).startsWith('FEATX_')) throw error;
      console.log(`  ${file}: not a model: ${error.message}`);
      continue;
    }
    tally.files++;
    for (const key of Object.keys(tally)) if (typeof found[key] === 'number') tally[key] += found[key];
    if (!found.asks) tally.alone++;
    if (found.refused !== null) tally.refused++;
    for (const difference of found.differences) fail(`${file}: ${difference}`);
    for (const gap of found.gaps.slice(0, 3)) console.log(`  ${file}: ${gap}`);
    for (const tensor of found.missing) console.log(`  ${file}: known to ONNX Runtime alone: ${tensor}`);
    for (const each of found.contradictions) console.log(`  ${file}: declared otherwise: ${each}`);
    if (found.refused !== null) console.log(`  ${file}: ONNX Runtime refuses a part: ${found.refused.slice(0, 200)}`);
  }
  return tally;
}

/** onnx's own shape inference, asked about one file after the other. */
function onnxInference(path) {
  const child = spawn(path, [join(root, 'scripts', 'checker', 'infer.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (file) => {
      child.stdin.write(`${file}\n`);
      return JSON.parse((await lines.next()).value);
    },
    end: () => child.stdin.end(),
  };
}

/** Tensors of which onnx knows all dims without the declarations of the file, and featx does not, or says others. */
async function compareWithOnnx(onnx, numericShapes, folder) {
  const tally = { files: 0, known: 0, alone: 0, otherwise: 0, refused: 0 };
  for (const file of modelsIn(folder)) {
    const own = await numericShapes(join(folder, file)).catch(() => null);
    if (own === null) continue;
    const said = await onnx.ask(join(folder, file));
    tally.files++;
    if (said === null) tally.refused++;
    for (const [name, dims] of Object.entries(said ?? {})) {
      tally.known++;
      const known = own.get(name);
      if (known?.join() === dims.join()) continue;
      tally[known === undefined ? 'alone' : 'otherwise']++;
      console.log(`  ${file}: onnx says [${dims}] of ${name}, featx ${known === undefined ? 'nothing' : `[${known}]`}`);
    }
  }
  console.log(`${basename(folder)} against onnx: ${JSON.stringify(tally)}`);
}

function modelsIn(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .filter((_name, index) => index % stride === 0);
}

function nameOf(folder) {
  return OWN.includes(folder) ? folder.replaceAll('\\', '/') : basename(folder);
}

/** Of the same seeds no count may fall; a value that ONNX Runtime infers and featx does not is told. */
function judgeGraphs(known, { differences = [], weaker = [], unknown = {}, ...tally }) {
  console.log(`random graphs: ${JSON.stringify(tally)}`);
  for (const difference of differences) fail(difference);
  for (const each of weaker) console.log(`  known to ONNX Runtime alone: ${each}`);
  const most = Object.entries(unknown).sort(([, a], [, b]) => b - a);
  console.log(
    `  unknown: ${most
      .slice(0, 12)
      .map(([maker, count]) => `${maker} ${count}`)
      .join(', ')}`,
  );
  const before = known['random graphs'];
  const isSame = before !== undefined && before.seeds.join() === tally.seeds.join() && before.graphs === tally.graphs;
  if (isSame)
    for (const key of ['numeric', 'formulas'])
      if (tally[key] < before[key]) fail(`random graphs: ${key} is ${tally[key]} and was ${before[key]}`);
  if (options.accept) known['random graphs'] = tally;
}

/** Counts may rise and not fall. */
function judge(known, name, { ms, ...tally }) {
  console.log(`${name}: ${JSON.stringify(tally)}, ${Math.round(ms)} ms`);
  if (tally.oracle === 0) fail(`${name}: ONNX Runtime was never asked`);
  if (stride !== 1) return;
  const before = known[name];
  if (before !== undefined && before.files === tally.files)
    for (const key of ['ranked', 'numeric', 'formulas', 'shared', 'alone'])
      if (tally[key] < before[key]) fail(`${name}: ${key} is ${tally[key]} and was ${before[key]}`);
  if (options.accept) known[name] = tally;
}

function fail(message) {
  isGood = false;
  console.log(`WRONG ${message}`);
}
