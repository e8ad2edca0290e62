// npm run bench:engine: whole processes and openModel on models of 1 to 8 GiB and of 60,000 nodes, against bare Node
// and `cp` in the same run.
//   FEATX_BENCH_DIR     where the models go, 4 GiB on a file system with holes in files (default: the system's folder
//                       for temporary files)
//   FEATX_BENCH_ROUNDS  of how many rounds the least counts (default 5)
//   FEATX_BENCH_ONLY    a regular expression for the figures to measure (default: all)
// Prints a table; writes bench/results/engine.json and engine.md. What is read lies in the page cache.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built } from '../../scripts/ready.mjs';
import { leastOf, peaks } from '../lib/processes.mjs';
import { machine, markdown, save } from '../lib/table.mjs';
import { bare, closePlaces, command, copying, makeModels, opening, openPlaces } from './workload.mjs';

const rounds = Number(process.env.FEATX_BENCH_ROUNDS ?? 5);
const only = new RegExp(process.env.FEATX_BENCH_ONLY ?? '');
const results = fileURLToPath(new URL('../results/', import.meta.url));
const MEMORY_RUNS = 3;
const MEMORY_MIB = 64;

built();
const places = openPlaces(process.env.FEATX_BENCH_DIR ?? tmpdir());
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
])
  process.on(signal, () => process.exit(code));
process.on('exit', () => closePlaces(places));
progress('writing the models');
const models = makeModels(places);
const [disk] = places;
const output = (name, place = disk) => join(place.folder, `${name}.cut.onnx`);

/** Figures: what is run, what it is compared with, and what it may take. */
const figures = [];
const steps = [bare];
function figure(row, step) {
  if (!only.test(row.figure)) return;
  steps.push(step);
  figures.push({ ...row, step });
}

const aboveBare = (limit) => ({ kind: 'above bare Node', floor: 'bare', limit: () => limit });
const children = (expected) => ({ children: expected });

for (const { label, model } of [
  { label: '1 GiB inline', model: models.inline.get('disk') },
  { label: '1.9 GiB inline', model: models.large },
  { label: '8 GiB external', model: models.external },
]) {
  figure({ figure: `openModel, ${label}`, kind: 'in-process', limit: () => 60 }, opening(`open ${label}`, model));
  figure(
    { figure: `inspect, ${label}`, ...aboveBare(120), ...children(0) },
    command(`inspect ${label}`, ['inspect', model.path]),
  );
}
for (const place of places) {
  const model = models.inline.get(place.label);
  copyFigure(`extract 10 %, 1 GiB inline, ${place.label}`, place, ['extract', model.path, '--out', '0'], 1.3, null);
  copyFigure(`hook, 1 GiB inline, ${place.label}`, place, ['extract', model.path, '--mode', 'hook'], 1.2, model.path);
}
for (const { label, model } of [
  { label: '1 GiB inline', model: models.inline.get('disk') },
  { label: '1.9 GiB inline', model: models.large },
]) {
  figure(
    { figure: `extract 10 % --weights reference, ${label}`, ...aboveBare(150), ...children(0) },
    command(`reference ${label}`, ['extract', model.path, '--out', '0', '--weights', 'reference'], output('reference')),
  );
}
copyFigure(
  'extract 10 %, 8 GiB external, weights stay',
  disk,
  ['extract', models.external.path, '--out', '0'],
  1.3,
  null,
);
copyFigure(
  'hook, 8 GiB external, weights stay',
  disk,
  ['extract', models.external.path, '--mode', 'hook'],
  1.2,
  models.external.path,
);

for (const { label, model } of [
  { label: '60,000 nodes without weights', model: models.plain },
  { label: '60,000 nodes, 40,000 weights', model: models.deep },
]) {
  const long = { kind: 'whole process', limit: () => 1000, ...children(0), isLong: true };
  figure({ figure: `openModel, ${label}`, kind: 'in-process' }, opening(`open ${label}`, model));
  figure({ figure: `inspect, ${label}`, ...long }, command(`inspect ${label}`, ['inspect', model.path]));
  figure(
    { figure: `extract to half the depth, ${label}`, ...long },
    command(`extract ${label}`, ['extract', model.path, '--out', '0'], output('deep')),
  );
}

for (const { label, model, limit, isLong } of [
  { label: '1 GiB inline', model: models.inlineUntyped, limit: 120 },
  { label: '8 GiB external', model: models.externalUntyped, limit: 120 },
  { label: '6,000 nodes', model: models.deepUntyped, limit: 250, isLong: true },
]) {
  const untyped = (most) => ({ ...aboveBare(most), ...children(0), isLong });
  figure(
    { figure: `inspect, ${label}, no value_info`, ...untyped(limit) },
    command(`inspect untyped ${label}`, ['inspect', model.path]),
  );
  if (label === '1 GiB inline')
    figure(
      { figure: `extract 10 % --weights reference, ${label}, no value_info`, ...untyped(150) },
      command(
        `reference untyped ${label}`,
        ['extract', model.path, '--out', '0', '--weights', 'reference'],
        output('untyped'),
      ),
    );
}

/** A command that copies, beside `cp` of the same bytes: of `source`, or of what the command writes. */
function copyFigure(name, place, args, factor, source) {
  if (!only.test(name)) return;
  const target = join(place.folder, `${steps.length}.cut.onnx`);
  const step = command(name, args, target);
  const report = step.report();
  if (source === null) assertTenth(name, report);
  const copies = copying(name, place, source ?? target);
  const floor = copies.at(-1).name;
  figure(
    {
      figure: name,
      kind: `above bare Node, against ${place.synced ? 'cp and sync of it' : 'cp'}`,
      floor,
      factor,
      limit: (least) => factor * least.get(floor) + 150,
      sizeBytes: report.size_bytes,
      plain: copies[0].name,
      ...children(0),
    },
    step,
  );
  steps.push(...copies);
}

