// npm test: installs what is missing, checks types, lint and format, builds, and runs every test. `npm test --
// src/wire` runs some of them and checks nothing else.
import { built, checked, installed, jest } from './ready.mjs';

const own = process.argv.slice(2);
installed();
if (own.length === 0) await checked(['typecheck', 'lint', 'check:format']);
built();
jest(['--maxWorkers=150%', ...own]);
