// npm run fuzz: bundles src/testing/fuzz, so that it runs at full speed, and starts it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './ready.mjs';

const folder = join(root, 'node_modules', '.cache', 'featx', 'fuzz');
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/testing/fuzz/main.ts', worker: 'src/testing/fuzz/worker-main.ts' },
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: ['onnxruntime-node', 'onnxruntime-web', 'sharp'],
  // CommonJS dependencies in a bundle ask for Node's own modules with require.
  banner: {
    js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);',
  },
  logLevel: 'warning',
});
const { status } = spawnSync(
  process.execPath,
  [join(folder, 'main.mjs'), join(folder, 'worker.mjs'), root, ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
