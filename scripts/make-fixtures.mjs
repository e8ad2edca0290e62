// Writes fixtures/models/*.onnx and their table in fixtures/models/README.md from src/testing/fixtures. Same bytes
// every time.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './ready.mjs';

const bundle = async (entry) => {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
};
const { FIXTURES } = await bundle('src/testing/fixtures/all.ts');
const { encodeModel } = await bundle('src/testing/model-builder.ts');

const directory = join(root, 'fixtures', 'models');
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
const rows = [];
for (const { name, how, model, style, sidecars = {}, notRunnable } of FIXTURES) {
  writeFileSync(join(directory, `${name}.onnx`), encodeModel(model, style));
  for (const [file, bytes] of Object.entries(sidecars)) writeFileSync(join(directory, file), bytes);
  rows.push(`| \`${name}.onnx\` | ${how}${notRunnable ? ` Not run: ${notRunnable}.` : ''} |`);
}
writeFileSync(
  join(directory, 'README.md'),
  [
    '# Small models, one per hard case',
    '',
    'Written by `node scripts/make-fixtures.mjs` from the data in `src/testing/fixtures`; the number is the case. Weights come from a seeded generator.',
    '',
    '| File | What it holds |',
    '| --- | --- |',
    ...rows,
    '',
  ].join('\n'),
);
console.log(`${FIXTURES.length} models in ${directory}`);
