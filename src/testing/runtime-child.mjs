// The runtime's child process for tests that run from the TypeScript sources: bundles the child's program, once per
// state of its sources, and becomes it.
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = [
  'src/errors.ts',
  ...['runtime', 'processes', 'wire'].flatMap((room) =>
    readdirSync(join(root, 'src', room)).map((name) => join('src', room, name)),
  ),
];
const newest = Math.max(...sources.map((path) => statSync(join(root, path)).mtimeMs));
const directory = join(root, 'node_modules', '.cache', 'featx');
const bundle = join(directory, `runtime-child-${Math.round(newest)}.mjs`);
if (!existsSync(bundle)) {
  const { build } = await import('esbuild');
  const outfile = `${bundle}.${process.pid}`;
  mkdirSync(directory, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ['src/runtime/runtime-child.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    logLevel: 'error',
  });
  renameSync(outfile, bundle);
}
await import(pathToFileURL(bundle).href);
