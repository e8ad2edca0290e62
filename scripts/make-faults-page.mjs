// Writes docs/internals/faults.md from src/testing/faults/. A test holds the one against the other.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './ready.mjs';

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/testing/faults/document.ts'],
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
});
const { faultsDocument } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
);
writeFileSync(join(root, 'docs', 'internals', 'faults.md'), faultsDocument());
