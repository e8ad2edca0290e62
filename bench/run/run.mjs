// npm run bench:run: `featx run` against a bare loop of onnxruntime-node, a cut against the whole graph, and memory
// against loading the whole file.
//   FEATX_BENCH_DIR     where models and results go, 2 GiB (default: the system's folder for temporary files)
//   FEATX_BENCH_ROUNDS  of how many rounds the least counts (default 3)
//   FEATX_BENCH_IMAGES  how many pictures are run (default 64)
// Prints a table; writes bench/results/run.json and run.md.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built } from '../../scripts/ready.mjs';
import { layered } from '../lib/models.mjs';
import { leastOf, peaks, timed } from '../lib/processes.mjs';
import { resnet50 } from '../lib/resnet.mjs';
import { machine, markdown, save } from '../lib/table.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const featx = join(root, 'bin', 'featx.js');
const script = (name) => fileURLToPath(new URL(name, import.meta.url));
const results = fileURLToPath(new URL('../results/', import.meta.url));
const rounds = Number(process.env.FEATX_BENCH_ROUNDS ?? 3);
const images = Number(process.env.FEATX_BENCH_IMAGES ?? 64);
const BATCH = 8;
const LEAST_THROUGHPUT = 0.9;
const LEAST_OF_PICTURES = 0.95;
const SLACK_OF_CUT = 0.1;
const MOST_MEMORY = 0.35;
/** Channels of 50 layers of 3x3 convolutions that take about 1 GiB in float32. */
const GIB_1 = 776;
/** Small pictures: the figure is about weights. */
const MEMORY_SIDE = 32;

