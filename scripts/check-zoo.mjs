// npm run check:zoo: hooks every tensor and cuts single ones out of real models, and compares all of them bit for bit
// in ONNX Runtime.
//   FEATX_ZOO   folder of graphs whose weights may be missing (default ../shared/zoo); the 60 smallest are given seeded
//               weights
//   FEATX_MODELS  folder of whole models (default ../shared/models); all of them
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { installed, node, root } from './ready.mjs';

const ZOO_COUNT = 60;
const zoo = resolve(root, process.env.FEATX_ZOO ?? '../shared/zoo');
const models = resolve(root, process.env.FEATX_MODELS ?? '../shared/models');
const inFolder = (folder) =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => join(folder, name))
    : [];
const smallest = inFolder(zoo)
  .sort((a, b) => statSync(a).size - statSync(b).size)
  .slice(0, ZOO_COUNT);
const files = [...inFolder(models), ...smallest];
if (files.length === 0) {
  console.error(`no .onnx files in ${models} or ${zoo}; name folders with FEATX_MODELS and FEATX_ZOO`);
  process.exit(2);
}
installed();
node(
  [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    'src/rewrite/equivalence',
    '-i',
    ...process.argv.slice(2),
  ],
  {
    env: {
      ...process.env,
      FEATX_CHECK_MODELS: files.join('\n'),
      FEATX_CHECK_TAPS: process.env.FEATX_CHECK_TAPS ?? '20',
    },
  },
);
