// npm run check:mirror: kill -9 at random moments of featx extract from a URL. After every kill each byte that a record
// of the cache calls real is that of the file on the server; and the next cut from the same cache is the right one.
//   --kills N   (default 500)    --seed N   of the moments    --record   write bench/results/mirror.md
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { layered } from '../bench/lib/models.mjs';
import { machine, save } from '../bench/lib/table.mjs';
import { serve } from '../bench/remote/line.mjs';
import { built, root } from './ready.mjs';

const { values: flags } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    record: { type: 'boolean', default: false },
  },
});
const KILLS = Number(flags.kills);
/** Runs on one cache before it is made anew. */
const RUNS = 5;
built();
const home = mkdtempSync(join(tmpdir(), 'featx-mirror-'));
const model = join(home, 'm.onnx');
const digest = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

let state = Number(flags.seed) >>> 0;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;

/** What was found, and on what. */
function recordOf(text) {
  const { date, commit, node, cpu, cores } = machine(root);
  return `# kill -9 while a remote model is fetched

\`npm run check:mirror -- --kills ${KILLS} --seed ${flags.seed} --record\`, ${date}, ${commit}, Node.js ${node}, ${cores} x ${cpu}. A cut of a model behind a URL is killed at a random moment, five times over one cache, and each byte that a record of the cache calls real is held against the server's; then the cut is made from what is left.

${text}.
`;
}

/** Runs featx; kills it after `ms`, unless that is null. Gives its exit code, null if it was killed. */
function featx(args, ms) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, 'bin', 'featx.js'), ...args], { stdio: 'ignore' });
    const timer = ms === null ? null : setTimeout(() => child.kill('SIGKILL'), ms);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

/** Bytes that records of a cache call real, and those of them that are not what the server has. */
function believed(cache, original) {
  const counts = { records: 0, bytes: 0, wrong: 0 };
  for (const name of readdirSync(cache).filter((each) => each.endsWith('.mirror.json'))) {
    const { data, ranges, size_bytes: size } = JSON.parse(readFileSync(join(cache, name), 'utf8'));
    counts.records++;
    if (size !== original.length) counts.wrong++;
    const file = openSync(join(cache, data), 'r');
    for (const [start, end] of ranges) {
      const bytes = Buffer.alloc(end - start);
      readSync(file, bytes, 0, bytes.length, start);
      counts.bytes += bytes.length;
      if (!bytes.equals(original.subarray(start, end))) counts.wrong++;
    }
    closeSync(file);
  }
  return counts;
}

try {
  layered(model, { channels: 96 });
  // Zeros would be right in a hole: no block of the weights may be empty.
  const original = readFileSync(model);
  for (let at = 64 * 1024; at + 4096 < original.length - 64 * 1024; at += 4096)
    if (original.subarray(at, at + 4096).every((byte) => byte === 0)) original.set(randomBytes(4096), at);
  const file = openSync(model, 'w');
  writeSync(file, original);
  closeSync(file);
  // Slow enough that kills come while something is on its way.
  const server = await serve({ 'm.onnx': model }, { roundTripMs: 5, bytesPerMs: 60_000 });
  const cut = (source, output, cache) => [
    'extract',
    source,
    '--out',
    '-1',
    '-o',
    output,
    '--cache-dir',
    cache,
    '--quiet',
  ];
  const expected = join(home, 'expected.onnx');
  if ((await featx(cut(model, expected, join(home, 'none')), null)) !== 0) throw new Error('the local cut fails');
  const right = digest(expected);
  const started = performance.now();
  const first = join(home, 'first');
  mkdirSync(first);
  await featx(cut(server.url('m.onnx'), join(home, 'out.onnx'), first), null);
  const whole = performance.now() - started;
  const sum = { kills: 0, ended: 0, records: 0, bytes: 0, wrong: 0, cuts: 0 };
  for (let round = 0; sum.kills < KILLS; round++) {
    const cache = join(home, `cache-${round}`);
    mkdirSync(cache);
    for (let run = 0; run < RUNS && sum.kills < KILLS; run++) {
      // Starting the program takes half of it.
      const code = await featx(
        cut(server.url('m.onnx'), join(home, 'out.onnx'), cache),
        whole * (0.3 + 0.7 * random()),
      );
      if (code === null) sum.kills++;
      else sum.ended++;
      const { records, bytes, wrong } = believed(cache, original);
      sum.records += records;
      sum.bytes += bytes;
      sum.wrong += wrong;
    }
    const output = join(home, 'after.onnx');
    if ((await featx(cut(server.url('m.onnx'), output, cache), null)) !== 0 || digest(output) !== right)
      throw new Error(`round ${round}: the cut of what kills left is wrong`);
    sum.cuts++;
    rmSync(cache, { recursive: true });
  }
  server.close();
  const text = `${sum.kills} kills, ${sum.ended} runs that ended first: ${(sum.bytes / 1e6).toFixed(0)} MB that ${sum.records} records call real, ${sum.wrong} ranges wrong; ${sum.cuts} cuts made of what was left, all right`;
  console.log(text);
  if (flags.record) save(join(root, 'bench', 'results', 'mirror.md'), recordOf(text));
  process.exitCode = sum.wrong === 0 && sum.bytes > 0 ? 0 : 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}
