// The runtime's child process for tests that run from the TypeScript sources: bundles the child's program as it is now and becomes it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = join(root, 'node_modules', '.cache', 'featx');
mkdirSync(directory, { recursive: true });
const outfile = join(directory, `runtime-child-${process.pid}.mjs`);
await build({
  absWorkingDir: root, entryPoints: ['src/runtime/child-entry.ts'], outfile, bundle: true, format: 'esm', platform: 'node', target: 'node20.19', packages: 'external', logLevel: 'error',
});
process.once('exit', () => rmSync(outfile, { force: true }));
await import(pathToFileURL(outfile).href);
