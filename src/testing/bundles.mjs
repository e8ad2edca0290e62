// Programs of the sources as they are shipped: bundled beside each other, once per state of the sources.
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
  return inPlace(draft, home);
}

function inPlace(draft, home) {
  try {
    renameSync(draft, home);
  } catch (error) {
    // Another process was faster.
    rmSync(draft, { recursive: true });
    if (!existsSync(home)) throw error;
  }
  return home;
}

export async function builtCli() {
  const built = join(root, 'dist', 'cli');
  const children = await bundledChildren();
  const home = join(children, `beside-${Math.round(statSync(join(built, 'main.cjs')).mtimeMs)}`);
  if (existsSync(home)) return home;
  const draft = `${home}.${process.pid}`;
  mkdirSync(draft);
  const copied = [
    [built, /\.cjs(\.|$)/],
    [children, /\.js(on)?$/],
  ];
  for (const [folder, pattern] of copied)
    for (const name of readdirSync(folder)) if (pattern.test(name)) copyFileSync(join(folder, name), join(draft, name));
  writeFileSync(join(draft, 'featx.cjs'), "require('./main.cjs').start();\n");
  return inPlace(draft, home);
}

export function bundledChildren() {
  return bundled('children', {
    'batch-worker': 'src/testing/faulty-worker.ts',
    'runtime-child': 'src/runtime/runtime-child.ts',
  });
}
