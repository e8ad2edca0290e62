// npm run check:batch: 1,000 generated models, one in a hundred broken in ten ways, and 100 of the zoo, through featx batch; the same with five kill -9 and
// --resume. Then what a batch costs: a second run with nothing changed, two jobs against one, and the parent's memory over 10,000 items.
//   FEATX_ZOO  folder of graphs (default ../shared/zoo, where it is there)
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { built, node, root } from './ready.mjs';

const resnet = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const tiny = join(root, 'fixtures', 'models', '06-plain-backbone.onnx');
const zoo = resolve(root, process.env.FEATX_ZOO ?? '../shared/zoo');
built();
if (!process.argv.includes('--figures')) {
  node(['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', 'src/batch/campaign', '-i'], {
    env: { ...process.env, FEATX_CHECK_BATCH: '1000', ...(existsSync(zoo) ? { FEATX_ZOO: zoo } : {}) },
  });
}

const home = mkdtempSync(join(tmpdir(), 'featx-check-batch-'));
try {
  const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
  const small = folder('throughput', 200);
  // The best of several turns: whatever else the machine does makes runs slower, never faster.
  const best = { 1: Infinity, 2: Infinity };
  for (let turn = 0; turn < 4; turn++) for (const jobs of [1, 2]) best[jobs] = Math.min(best[jobs], (await batch(small, ['--jobs', String(jobs), '--force'])).ms);
  console.log(`200 models of ResNet: one job ${seconds(best[1])}, two jobs ${seconds(best[2])}: ${(best[1] / best[2]).toFixed(2)} times (at least 1.6 on two free cores)`);
  const thousand = folder('incremental', 1000);
  const first = await batch(thousand, ['--jobs', '2']);
  const second = await batch(thousand, ['--jobs', '2']);
  const third = await batch(thousand, ['--jobs', '2', '--check', 'content']);
  console.log(`1,000 models: first run ${seconds(first.ms)}, second ${seconds(second.ms)} (${((100 * second.ms) / first.ms).toFixed(1)} %, at most 5), with --check content ${seconds(third.ms)}; whole processes`);
  // The parent does not see the models, so small ones do.
  const many = folder('memory', 10_000, tiny);
  const peaks = [];
  const long = await batch(many, ['--jobs', '2'], [1000, 5000, 10_000], peaks);
  console.log(`10,000 models in ${seconds(long.ms)}: resident memory of the parent after ${peaks.map(([count, bytes]) => `${count}: ${(bytes / 1e6).toFixed(0)} MB`).join(', ')}`);
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** `count` links to one model under names of their own. */
function folder(name, count, model = resnet) {
  const at = join(home, name);
  mkdirSync(join(at, 'models'), { recursive: true });
  const source = join(at, 'source');
  copyFileSync(model, source);
  for (let index = 0; index < count; index++) linkSync(source, join(at, 'models', `m${String(index).padStart(5, '0')}.onnx`));
  return at;
}

/** Runs a batch as its users do; `marks` are numbers of items after which the parent's memory is noted. */
async function batch(cwd, args, marks = [], notes = []) {
  const started = performance.now();
  const child = spawn(process.execPath, [join(root, 'bin', 'featx.js'), 'batch', 'models/*.onnx', '--out', '0,1', '-o', 'cut/{name}.onnx', '--json', ...args], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  let lines = 0;
  let last = '';
  let failure = '';
  child.stdout.on('data', (chunk) => {
    failure ||= /.*"status":"failed".*/.exec(chunk.toString('utf8'))?.[0] ?? '';
    for (const byte of chunk) if (byte === 10) lines++;
    last = (last + chunk.toString('utf8')).slice(-1000);
    while (marks.length > notes.length && lines >= marks[notes.length]) notes.push([marks[notes.length], residentBytes(child.pid)]);
  });
  const code = await new Promise((done) => child.on('close', done));
  const summary = JSON.parse(last.trimEnd().split('\n').at(-1));
  if (code !== 0 || summary.failed !== 0 || summary.remaining !== 0) throw new Error(`the batch ended with ${code}: ${JSON.stringify(summary)} ${failure}`);
  return { ms: performance.now() - started, ...summary };
}

function residentBytes(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return NaN;
  }
}
