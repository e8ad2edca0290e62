// Programs of the sources for campaigns: bundled into a folder, which the caller removes.
import { build } from 'esbuild';
import { root } from './ready.mjs';

/** Options of esbuild for such a program. */
export const PROGRAM = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: ['onnxruntime-node', 'onnxruntime-web', 'sharp'],
  // CommonJS dependencies in a bundle ask for Node's own modules with require.
  banner: {
    js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);',
  },
};

/** Bundles `entryPoints` into `home`, as `NAME.mjs`. */
export const bundleInto = (home, entryPoints) =>
  build({ ...PROGRAM, entryPoints, outdir: home, outExtension: { '.js': '.mjs' }, splitting: true });
