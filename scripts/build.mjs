// tsc writes the library and its types; esbuild replaces its cli/ by bundles. The result takes the place of dist/ in
// one step, so that a failed build leaves the last good one.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { browserPrograms } from './bundles/browser.mjs';
import { WRAPPER } from './bundles/load.mjs';
import { bundleOf, QUICK } from './bundles/names.mjs';
import { node, root } from './ready.mjs';

const next = join(root, 'dist.next');
rmSync(next, { recursive: true, force: true });
node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', 'dist.next']);
rmSync(join(next, 'cli'), { recursive: true, force: true });
const { build } = await import('esbuild');
// The declarations hold the comments; the programs need not hold them again.
await build({
  absWorkingDir: root,
  entryPoints: ['dist.next/**/*.js'],
  outdir: 'dist.next',
  allowOverwrite: true,
  legalComments: 'none',
  logLevel: 'warning',
});

/** A bundle; names stay, so that a stack trace in a bug report can be read. */
const bundle = (options) =>
  build({
    absWorkingDir: root,
    outdir: 'dist.next/cli',
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    platform: 'node',
    target: 'node20.19',
    external: ['onnxruntime-node', 'onnxruntime-web', 'sharp', '@huggingface/tokenizers'],
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
  });

/** A program of the command line: Node starts CommonJS sooner than modules, and V8's code for it can be kept. */
const program = (name, entry, { plugins, around = ['', ''] }) =>
  bundle({
    entryPoints: { [name]: entry },
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    define: { 'import.meta.url': '__here.url' },
    // Functions that come out of V8's code cannot import: sharp is required.
    supported: { 'dynamic-import': false },
    banner: { js: `${around[0]}const __here={get url(){return require("node:url").pathToFileURL(__filename).href}};` },
    footer: { js: around[1] },
    plugins: [...plugins, late],
  });

/** Lets the main program load the bundle that a command line needs. */
const picking = {
  name: 'one bundle',
  setup: (plugins) =>
    plugins.onResolve({ filter: /^\.\/command-line\.js$/ }, () => ({
      path: join(root, 'scripts', 'bundles', 'command-line.mjs'),
    })),
};

/** Leaves out what `commands.ts` loads for other commands than `name`. */
const only = (name) => ({
  name: 'one command',
  setup: (plugins) =>
    plugins.onResolve({ filter: /^\.\/[a-z-]+\.js$/ }, ({ path, kind, importer }) =>
      kind === 'dynamic-import' && basename(importer) === 'commands.ts' && path !== `./${name}.js`
        ? { path, external: true }
        : undefined,
    ),
});

/** Loads these when something of them is used: a short command uses none, and each takes its time. */
const LATE = /^(node:(child_process|crypto|module|os|process|stream|tty|url)|protobufjs\/minimal\.js)$/;
const late = {
  name: 'late modules',
  setup: (plugins) => {
    plugins.onResolve({ filter: LATE }, ({ path, namespace }) =>
      namespace === 'late' ? undefined : { path, namespace: 'late' },
    );
    // What a bundle takes of a module is looked up in the prototype of what that exports.
    plugins.onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({
      contents: `module.exports = Object.create(new Proxy({}, { get: (_, name) => require(${JSON.stringify(path)})[name] }));`,
      resolveDir: root,
    }));
  },
};

await program('main', 'src/cli/main.ts', { plugins: [picking] });
for (const name of QUICK)
  await program(bundleOf(name), 'src/cli/command-line.ts', { plugins: [only(name)], around: WRAPPER });
await program(bundleOf(), 'src/cli/command-line.ts', { plugins: [], around: WRAPPER });
// One file each: chunks that they share would all be opened at once, and few descriptors may be left.
await bundle({
  entryPoints: { 'runtime-child': 'src/runtime/runtime-child.ts', 'batch-worker': 'src/batch/batch-worker.ts' },
  format: 'esm',
  // CommonJS dependencies in a bundle ask for Node's own modules with require.
  banner: {
    js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);',
  },
});
mkdirSync(join(next, 'browser'), { recursive: true });
for (const [name, script] of await browserPrograms()) writeFileSync(join(next, 'browser', name), script);
node(['scripts/bundles/compile.mjs', join(next, 'cli')], { env: { ...process.env, NODE_OPTIONS: '' } });
rmSync(join(root, 'dist'), { recursive: true, force: true });
renameSync(next, join(root, 'dist'));
