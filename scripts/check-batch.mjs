// npm run check:batch: 1,000 generated models, one in a hundred broken in ten ways, and 100 of the zoo, through featx
// batch; the same with five kill -9 and --resume. Then what a batch costs: two jobs against one, a second run with
// nothing changed, and the parent's memory over 10,000 items.
//   --figures [campaign|throughput|incremental|memory]  what it costs alone, or one of the four
//   --record                                   write them to bench/results/batch.md
//   FEATX_BENCH_DIR                            where models and cuts lie (default: the system's folder for temporary
//   files; one in memory measures no disk)
//   FEATX_ZOO                                  folder of graphs (default ../shared/zoo, where it is there)
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { built, root } from './ready.mjs';

const resnet = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const tiny = join(root, 'fixtures', 'models', '06-plain-backbone.onnx');
const zoo = resolve(root, process.env.FEATX_ZOO ?? '../shared/zoo');
const results = join(root, 'bench', 'results');

/** Answers SIGUSR2 with what is in use when all garbage is gone, on file descriptor 3. */
const COLLECTOR = `data:text/javascript,${encodeURIComponent("import { writeSync } from 'node:fs'; process.on('SIGUSR2', () => { gc(); gc(); const { heapUsed, external } = process.memoryUsage(); writeSync(3, `${heapUsed + external}\\n`); });")}`;

const COSTS = { throughput, incremental, memory };
const FIGURES = { campaign, ...COSTS };
const flag = process.argv.indexOf('--figures');
const named = flag < 0 ? undefined : process.argv[flag + 1];
const isNamed = named !== undefined && !named.startsWith('-');
const wanted = isNamed ? [named] : Object.keys(flag < 0 ? FIGURES : COSTS);
for (const name of wanted)
  if (!Object.hasOwn(FIGURES, name))
    throw new Error(`there is no figure '${name}'; there are ${Object.keys(FIGURES).join(', ')}`);
built();
const home = mkdtempSync(join(process.env.FEATX_BENCH_DIR ?? tmpdir(), 'featx-check-batch-'));
try {
  for (const name of wanted) {
    // Of the minute before: what the figure itself does comes after.
    const [load] = loadavg();
    const figure = { ...(await FIGURES[name]()), load_before: Math.round(load * 10) / 10 };
    console.log(
      `${figure.what}: ${figure.measured} (${figure.target}: ${figure.met ? 'met' : 'MISSED'}); ${figure.remarks}`,
    );
    if (name === 'campaign' && !figure.met) process.exitCode = 1;
    if (process.argv.includes('--record')) record(name, figure);
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}

async function campaign() {
  const outcome = join(home, 'campaign.json');
  const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
  const began = performance.now();
  spawnSync(process.execPath, [...jest, 'src/batch/campaign', '-i', '--json', '--outputFile', outcome], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, FEATX_CHECK_BATCH: '1000', ...(existsSync(zoo) ? { FEATX_ZOO: zoo } : {}) },
  });
  const { numPassedTests: passed, numTotalTests: total } = JSON.parse(readFileSync(outcome, 'utf8'));
  return {
    what: '1,000 models, one in a hundred broken in ten ways; the same with five kill -9 and --resume; SIGINT, SIGTERM',
    measured: `${passed} of ${total} hold`,
    target: 'each item ends once, the good as a serial run makes them; nothing lost, doubled or torn',
    met: total > 0 && passed === total,
    remarks: `${existsSync(zoo) ? 'with 100 graphs of real networks' : 'without graphs of real networks'}; ${seconds(performance.now() - began)}`,
  };
}

async function throughput() {
  const [few, many] = [400, 2000];
  const models = new Map([
    [few, folder('few', few)],
    [many, folder('many', many)],
  ]);
  const turns = new Map([1, 2].flatMap((jobs) => [few, many].map((count) => [`${jobs} ${count}`, []])));
  // By turns, each the first in every other round: a busy moment of the machine, or a warm cache, favours neither.
  for (let round = 0; round < 2; round++) {
    for (const jobs of round % 2 === 0 ? [1, 2] : [2, 1])
      for (const [count, at] of models)
        turns.get(`${jobs} ${count}`).push((await batch(at, ['--jobs', String(jobs), '--force'])).ms);
  }
  const least = (jobs, count) => Math.min(...turns.get(`${jobs} ${count}`));
  // What starting takes, and getting warm in every process, is in both runs.
  const each = (jobs) => (least(jobs, many) - least(jobs, few)) / (many - few);
  const ratio = each(1) / each(2);
  return {
    what: 'models per second of featx batch --jobs 2 against --jobs 1',
    measured: `${ratio.toFixed(2)} times`,
    target: 'at least 1.60 on two free cores',
    met: ratio >= 1.6,
    remarks: `a ResNet in ${each(1).toFixed(1)} and ${each(2).toFixed(1)} ms once both are warm (${many} models less ${few}); with the start, ${few} in ${seconds(least(1, few))} and ${seconds(least(2, few))}, ${many} in ${seconds(least(1, many))} and ${seconds(least(2, many))}; least of two`,
  };
}

