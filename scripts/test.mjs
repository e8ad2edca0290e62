// npm test: installs what is missing, builds, and runs every test (`npm test -- src/wire` for some of them).
import { built, node } from './ready.mjs';

built();
node([
  '--experimental-vm-modules',
  '--no-warnings',
  'node_modules/jest/bin/jest.js',
  '--maxWorkers=100%',
  ...process.argv.slice(2),
]);
