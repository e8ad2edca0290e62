// tsc writes the library and its types; esbuild replaces its cli/ by bundles. The result takes the place of dist/ in
// one step, so that a failed build leaves the last good one.
import { renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
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

/** Half of a short command's time is reading its own program: these get a bundle that holds nothing else. */
const QUICK = ['inspect', 'extract'];

const common = {
  absWorkingDir: root,
  bundle: true,
  // Names stay, so that a stack trace in a bug report can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // CommonJS dependencies in a bundle ask for Node's own modules with require.
  banner: {
    js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);',
  },
  legalComments: 'none',
  logLevel: 'warning',
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

const QUICK_IMPORTS = QUICK.map((name) => `['${name}', () => import('./only-${name}.js')]`).join(', ');
/** Picks the bundle of a command line. */
const picker = `
  import { commandName } from './src/cli/command-name.ts';
  const quick = new Map([${QUICK_IMPORTS}]);
  const load = (argv) => (quick.get(commandName(argv)) ?? (() => import('./every-command.js')))();
  export const runCommandLine = async (argv, io) => (await load(argv)).runCommandLine(argv, io);
  export const endWith = async (error, io) => (await load([])).endWith(error, io);
`;

const outputs = (options) =>
  build({ ...common, outdir: 'dist.next/cli', external: ['onnxruntime-node', 'sharp'], ...options });
await outputs({ entryPoints: { main: 'src/cli/main.ts' }, external: ['./command-line.js'] });
await build({
  ...common,
  outfile: 'dist.next/cli/command-line.js',
  stdin: { contents: picker, resolveDir: root },
  external: ['./only-*', './every-command.js'],
});
for (const name of QUICK)
  await outputs({ entryPoints: { [`only-${name}`]: 'src/cli/command-line.ts' }, plugins: [only(name)] });
// One file each: chunks that they share would all be opened at once, and few descriptors may be left.
await outputs({
  entryPoints: {
    'every-command': 'src/cli/command-line.ts',
    'runtime-child': 'src/runtime/runtime-child.ts',
    'batch-worker': 'src/batch/batch-worker.ts',
  },
});
rmSync(join(root, 'dist'), { recursive: true, force: true });
renameSync(next, join(root, 'dist'));
