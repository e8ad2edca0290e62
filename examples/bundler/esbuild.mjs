// node esbuild.mjs
import { build } from 'esbuild';
import { esbuild as featx } from 'featx/unplugin';
import { cuts } from './cuts.js';

await build({ entryPoints: ['app.js'], bundle: true, format: 'esm', outdir: 'dist', plugins: [featx({ cuts })] });