function assertTenth(name, { kept, dropped }) {
  const share = kept.weights_bytes / (kept.weights_bytes + dropped.weights_bytes);
  if (share < 0.08 || share > 0.12)
    throw new Error(`${name}: ${Math.round(share * 100)} % of the weights are kept, not 10 %`);
}

const least = leastOf(steps, rounds, (round, name) => progress(`round ${round + 1} of ${rounds}: ${name}`));
const nothing = Array.from({ length: 2 * MEMORY_RUNS }, () => peaks(['-e', '0']));
const bareKiB = Math.min(...nothing.map(({ parentKiB }) => parentKiB));
const bareCpuMs = Math.min(...nothing.map(({ cpuMs }) => cpuMs));
const rows = figures.map(measured);
progress('');

function measured({
  figure: name,
  kind,
  floor,
  factor,
  limit,
  sizeBytes,
  plain,
  children: expected,
  isLong = false,
  step,
}) {
  const wall = least.get(step.name);
  const base = kind === 'in-process' || kind === 'whole process' ? 0 : least.get('bare');
  const ms = wall - base;
  const target = limit?.(least);
  const row = {
    figure: name,
    kind,
    wall_ms: wall,
    ms,
    target_ms: target,
    floor_ms: floor === undefined ? undefined : least.get(floor),
    ratio: ratio(),
    size_bytes: sizeBytes,
    cp_ms: plain === undefined ? undefined : least.get(plain),
    is_met: target === undefined ? undefined : ms <= target,
  };
  return step.args === undefined ? row : { ...row, ...memoryOf(step, expected, isLong) };

  function ratio() {
    if (floor === undefined) return undefined;
    return (factor === undefined ? wall : ms) / least.get(floor);
  }
}

function memoryOf({ name, args, before }, expected, isLong) {
  progress(`memory: ${name}`);
  let parentKiB = 0;
  let childKiB = 0;
  let cpuMs = Infinity;
  for (let run = 0; run < (isLong ? 1 : MEMORY_RUNS); run++) {
    before();
    const peak = peaks(args);
    if (peak.children !== expected) throw new Error(`${name} started ${peak.children} processes, not ${expected}`);
    parentKiB = Math.max(parentKiB, peak.parentKiB);
    childKiB = Math.max(childKiB, peak.childKiB);
    cpuMs = Math.min(cpuMs, peak.cpuMs);
  }
  const above = (parentKiB - bareKiB) / 1024;
  return {
    children: expected,
    cpu_above_bare_ms: cpuMs - bareCpuMs,
    peak_mib: parentKiB / 1024,
    peak_above_bare_mib: above,
    child_peak_mib: childKiB === 0 ? undefined : childKiB / 1024,
    is_small: isLong ? undefined : above <= MEMORY_MIB,
  };
}

function progress(line) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line.slice(0, 100)}`);
}

const about = {
  ...machine(fileURLToPath(new URL('../..', import.meta.url))),
  rounds,
  places: places.map(({ label }) => label),
  bare_node_ms: least.get('bare'),
  bare_node_cpu_ms: bareCpuMs,
  bare_node_peak_mib: bareKiB / 1024,
};
const ms = (value) => (value === undefined ? '' : value.toFixed(value < 10 ? 1 : 0));
const verdict = (met) => (met === undefined ? '' : met ? 'met' : 'MISSED');
const table = markdown(
  [
    'figure',
    'counted',
    'target ms',
    'measured ms',
    'floor ms',
    'ratio to floor',
    'verdict',
    'CPU above bare ms',
    'peak above bare MiB',
    `≤ ${MEMORY_MIB} MiB`,
    'children',
    'remarks',
  ],
  rows.map((row) => [
    row.figure,
    row.kind,
    ms(row.target_ms),
    ms(row.ms),
    ms(row.floor_ms),
    row.ratio?.toFixed(2),
    verdict(row.is_met),
    ms(row.cpu_above_bare_ms),
    row.peak_above_bare_mib?.toFixed(0),
    verdict(row.is_small),
    row.children,
    [
      row.size_bytes === undefined ? '' : `${(row.size_bytes / 2 ** 20).toFixed(row.size_bytes < 2 ** 20 ? 2 : 0)} MiB`,
      row.cp_ms === undefined || row.cp_ms === row.floor_ms ? '' : `plain cp ${ms(row.cp_ms)} ms`,
    ]
      .filter((remark) => remark !== '')
      .join(', '),
  ]),
);
const introduction = `# Engine

Written by \`npm run bench:engine\`. Least of ${rounds} rounds in which everything takes its turn; ${about.cpu}, ${about.cores} cores, ${about.memory_gib} GiB, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.

Bare Node (\`node -e 0\`): ${ms(about.bare_node_ms)} ms (${ms(about.bare_node_cpu_ms)} ms of processor time), peak ${about.bare_node_peak_mib.toFixed(0)} MiB. Files lie in the page cache. "above bare Node" is the whole process less bare Node.
An extract that exits 0 is durable: it has synced the file and its directory. On disk its floor is therefore \`cp\` followed by \`sync\` of the copy, with everything written out before; plain \`cp\`, which
leaves the writing to later, is in the remarks. On tmpfs, where syncing costs nothing, the floor is plain \`cp\`. CPU is the process's own user and system time, which suffers less from a busy machine than the wall does.
`;
save(join(results, 'engine.json'), `${JSON.stringify({ ...about, rows }, null, 1)}\n`);
save(join(results, 'engine.md'), `${introduction}\n${table}\n`);
console.log(`${introduction}\n${table}`);
