// npm run check:time: the tests that hold a clock, one after another, with their limits of time asserted. `npm test`
// runs the same tests and asserts no time. The machine should do nothing else meanwhile.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { built, jest, root } from './ready.mjs';

built();
const tests = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => join('src', path))
  .filter((path) => /\b(stopwatch|expectLess)\(/.test(readFileSync(join(root, path), 'utf8')));
process.env.FEATX_CHECK_TIME = '1';
jest(['--maxWorkers=1', '--runTestsByPath', ...tests, ...process.argv.slice(2)]);
