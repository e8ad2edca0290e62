// npm run check:without-runtime: what `inspect` finds in real networks with onnxruntime-node installed, and in a clean
// copy of the program without it. The features may not differ; where the runtime is needed there must be an error. And
// how many files start a child process: at most 5 of 100.
//   FOLDER...   folders of models; default: those of the repository, and ../shared/zoo, zoo_tv_hf and models
import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { built, root } from './ready.mjs';

const MOST_CHILDREN = 0.05;
const STANDARD = [
  ...['zoo', 'timm', 'models'].map((name) => join('fixtures', name)),
  ...['zoo', 'zoo_tv_hf', 'models'].map((name) => join('..', 'shared', name)),
].filter((folder) => existsSync(resolve(root, folder)));
const folders = process.argv.length > 2 ? process.argv.slice(2) : STANDARD;

built();
const copy = mkdtempSync(join(tmpdir(), 'featx-without-'));
let failed = false;
try {
  copyWithoutRuntime(copy);
  const [bare, whole] = [copy, root].map((home) => inspector(join(home, 'dist', 'index.js')));
  for (const folder of folders) {
    const files = readdirSync(resolve(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.onnx'))
      .sort();
    const tally = { files: files.length, features: 0, differ: 0, needed: 0, children: 0, errors: 0 };
    for (const file of files) {
      const path = resolve(root, folder, file);
      judge(tally, file, await whole.ask(path), await bare.ask(path));
    }
    const share = tally.children / Math.max(1, tally.files);
    if (tally.differ > 0 || (share > MOST_CHILDREN && tally.files > 20)) failed = true;
    console.log(`${basename(folder)}: ${JSON.stringify(tally)}, a child for ${(100 * share).toFixed(1)} %`);
  }
  for (const { end } of [bare, whole]) end();
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

function judge(tally, file, withRuntime, without) {
  const [found, other] = [withRuntime.found, without.found];
  if (withRuntime.started > 0) {
    tally.children++;
    console.log(`  ${file}: ONNX Runtime is asked`);
  }
  if (found.error !== undefined) tally.errors++;
  tally.features += found.feature_info?.length ?? 0;
  if (JSON.stringify(found) === JSON.stringify(other)) return;
  // What only the runtime knows is an error without it, and never another answer.
  if (other.error === 'FEATX_RUNTIME_MISSING') {
    tally.needed++;
    return;
  }
  tally.differ++;
  const keys = Object.keys({ ...found, ...other });
  const differing = keys.filter((key) => JSON.stringify(found[key]) !== JSON.stringify(other[key]));
  console.log(`WRONG ${file}: ${differing.join(', ')} ${other.message ?? ''}`);
}

/** The built program and what it needs beside it, but for what is optional. */
function copyWithoutRuntime(home) {
  for (const name of ['dist', 'bin', 'package.json', 'schema'])
    cpSync(join(root, name), join(home, name), { recursive: true });
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const [path, { dev, optional }] of Object.entries(packages))
    if (path !== '' && !dev && !optional) cpSync(join(root, path), join(home, path), { recursive: true });
}

function inspector(entry) {
  const child = fork(join(root, 'scripts', 'runtime', 'inspect-each.mjs'), [entry], { cwd: tmpdir() });
  return {
    ask: (path) =>
      new Promise((settle, reject) => {
        const ended = (code) => reject(new Error(`the process that inspects ${path} ended with ${code}`));
        child.once('exit', ended);
        child.once('message', (message) => {
          child.off('exit', ended);
          settle(message);
        });
        child.send(path);
      }),
    end: () => child.disconnect(),
  };
}