async function incremental() {
  const models = folder('incremental', 1000);
  const first = await batch(models, ['--jobs', '2']);
  const again = [];
  for (let turn = 0; turn < 3; turn++) again.push((await batch(models, ['--jobs', '2'], { skipped: 1000 })).ms);
  const content = await batch(models, ['--jobs', '2', '--check', 'content'], { skipped: 1000 });
  const second = Math.min(...again);
  return {
    what: 'a second run of 1,000 models of which none has changed',
    measured: `${((100 * second) / first.ms).toFixed(2)} % of the first`,
    target: 'under 5 %',
    met: second < 0.05 * first.ms,
    remarks: `whole processes: first ${seconds(first.ms)}, then ${again.map(seconds).join(', ')}, with --check content ${seconds(content.ms)}`,
  };
}

async function memory() {
  // The parent does not see the models, so small ones do; a few more than the last mark, so that the run still goes on
  // there.
  const models = folder('memory', 10_100, tiny);
  const marks = [1000, 5000, 10_000];
  const { notes, live, ms } = await batch(models, ['--jobs', '2'], { marks });
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  return {
    what: 'memory in use in the parent after 1,000, 5,000 and 10,000 items, garbage collected',
    measured: live.map(megabytes).join(', '),
    target: 'flat: at most a tenth more than after 1,000',
    met: Math.max(...live) <= 1.1 * live[0],
    remarks: `resident before each collection: ${notes.map(megabytes).join(', ')}; 10,100 small models in ${seconds(ms)}`,
  };
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(2)} s`;
}

/** `count` links to one model under names of their own. */
function folder(name, count, model = resnet) {
  const at = join(home, name);
  mkdirSync(join(at, 'models'), { recursive: true });
  const source = join(at, 'source');
  copyFileSync(model, source);
  for (let index = 0; index < count; index++)
    linkSync(source, join(at, 'models', `m${String(index).padStart(5, '0')}.onnx`));
  return at;
}

/** Runs a batch as its users do; `marks` are numbers of items after which the parent's memory is noted. */
async function batch(cwd, args, { marks = [], skipped = 0 } = {}) {
  const started = performance.now();
  const measuring = marks.length > 0 ? ['--expose-gc', '--import', COLLECTOR] : [];
  const child = spawn(
    process.execPath,
    [
      ...measuring,
      join(root, 'bin', 'featx.js'),
      'batch',
      'models/*.onnx',
      '--out',
      '0,1',
      '-o',
      'cut/{name}.onnx',
      '--json',
      ...args,
    ],
    { cwd, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] },
  );
  const notes = [];
  let live = '';
  child.stdio[3].on('data', (chunk) => (live += chunk));
  let lines = 0;
  let last = '';
  let failure = '';
  child.stdout.on('data', (chunk) => {
    const text = chunk.toString('utf8');
    failure ||= /.*"status":"failed".*/.exec(text)?.[0] ?? '';
    for (const byte of chunk) if (byte === 10) lines++;
    last = (last + text).slice(-1000);
    if (marks.length > notes.length && lines >= marks[notes.length]) {
      notes.push(residentBytes(child.pid));
      child.kill('SIGUSR2');
    }
  });
  const code = await new Promise((done) => child.on('close', done));
  const summary = JSON.parse(last.trimEnd().split('\n').at(-1));
  if (code !== 0 || summary.failed !== 0 || summary.remaining !== 0 || summary.skipped !== skipped)
    throw new Error(`the batch ended with ${code}: ${JSON.stringify(summary)} ${failure}`);
  return { ms: performance.now() - started, notes, live: live.trimEnd().split('\n').map(Number) };
}

function residentBytes(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return NaN;
  }
}

/** Puts a figure in the place of its last one; those that were not measured this time stay, with their own dates. */
function record(name, figure) {
  const path = join(results, 'batch.json');
  const figures = {
    ...(existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}),
    [name]: { ...machine(root), ...figure },
  };
  save(path, `${JSON.stringify(figures, null, 1)}\n`);
  const rows = Object.keys(FIGURES).flatMap((key) => {
    const one = figures[key];
    return one === undefined
      ? []
      : [
          [
            one.what,
            one.measured,
            one.target,
            one.met ? 'met' : 'MISSED',
            `${one.cpu}, ${one.cores} cores, load ${one.load_before} before; Node ${one.node}, commit ${one.commit}, ${one.date}`,
            one.remarks,
          ],
        ];
  });
  save(
    join(results, 'batch.md'),
    `# Batch\n\nWritten by \`npm run check:batch -- --record\`. Whole processes; inputs are links to one file, in the page cache.\n\n${markdown(['figure', 'measured', 'target', 'verdict', 'where', 'remarks'], rows)}\n`,
  );
}
