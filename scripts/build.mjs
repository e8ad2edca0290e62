// tsc writes the library and its types; esbuild replaces its cli/ by a bundle that loads one command at a time. The result takes the place
// of dist/ in one step, so that a failed build leaves the last good one.
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { node, root } from './ready.mjs';

const next = join(root, 'dist.next');
rmSync(next, { recursive: true, force: true });
node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', 'dist.next']);
rmSync(join(next, 'cli'), { recursive: true, force: true });
const { build } = await import('esbuild');
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/main.ts', 'runtime-child': 'src/runtime/child-entry.ts', 'batch-worker': 'src/batch/worker-entry.ts' },
  outdir: 'dist.next/cli',
  bundle: true,
  splitting: true,
  // Names stay, so that a stack trace in a bug report can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: ['onnxruntime-node', 'sharp'],
  // CommonJS dependencies in the bundle ask for Node's own modules with require.
  banner: { js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);' },
  legalComments: 'none',
  logLevel: 'warning',
});
rmSync(join(root, 'dist'), { recursive: true, force: true });
renameSync(next, join(root, 'dist'));
