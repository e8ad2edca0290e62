// npm test: installs what is missing, checks types, lint and format, builds, and runs every test. `npm test --
// src/wire` runs some of them and checks nothing else.
import { availableParallelism } from 'node:os';
import { built, checked, installed, jest } from './ready.mjs';

const own = process.argv.slice(2);
installed();
if (own.length === 0) await checked(['typecheck', 'lint', 'check:format']);
built();
// Many a test waits for a child process meanwhile.
jest([`--maxWorkers=${Math.ceil(1.5 * availableParallelism())}`, ...own]);
