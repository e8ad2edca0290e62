// npm run check:wasm: what features come to with --provider wasm against the CPU of onnxruntime-node. What it runs,
// onnxruntime-web, is fetched from npm into a folder outside of the repository.
//   FOLDER...   folders of models; default: ../shared/models, else fixtures/timm
//   --record    write bench/results/wasm.md
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { CACHE } from './nodes/releases.mjs';
import { FEATX, said, told } from './platforms/elsewhere.mjs';
import { built, root } from './ready.mjs';

const WEB = 'onnxruntime-web@1.30.0';
/**
 * Of the largest difference over the standard deviation; onnxruntime-node computes float16 as float32, this one does
 * not.
 */
const MOST = { float32: 1e-4, float16: 0.1 };

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { record: { type: 'boolean', default: false } },
});
const shared = resolve(root, '..', 'shared', 'models');
const folders = positionals.length > 0 ? positionals : [existsSync(shared) ? shared : join(root, 'fixtures', 'timm')];

built();
const { readTensors } = await import('../dist/tensors/array-file.js');
const home = mkdtempSync(join(tmpdir(), 'featx-wasm-'));
const env = { NODE_PATH: join(web(), 'node_modules') };
try {
  const rows = [];
  for (const folder of folders)
    for (const name of readdirSync(folder)
      .filter((file) => file.endsWith('.onnx'))
      .sort()) {
      const row = { name, ...(await compared(join(folder, name))) };
      rows.push(row);
      console.log(JSON.stringify(row));
    }
  report(rows);
  if (rows.some(({ verdict }) => verdict !== 'right')) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** onnxruntime-web in a folder of its own. */
function web() {
  const folder = join(CACHE, WEB);
  if (existsSync(join(folder, 'node_modules', 'onnxruntime-web', 'package.json'))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const args = ['install', '-E', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', WEB];
  execFileSync('npm', args, { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' });
  return folder;
}

async function compared(model) {
  const ran = {};
  for (const provider of ['cpu', 'wasm']) {
    const output = join(home, `${provider}.npz`);
    const got = said(
      [process.execPath, FEATX, 'run', model, '--input', 'random:1', '--provider', provider, '-o', output, '--json'],
      { env },
    );
    if (got.status !== 0)
      return { features: 0, difference: null, cpu_ms: null, wasm_ms: null, verdict: `${provider}: ${told(got)}` };
    ran[provider] = { record: JSON.parse(got.stdout), arrays: await readTensors(output) };
  }
  const difference = Math.max(
    ...[...ran.cpu.arrays].map(([name, wanted]) => deviation(ran.wasm.arrays.get(name), wanted)),
  );
  return {
    features: ran.cpu.arrays.size,
    difference,
    cpu_ms: ran.cpu.record.run_ms,
    wasm_ms: ran.wasm.record.run_ms,
    verdict:
      ran.wasm.record.provider === 'wasm' && difference <= MOST[ran.cpu.record.features[0].dtype] ? 'right' : 'WRONG',
  };
}

/** The largest difference over the standard deviation of what is wanted. */
function deviation(got, { data }) {
  const values = Array.from(data, Number);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const largest = values.reduce((most, value, at) => Math.max(most, Math.abs(value - Number(got.data[at]))), 0);
  return variance === 0 ? largest : largest / Math.sqrt(variance);
}

function report(rows) {
  const about = machine(root);
  const table = markdown(
    ['model', 'features', 'largest difference / standard deviation', 'cpu run ms', 'wasm run ms', 'verdict'],
    rows.map(({ name, features, difference, cpu_ms, wasm_ms, verdict }) => [
      name,
      features,
      difference === null ? '' : difference.toPrecision(2),
      cpu_ms,
      wasm_ms,
      verdict,
    ]),
  );
  const page = `# WebAssembly\n\nWritten by \`npm run check:wasm\`: \`run --provider wasm\` (${WEB}) against \`--provider cpu\` on the same random inputs; ${about.cpu}, ${about.platform}, Node ${about.node}, commit ${about.commit}, ${about.date}.\n\n${table}\n`;
  console.log(page);
  if (flags.record) save(join(root, 'bench', 'results', 'wasm.md'), page);
}
