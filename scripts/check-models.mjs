// npm run check:models: runs whole backbones and compares with what timm computes for them in PyTorch: `run`, the three
// nets, extracted models.
//   FEATX_MODELS  folder of NAME.ts.onnx, NAME.dy.onnx and NAME.reference.npz (default ../shared/models)
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { installed, node, root } from './ready.mjs';

const models = resolve(root, process.env.FEATX_MODELS ?? '../shared/models');
if (!existsSync(models)) {
  console.error(`there is no folder ${models}; name one with FEATX_MODELS`);
  process.exit(2);
}
installed();
node(
  [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    'src/references',
    '-i',
    ...process.argv.slice(2),
  ],
  { env: { ...process.env, FEATX_REFERENCES: models } },
);
