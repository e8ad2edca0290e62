// Random graphs in a child process: the seeds of a range one by one, on past those at which ONNX Runtime's kernels end
// the process. A record keeps what is done, so that a long campaign can be run in pieces.
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleInto } from '../bundled.mjs';
import { root } from '../ready.mjs';

const RECORD = join(root, 'bench', 'results', 'random-graphs.json');

/** The options of a campaign, for `parseArgs`. */
export const CAMPAIGN_OPTIONS = {
  seeds: { type: 'string', default: '1-5000' },
  minutes: { type: 'string', default: 'Infinity' },
  record: { type: 'boolean', default: false },
};

/**
 * Runs a campaign and returns what came of it. With a record it goes on behind the seeds that are there, and writes
 * down what it has when its time is up.
 */
export async function campaign(kind, { seeds, minutes, record }) {
  const [first, last = first] = seeds.split('-').map(Number);
  const known = record ? recorded()[kind] : undefined;
  const before = known?.seeds[0] === first ? known : undefined;
  const total = before ?? { seeds: [first, first - 1], crashed: [] };
  const deadline = Date.now() + Number(minutes) * 60_000;
  const home = join(root, 'node_modules', '.cache', 'featx', `graphs-${process.pid}`);
  mkdirSync(home, { recursive: true });
  try {
    await bundleInto(home, { worker: 'src/testing/random-graph/worker.ts' });
    const worker = join(home, 'worker.mjs');
    while (total.seeds[1] < last && Date.now() < deadline) await piece(worker, kind, total, last, deadline);
  } finally {
    rmSync(home, { recursive: true, force: true });
    if (record) writeFileSync(RECORD, `${JSON.stringify({ ...recorded(), [kind]: total }, null, 2)}\n`);
  }
  return total;
}

/** What is written down now: another campaign may have written since. */
function recorded() {
  return existsSync(RECORD) ? JSON.parse(readFileSync(RECORD, 'utf8')) : {};
}

/** One child, until the end of the range, of the time, or of the child. */
function piece(worker, kind, total, last, deadline) {
  return new Promise((resolve, reject) => {
    let begun = total.seeds[1] + 1;
    const child = fork(worker, [kind, String(begun), String(last)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (words = (words + text).slice(-2000)));
    child.on('message', (message) => {
      if (message.begun !== undefined) begun = message.begun;
      if (message.done === undefined) return;
      total.seeds[1] = message.done;
      add(total, message.tally);
      for (const difference of message.tally.differences) console.log(`WRONG ${difference}`);
      if (Date.now() > deadline) child.kill();
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0 || Date.now() > deadline || total.seeds[1] >= last) return resolve();
      if (code === 1) return reject(new Error(`seed ${begun}: ${words}`));
      console.log(`seed ${begun}: ONNX Runtime ended the process (${signal ?? code})`);
      total.crashed.push(begun);
      total.seeds[1] = begun;
      resolve();
    });
  });
}

/** Numbers are added, lists joined. */
function add(total, tally) {
  for (const [key, value] of Object.entries(tally)) {
    if (typeof value === 'number') total[key] = (total[key] ?? 0) + value;
    else if (Array.isArray(value)) total[key] = [...(total[key] ?? []), ...value];
    else add((total[key] ??= {}), value);
  }
}
