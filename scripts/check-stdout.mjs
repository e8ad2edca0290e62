// npm run check:stdout: standard output of every kind under every command; npm test takes the failing kinds, and every
// kind for three commands.
import { built, node } from './ready.mjs';

built();
node(['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', 'src/cli/stdout', '-i'], {
  env: { ...process.env, FEATX_CHECK_STDOUT: '1' },
});
