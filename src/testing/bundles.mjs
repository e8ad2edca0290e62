// Programs of the sources as they are shipped: bundled beside each other, once per state of the sources.
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

function newestIn(folder) {
  return Math.max(
    ...readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.[jt]s(on)?$/.test(name) && !name.endsWith('.test.ts'))
      .map((name) => statSync(join(folder, name)).mtimeMs),
  );
}

export async function bundled(name, entryPoints) {
  const home = join(root, 'node_modules', '.cache', 'featx', `${name}-${Math.round(newestIn(join(root, 'src')))}`);
  if (existsSync(home)) return home;
  const { build } = await import('esbuild');
  const draft = `${home}.${process.pid}`;
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir: draft,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['onnxruntime-node', 'sharp', 'esbuild'],
    logLevel: 'error',
    banner: {
      js: 'import{createRequire as __featxRequire}from"node:module";const require=__featxRequire(import.meta.url);',
    },
  });
  writeFileSync(join(draft, 'package.json'), '{"type":"module"}');
  writeFileSync(join(draft, 'featx.js'), "import { start } from './main.js';\nawait start();\n");
  try {
    renameSync(draft, home);
  } catch (error) {
    // Another process was faster.
    rmSync(draft, { recursive: true });
    if (!existsSync(home)) throw error;
  }
  return home;
}

export function bundledCli() {
  return bundled('cli', {
    main: 'src/cli/main.ts',
    'batch-worker': 'src/testing/faulty-worker.ts',
    'runtime-child': 'src/runtime/runtime-child.ts',
  });
}
