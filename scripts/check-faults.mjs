// npm run check:faults: every command, and a batch, with every call of the file system going wrong in every way; npm
// test takes one way per call of most.
import { built, node } from './ready.mjs';

built();
node(
  [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    'src/fs-faults',
    'src/batch/faults',
    '-i',
  ],
  {
    env: { ...process.env, FEATX_CHECK_FAULTS: '1' },
  },
);
