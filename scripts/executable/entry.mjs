// The one program of the executable: the command line, or what it starts beside itself, which is the executable again
// with the path of a program that would lie beside it.
import { basename } from 'node:path';
import { start } from '../../src/cli/main.ts';

const PROGRAMS = {
  'runtime-child.js': () => import('../../src/runtime/runtime-child.ts'),
  'batch-worker.js': () => import('../../src/batch/batch-worker.ts'),
};

const program = PROGRAMS[basename(process.argv[2] ?? '')];
if (program === undefined) void start();
else {
  process.argv.splice(1, 1);
  void program();
}
