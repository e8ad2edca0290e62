// npm run bench:graphs: whole processes on graphs of 60,000 nodes with and without value_info, and of 1,000,000 without
// weights, against onnx.utils and against a program that does the least that a cut can take (floor.mjs).
//   FEATX_BENCH_PYTHON  a Python that has onnx (default python3; without one its column stays empty)
//   FEATX_BENCH_ROUNDS  of how many rounds the least counts (default 5)
//   FEATX_BENCH_ONLY    a regular expression for the graphs to measure (default: all)
// Prints a table; writes bench/results/graphs.json and graphs.md. featx and Node count less bare Node.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built, root } from '../../scripts/ready.mjs';
import { plain } from '../lib/models.mjs';
import { peaks, timed } from '../lib/processes.mjs';
import { machine, markdown, save } from '../lib/table.mjs';

const rounds = Number(process.env.FEATX_BENCH_ROUNDS ?? 5);
const only = new RegExp(process.env.FEATX_BENCH_ONLY ?? '');
const python = process.env.FEATX_BENCH_PYTHON ?? 'python3';
const hasOnnx = spawnSync(python, ['-c', 'import onnx.utils']).status === 0;
const script = (name) => fileURLToPath(new URL(name, import.meta.url));
const results = fileURLToPath(new URL('../results/', import.meta.url));
const featx = join(root, 'bin', 'featx.js');
/** Of what onnx.utils takes. */
const MOST_OF_ONNX = 0.35;

const GRAPHS = [
  { label: '60,000 nodes with value_info', layers: 20_000, hasValueInfo: true },
  { label: '60,000 nodes without value_info', layers: 20_000, hasValueInfo: false },
  { label: '1,000,000 nodes without weights', layers: 333_333, hasValueInfo: false, seconds: 8, mib: 1536 },
].filter(({ label }) => only.test(label));

built();
const home = mkdtempSync(join(tmpdir(), 'featx-bench-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));
const output = join(home, 'cut.onnx');

/** The least of each measure over the rounds. */
const least = new Map();
function note(key, figures) {
  const known = least.get(key) ?? {};
  for (const [name, figure] of Object.entries(figures)) known[name] = Math.min(known[name] ?? Infinity, figure);
  least.set(key, known);
}

/** A Node program: wall, processor time and peak memory. */
function node(key, args) {
  const start = performance.now();
  const { parentKiB, cpuMs } = peaks(args);
  note(key, { ms: performance.now() - start, cpuMs, mib: parentKiB / 1024 });
}

const models = GRAPHS.map((graph, at) => ({ ...graph, ...plain(join(home, `${at}.onnx`), graph) }));
for (let round = 0; round < rounds; round++) {
  node('bare', ['-e', '0']);
  for (const { label, path, layers, seconds } of models) {
    const tensor = `/layers/layers.${Math.floor(layers / 2) - 1}/Add_output_0`;
    node(`inspect ${label}`, [featx, 'inspect', path, '--json']);
    node(`extract ${label}`, [featx, 'extract', path, '--tensor', tensor, '-o', output, '--json']);
    note(`floor ${label}`, {
      ms: Number(timed(process.execPath, [script('./floor.mjs'), path, tensor, output]).stdout),
    });
    // Of the largest, seconds are asked for.
    if (!hasOnnx || seconds !== undefined) continue;
    const [ms, cpuMs] = timed(python, [script('./extract.py'), path, tensor, output])
      .stdout.split(' ')
      .map(Number);
    note(`onnx ${label}`, { ms, cpuMs });
  }
}

const bare = least.get('bare');
const rows = models.flatMap(({ label, seconds, mib }) =>
  ['inspect', 'extract'].map((command) => {
    const own = least.get(`${command} ${label}`);
    const onnx = least.get(`onnx ${label}`);
    const [ms, cpuMs] = [own.ms - bare.ms, own.cpuMs - bare.cpuMs];
    const ratio = onnx === undefined ? undefined : ms / onnx.ms;
    const isMet =
      seconds === undefined ? ratio !== undefined && ratio <= MOST_OF_ONNX : own.ms <= seconds * 1000 && own.mib <= mib;
    return {
      figure: `${command}, ${label}`,
      ms,
      cpu_ms: cpuMs,
      peak_mib: own.mib,
      onnx_ms: onnx?.ms,
      ratio_to_onnx: ratio,
      cpu_ratio_to_onnx: onnx === undefined ? undefined : cpuMs / onnx.cpuMs,
      floor_ms: least.get(`floor ${label}`).ms,
      target: seconds === undefined ? `${MOST_OF_ONNX} of onnx.utils` : `${seconds} s, ${mib} MiB`,
      is_met: isMet,
    };
  }),
);
/** Processes that waited for a processor, on average of a minute: beyond the cores, only ratios say something. */
const [load] = loadavg();
const about = { ...machine(root), load, rounds, bare_node_ms: bare.ms };
const fixed = (value, digits = 0) => value?.toFixed(digits);
const text = `# Graphs

Written by \`npm run bench:graphs\`. Whole processes less bare Node (\`node -e 0\`: ${fixed(bare.ms)} ms), least of ${rounds} rounds; onnx.utils without importing onnx; the floor without loading Node.
${about.cpu}, ${about.cores} cores, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}; load ${fixed(load, 1)}: beyond the number of cores only ratios say something.

${markdown(
  [
    'figure',
    'ms',
    'CPU ms',
    'peak MiB',
    'onnx.utils ms',
    'ratio',
    'ratio of CPU',
    'floor ms',
    'ratio',
    'target',
    'verdict',
  ],
  rows.map((row) => [
    row.figure,
    fixed(row.ms),
    fixed(row.cpu_ms),
    fixed(row.peak_mib),
    fixed(row.onnx_ms),
    fixed(row.ratio_to_onnx, 2),
    fixed(row.cpu_ratio_to_onnx, 2),
    fixed(row.floor_ms),
    fixed(row.ms / row.floor_ms, 1),
    row.target,
    row.is_met ? 'met' : 'MISSED',
  ]),
)}
`;
save(join(results, 'graphs.json'), `${JSON.stringify({ ...about, rows }, null, 1)}\n`);
save(join(results, 'graphs.md'), text);
console.log(text);
