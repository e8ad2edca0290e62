// tsc writes the library and its types to dist/; esbuild replaces dist/cli with a bundle that loads one command at a time.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, sh } from './ready.mjs';

rmSync(join(root, 'dist'), { recursive: true, force: true });
sh(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
rmSync(join(root, 'dist', 'cli'), { recursive: true, force: true });
const { build } = await import('esbuild');
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/main.ts', 'runtime-child': 'src/runtime/child-entry.ts' },
  outdir: 'dist/cli',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: ['onnxruntime-node', 'sharp'],
  banner: { js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);' },
  legalComments: 'none',
  logLevel: 'warning',
});
