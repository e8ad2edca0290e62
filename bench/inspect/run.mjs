// node bench/inspect/run.mjs [FOLDER]: whole-process `featx inspect` over a folder of models, above bare Node.
//   FEATX_ZOO           the folder, where none is named (default ../shared/zoo); names that end in .ts.onnx, .dy.onnx,
//                       .anon.onnx are grouped
//   FEATX_BENCH_ROUNDS  of how many rounds the least counts (default 5)
// Prints a table; writes bench/results/inspect.json and inspect.md.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built, root } from '../../scripts/ready.mjs';
import { timed } from '../lib/processes.mjs';
import { machine, markdown, save } from '../lib/table.mjs';

const rounds = Number(process.env.FEATX_BENCH_ROUNDS ?? 5);
const folder = resolve(root, process.argv[2] ?? process.env.FEATX_ZOO ?? '../shared/zoo');
const results = fileURLToPath(new URL('../results/', import.meta.url));
const featx = join(root, 'bin', 'featx.js');
const BARE_EVERY = 10;
const SHOWN = 12;

/** Milliseconds above bare Node. */
const GROUPS = [
  { ending: '.ts.onnx', label: 'TorchScript (no value_info)', median: 60, worst: 150 },
  { ending: '.dy.onnx', label: 'dynamo', median: 120, worst: 200 },
  { ending: '.anon.onnx', label: 'anonymous' },
  { ending: '', label: 'others' },
];

const files = existsSync(folder)
  ? readdirSync(folder)
      .filter((name) => name.endsWith('.onnx'))
      .sort()
  : [];
if (files.length === 0) {
  console.error(`no .onnx files in ${folder}; name a folder`);
  process.exit(2);
}
built();
const least = new Map(files.map((name) => [name, Infinity]));
let bare = Infinity;
for (let round = 0; round < rounds; round++) {
  for (const [position, name] of files.entries()) {
    if (position % BARE_EVERY === 0) bare = Math.min(bare, timed(process.execPath, ['-e', '0']).ms);
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round + 1} of ${rounds}: ${name.slice(0, 60)}`);
    least.set(
      name,
      Math.min(least.get(name), timed(process.execPath, [featx, 'inspect', join(folder, name), '--json']).ms),
    );
  }
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');

const models = files.map((name) => ({
  name,
  bytes: statSync(join(folder, name)).size,
  ms: least.get(name) - bare,
  group: GROUPS.find(({ ending }) => name.endsWith(ending)),
}));
const groups = GROUPS.map((group) => ({
  group,
  times: models
    .filter((model) => model.group === group)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b),
})).filter(({ times }) => times.length > 0);
const at = (times, share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
const verdict = (ms, target) => (target === undefined ? '' : ms <= target ? 'met' : 'MISSED');
const rows = groups.map(({ group: { label, median, worst }, times }) => ({
  group: label,
  models: times.length,
  median_ms: at(times, 0.5),
  median_target_ms: median,
  p90_ms: at(times, 0.9),
  worst_ms: times.at(-1),
  worst_target_ms: worst,
}));
const slowest = [...models].sort((a, b) => b.ms - a.ms).slice(0, SHOWN);
const about = { ...machine(root), rounds, models: models.length, bare_node_ms: bare };
const text = `# inspect

Written by \`node bench/inspect/run.mjs FOLDER\`. Whole processes of \`featx inspect MODEL --json\`, least of ${rounds} rounds over ${models.length} models, less bare Node (\`node -e 0\`: ${bare.toFixed(0)} ms);
${about.cpu}, ${about.cores} cores, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.

${markdown(
  ['models', 'count', 'median ms', 'target', 'verdict', '90 % ms', 'worst ms', 'target', 'verdict'],
  rows.map((row) => [
    row.group,
    row.models,
    row.median_ms.toFixed(0),
    row.median_target_ms,
    verdict(row.median_ms, row.median_target_ms),
    row.p90_ms.toFixed(0),
    row.worst_ms.toFixed(0),
    row.worst_target_ms,
    verdict(row.worst_ms, row.worst_target_ms),
  ]),
)}

The slowest:

${markdown(
  ['model', 'KiB', 'ms'],
  slowest.map(({ name, bytes, ms }) => [name, Math.round(bytes / 1024), ms.toFixed(0)]),
)}
`;
save(
  join(results, 'inspect.json'),
  `${JSON.stringify({ ...about, groups: rows, times: Object.fromEntries(models.map(({ name, ms }) => [name, Math.round(ms * 10) / 10])) }, null, 1)}\n`,
);
save(join(results, 'inspect.md'), text);
console.log(text);