built();
const folder = mkdtempSync(join(process.env.FEATX_BENCH_DIR ?? tmpdir(), 'featx-bench-run-'));
process.on('SIGINT', () => process.exit(130));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const progress = (line) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line.slice(0, 100)}`);

progress('writing the models');
const model = resnet50(join(folder, 'resnet50.onnx')).path;
const stages = join(folder, 'stages.onnx');
const second = join(folder, 'second.onnx');
const last = join(folder, 'last.onnx');
command('extract', model, '--out', '1,2,3,4', '-o', stages);
command('extract', model, '--out', '2', '-o', second);
command('extract', model, '--out', '4', '-o', last);
const pictures = join(folder, 'pictures');
const arrays = join(folder, 'arrays');
for (const path of [pictures, arrays]) mkdirSync(path);
for (let index = 0; index < images; index++)
  copyFileSync(
    join(root, 'fixtures', 'pictures', 'chelsea.png'),
    join(pictures, `${String(index).padStart(5, '0')}.png`),
  );
progress('decoding the pictures');
timed(process.execPath, [
  script('./decode.mjs'),
  arrays,
  String(BATCH),
  ...readdirSync(pictures).map((name) => join(pictures, name)),
]);
const batches = readdirSync(arrays)
  .sort()
  .map((name) => join(arrays, name));

function command(...args) {
  return JSON.parse(timed(process.execPath, [featx, ...args, '--json']).stdout);
}

const cpuLog = join(folder, 'cpu');
process.env.FEATX_BENCH_CPU = cpuLog;
/** The least CPU time of every step, in milliseconds per picture: what a busy machine does not change. */
const cpu = new Map();
const noteCpu = (name, ms) => cpu.set(name, Math.min(cpu.get(name) ?? Infinity, ms));

function measured(args) {
  rmSync(cpuLog, { force: true });
  const report = JSON.parse(
    timed(process.execPath, ['--require', script('./cpu.cjs'), featx, ...args, '--json']).stdout,
  );
  return { wall: report.elapsed_ms, cpu: Number(readFileSync(cpuLog, 'utf8').trim().split('\n').at(-1)) };
}

/**
 * Milliseconds for all pictures but a batch: a run over all, less a run over one batch, so that opening does not count.
 */
function marginal(name, all, one) {
  const [whole, opening] = [measured(all), measured(one)];
  noteCpu(name, (whole.cpu - opening.cpu) / (images - BATCH));
  return (whole.wall - opening.wall) / (images - BATCH);
}

function bare(name, path, files = batches) {
  return {
    name,
    run: () => {
      const loop = JSON.parse(timed(process.execPath, [script('./bare.mjs'), path, String(BATCH), ...files]).stdout);
      noteCpu(name, loop.cpu / images);
      return loop.wall / images;
    },
  };
}
const running = (name, out, inputs, one, ...more) => ({
  name,
  run: () => {
    const args = (input) => ['run', model, '--out', out, '--batch-size', String(BATCH), '--input', input, ...more];
    return marginal(name, args(inputs), args(one));
  },
});
const npz = ['-o', join(folder, 'features.npz')];
const few = join(folder, 'few');
mkdirSync(few);
for (const name of readdirSync(pictures).slice(0, BATCH)) copyFileSync(join(pictures, name), join(few, name));
const steps = [
  bare('bare', stages),
  bare(
    'bare with decoding',
    stages,
    readdirSync(pictures).map((name) => join(pictures, name)),
  ),
  bare('net', model, ['net', ...batches]),
  bare('bare, feature 4', last),
  running('feature 4', '4', arrays, batches[0], ...npz),
  running('features 1 to 4', '1,2,3,4', arrays, batches[0]),
  running('features 1 to 4 to npz', '1,2,3,4', arrays, batches[0], ...npz),
  running('pictures to npz', '1,2,3,4', pictures, few, ...npz),
  running('pictures to npz, no statistics', '1,2,3,4', pictures, few, ...npz, '--no-statistics'),
  bare('whole', model),
  bare('second', second),
];
const least = leastOf(steps, rounds, (round, name) => progress(`round ${round + 1} of ${rounds}: ${name}`));
progress('the profile');
const share = Number(timed(process.execPath, [script('./profile.mjs'), model, '/layer3']).stdout);

progress('memory: a model of 1 GiB');
const large = layered(join(folder, 'large.onnx'), { channels: GIB_1, sparse: true, side: MEMORY_SIDE });
const whole = peaks([script('./memory.mjs'), large.path]).parentKiB;
const { parentKiB, childKiB } = peaks([
  featx,
  'run',
  large.path,
  '--out',
  '0',
  '--input',
  'random',
  '-o',
  join(folder, 'first.npy'),
]);
progress('');

const saved = 1 - least.get('second') / least.get('whole');
const memory = (parentKiB + childKiB) / whole;
const ms = (name) => `${least.get(name).toFixed(1)} ms/image (CPU ${cpu.get(name).toFixed(0)})`;
const rows = [
  ...[
    ['FeatureListNet over decoded batches', 'net', 'bare', LEAST_THROUGHPUT],
    ['run, arrays, feature 4 to npz', 'feature 4', 'bare, feature 4', LEAST_THROUGHPUT],
    ['run, arrays, features 1 to 4', 'features 1 to 4', 'bare', null],
    ['run, arrays, features 1 to 4 to npz', 'features 1 to 4 to npz', 'bare', null],
    ['run, pictures, features 1 to 4 to npz', 'pictures to npz', 'bare with decoding', LEAST_OF_PICTURES],
    ['the same with --no-statistics', 'pictures to npz, no statistics', 'bare with decoding', LEAST_OF_PICTURES],
  ].map(([figure, name, floor, target]) => {
    const throughput = least.get(floor) / least.get(name);
    const byCpu = cpu.get(floor) / cpu.get(name);
    return {
      figure,
      measured: throughput,
      target,
      is_met: target === null ? null : throughput >= target,
      cpu: byCpu,
      detail: `${ms(name)}; ${floor} ${ms(floor)}; by CPU time ${byCpu.toFixed(2)}`,
    };
  }),
  {
    figure: 'out index 2, cut, against the whole graph: time saved',
    measured: saved,
    target: share - SLACK_OF_CUT,
    is_met: saved >= share - SLACK_OF_CUT,
    detail: `${ms('second')}, whole ${ms('whole')}; the profile puts ${(share * 100).toFixed(0)} % of the time behind it`,
  },
  {
    figure: 'first stage of 1 GiB of weights: peak memory against loading the file',
    measured: memory,
    target: MOST_MEMORY,
    is_met: memory <= MOST_MEMORY,
    detail: `featx ${mib(parentKiB)} and its child ${mib(childKiB)}; whole ${mib(whole)}`,
  },
];

function mib(kib) {
  return `${(kib / 1024).toFixed(0)} MiB`;
}

const about = { ...machine(root), rounds, images, batch: BATCH };
const table = markdown(
  ['figure', 'target', 'measured', 'verdict', 'detail'],
  rows.map(({ figure, target, measured, is_met, detail }) => [
    figure,
    target === null ? '' : `${figure.startsWith('first') ? '≤' : '≥'} ${target.toFixed(2)}`,
    measured.toFixed(2),
    is_met === null ? '' : is_met ? 'met' : 'MISSED',
    detail,
  ]),
);
const introduction = `# Running

Written by \`npm run bench:run\`. Least of ${rounds} rounds in which everything takes its turn; ${about.cpu}, ${about.cores} cores, ${about.memory_gib} GiB, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.

A graph of ResNet-50's size, ${images} pictures of 451 x 300 (\`chelsea.png\`), features 1 to 4 (6 MB of float32 per picture) or 4 alone, in batches of ${BATCH}. "FeatureListNet" is a loop in one process; "run" is \`featx run\` as a process, with the model in a child of its own; what opening takes is not counted, decoding,
running, statistics and writing are. CPU: milliseconds of CPU time per picture, of the process and its child, which other work on the machine changes little. Its floor, "bare", is a loop in one process over batches that lie decoded in memory, on the same cut graph, which does nothing with what comes out; for pictures, one that decodes them first. ONNX Runtime keeps every core of this machine
busy, so what \`run\` does beside it comes on top: handing over what was computed, statistics over all of it, and for a file its checksum and the writing. Models and results lie in ${process.env.FEATX_BENCH_DIR ?? 'the folder for temporary files'}: on a slow disk, writing 6 MB a picture is what is measured.
`;
save(join(results, 'run.json'), `${JSON.stringify({ ...about, rows }, null, 1)}\n`);
save(join(results, 'run.md'), `${introduction}\n${table}\n`);
console.log(`${introduction}\n${table}`);
