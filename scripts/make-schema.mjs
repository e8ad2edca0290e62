// Writes schema/featx.config.schema.json from src/batch/config-schema.ts. A test holds the one against the other.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './ready.mjs';

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/batch/config-schema.ts'],
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
});
const { CONFIG_SCHEMA } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
);
mkdirSync(join(root, 'schema'), { recursive: true });
writeFileSync(join(root, 'schema', 'featx.config.schema.json'), `${JSON.stringify(CONFIG_SCHEMA, null, 2)}\n`);
