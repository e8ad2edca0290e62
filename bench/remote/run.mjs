// node bench/remote/run.mjs [MODEL.onnx...]: what is fetched of a model behind a URL, and how long that takes.
//   FEATX_BENCH_LINE  round trip in ms and Mbit/s of the line (default 50,100)
// Prints a table; writes bench/results/remote.json and remote.md.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built, root } from '../../scripts/ready.mjs';
import { layered, matmuls, vitLarge } from '../lib/models.mjs';
import { resnet50 } from '../lib/resnet.mjs';
import { machine, markdown, save } from '../lib/table.mjs';
import { serve } from './line.mjs';

const [roundTripMs, megabits] = (process.env.FEATX_BENCH_LINE ?? '50,100').split(',').map(Number);
const line = { roundTripMs, bytesPerMs: (megabits * 1000) / 8 };
const results = fileURLToPath(new URL('../results/', import.meta.url));
built();
const { extract, inspect } = await import(join(root, 'dist', 'index.js'));
const folder = mkdtempSync(join(tmpdir(), 'featx-bench-'));
const own = [
  ['matmuls-1gb.onnx', matmuls],
  ['vit-large.onnx', vitLarge],
  ['chain-1gb.onnx', (path) => layered(path, { channels: 752, sparse: true, hasValueInfo: false })],
  ['chain-200mb.onnx', (path) => layered(path, { channels: 340, sparse: true })],
  ['resnet50.onnx', resnet50],
].map(([name, make]) => {
  make(join(folder, name));
  return join(folder, name);
});

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0);
const digest = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const rows = [];
try {
  for (const path of [...own, ...process.argv.slice(2)]) {
    const name = basename(path);
    const server = await serve({ [name]: path }, line);
    const remote = { cacheFolder: join(folder, 'cache') };
    const step = async (work) => {
      const before = { ...server.asked };
      const started = performance.now();
      const value = await work();
      return {
        value,
        seconds: (performance.now() - started) / 1000,
        requests: server.asked.requests - before.requests,
        bytes: server.asked.bytes - before.bytes,
      };
    };
    const inspected = await step(() => inspect(server.url(name), { remote }));
    const [first] = inspected.value.out_indices;
    const wanted = first === undefined ? null : { out: [first] };
    const cut =
      wanted && (await step(() => extract(server.url(name), join(folder, 'cut.onnx'), { ...wanted, remote })));
    const again =
      wanted && (await step(() => extract(server.url(name), join(folder, 'again.onnx'), { ...wanted, remote })));
    if (wanted) {
      await extract(path, join(folder, 'local.onnx'), wanted);
      const same = new Set(['cut.onnx', 'again.onnx', 'local.onnx'].map((each) => digest(join(folder, each))));
      if (same.size !== 1) throw new Error(`${name}: the cuts differ`);
    }
    const { size } = statSync(path);
    rows.push({
      name,
      size,
      wholeSeconds: size / line.bytesPerMs / 1000,
      inspect: { ...inspected, value: undefined },
      extract: cut && {
        ...cut,
        value: undefined,
        kept: cut.value.bytes_copied,
        floorSeconds: cut.value.bytes_copied / line.bytesPerMs / 1000,
      },
      again: again && { ...again, value: undefined },
    });
    server.close();
  }
} finally {
  rmSync(folder, { recursive: true });
}
const table = markdown(
  [
    'model',
    'MB',
    'whole file, s',
    'inspect: requests',
    'MB',
    's',
    'first feature: requests',
    'MB',
    's',
    'its bytes alone, s',
    'again: requests',
    'MB',
  ],
  rows.map(({ name, size, wholeSeconds, inspect: i, extract: e, again: a }) => [
    name,
    megabytes(size),
    wholeSeconds.toFixed(1),
    i.requests,
    megabytes(i.bytes),
    i.seconds.toFixed(2),
    e?.requests,
    e && megabytes(e.bytes),
    e?.seconds.toFixed(2),
    e?.floorSeconds.toFixed(2),
    a?.requests,
    a && megabytes(a.bytes),
  ]),
);
console.log(table);
const where = machine(root);
save(
  join(results, 'remote.json'),
  `${JSON.stringify({ machine: where, line: { roundTripMs, megabits }, models: rows }, null, 2)}\n`,
);
save(
  join(results, 'remote.md'),
  `# Models behind a URL

\`npm run bench:remote\`, ${where.date}, ${where.commit}, Node.js ${where.node}, ${where.cores} x ${where.cpu}. The line is a model inside the same machine: ${roundTripMs} ms for a request, twice that more for a new connection, ${megabits} Mbit/s that all share. \`extract\` is of the first feature, after \`inspect\`, and its output is that of the local file to the byte; *again* is the same once more.

${table}
`,
);
