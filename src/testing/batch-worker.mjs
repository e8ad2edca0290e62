// The batch's worker process for tests that run from the TypeScript sources: bundles the worker with the faults that
// tests inject, and becomes it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = join(root, 'node_modules', '.cache', 'featx');
mkdirSync(directory, { recursive: true });
const outfile = join(directory, `batch-worker-${process.pid}.mjs`);
await build({
  absWorkingDir: root,
  entryPoints: ['src/testing/faulty-worker.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  logLevel: 'error',
});
process.once('exit', () => rmSync(outfile, { force: true }));
await import(pathToFileURL(outfile).href);
rmSync(outfile, { force: true });
