// npm run check:checker -- --python PATH [FOLDER...]: onnx.checker (full_check) accepts every cut of a model that it
// accepts. Each model is cut with all its features, and with tensors from all over it, in every mode. An optional
// oracle: PATH is a Python with onnx. Weights that lie in files which are not there are holes of the right length.
//   FOLDER...   default: those of the repository, and ../shared/zoo, zoo_tv_hf and models
//   --tensors N tensors from all over a model (default 8)
//   --part I/N  every N-th file, from the I-th on
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  fstatSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { built, root } from './ready.mjs';

const { values: options, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    tensors: { type: 'string', default: '8' },
    part: { type: 'string', default: '1/1' },
  },
});
const [part, parts] = options.part.split('/').map(Number);
const STANDARD = [
  ...['zoo', 'timm', 'models'].map((name) => join('fixtures', name)),
  ...['zoo', 'zoo_tv_hf', 'models'].map((name) => join('..', 'shared', name)),
].filter((folder) => existsSync(resolve(root, folder)));

const MODES = {
  dict: { mode: 'dict' },
  list: { mode: 'list' },
  hook: { mode: 'hook' },
  'hook --rewrite': { mode: 'hook', rewrite: true },
  'keep-outputs': { mode: 'dict', keepOutputs: true },
};

built();
const { extract, inspect, openModel } = await import(pathToFileURL(join(root, 'dist', 'index.js')).href);
const checker = spawn(options.python, [join(root, 'scripts', 'checker', 'check.py')], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const answers = createInterface({ input: checker.stdout })[Symbol.asyncIterator]();
let failed = false;
for (const folder of folders.length > 0 ? folders : STANDARD) {
  const files = readdirSync(resolve(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .filter((_name, index) => index % parts === part - 1);
  const tally = { files: files.length, accepted: 0, cuts: 0, refused: 0, unknowable: 0 };
  for (const file of files) await checkModel(resolve(root, folder, file), file, tally);
  console.log(`${basename(folder)}: ${JSON.stringify(tally)}`);
}
checker.stdin.end();
process.exit(failed ? 1 : 0);

async function refusalOf(path) {
  checker.stdin.write(`${path}\n`);
  const { value, done } = await answers.next();
  if (done) throw new Error('the checker has ended');
  return JSON.parse(value);
}

async function checkModel(path, file, tally) {
  const home = mkdtempSync(join(tmpdir(), 'featx-checker-'));
  try {
    const model = join(home, 'model.onnx');
    cpSync(path, model);
    const plan = await tensorsOf(model).catch((error) => {
      if (!String(error?.code).startsWith('FEATX_')) throw error;
      return null;
    });
    if (plan === null) return;
    makeHoles(path, home, plan.holes);
    if ((await refusalOf(model)) !== null) return;
    tally.accepted++;
    for (const [what, select] of Object.entries(plan.selections))
      if (select.length > 0)
        for (const [mode, flags] of Object.entries(MODES))
          await checkCut(model, file, what, select, mode, flags, tally);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** What is cut, and the weights that lie outside. */
async function tensorsOf(path) {
  const report = await inspect(path, { listTensors: true });
  const made = report.tensors.map(({ name }) => name);
  const step = Math.max(1, Math.floor(made.length / Number(options.tensors)));
  const spread = made.filter((_name, index) => index % step === Math.floor(step / 2));
  const byName = (names) =>
    [...new Set(names)].map((name) => ({ by: 'tensor', name: name.replace(/[\\*?]/g, '\\$&') }));
  const features = report.feature_info.flatMap(({ tensor }) => (tensor === null ? [] : [tensor]));
  const holes = new Map();
  const opened = await openModel(path);
  const all = [...opened.graph.initializers];
  for (const { external } of all) {
    if (external === null || external === undefined) continue;
    const entry = Object.fromEntries(external.map(({ key, value }) => [key, value]));
    const end = Number(entry.offset ?? 0) + Number(entry.length ?? 0);
    holes.set(entry.location, Math.max(holes.get(entry.location) ?? 0, end));
  }
  await opened[Symbol.asyncDispose]();
  return { selections: { features: byName(features), tensors: byName(spread) }, holes };
}

function makeHoles(path, home, holes) {
  for (const [location, length] of holes) {
    const target = join(home, location);
    mkdirSync(dirname(target), { recursive: true });
    const original = join(dirname(path), location);
    if (existsSync(original)) {
      cpSync(original, target);
      continue;
    }
    const descriptor = openSync(target, 'a+');
    if (fstatSync(descriptor).size < length) ftruncateSync(descriptor, length);
    closeSync(descriptor);
  }
}

async function checkCut(model, file, what, select, mode, flags, tally) {
  const target = join(dirname(model), 'cut.onnx');
  let report;
  try {
    report = await extract(model, target, { select, ...flags });
  } catch (error) {
    failed = true;
    console.log(`WRONG ${file}, ${what}, ${mode}: ${error.code} ${error.message}`);
    return;
  }
  tally.cuts++;
  const refusal = await refusalOf(target);
  if (refusal === null) return;
  const unknown = report.features.filter(({ shape, dtype }) => shape === null && dtype !== undefined);
  const reason = refusal.replace(/\s+/g, ' ').slice(0, 300);
  // An output without a shape is refused; nobody can know the rank of these.
  if (unknown.length > 0 && /shape/.test(reason)) {
    tally.unknowable++;
    console.log(
      `  ${file}, ${what}, ${mode}: no shape is known of ${unknown.map(({ output }) => output).join(', ')}: ${reason}`,
    );
    return;
  }
  tally.refused++;
  failed = true;
  console.log(`WRONG ${file}, ${what}, ${mode}: ${reason}`);
}
