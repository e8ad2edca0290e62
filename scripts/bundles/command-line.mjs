// In the program that is built, this stands in the place of src/cli/command-line.ts, and loads what a command line
// names.
import { join } from 'node:path';
import { commandName } from '../../src/cli/command-name.ts';
import { loadBundle } from './load.mjs';
import { bundleOf } from './names.mjs';

const load = (argv) => loadBundle(join(__dirname, `${bundleOf(commandName(argv))}.cjs`), require).exports;

/** As the bundle of the command that `argv` names does it. */
export const runCommandLine = (argv, io) => load(argv).runCommandLine(argv, io);
/** As the bundle of every command does it. */
export const endWith = (error, io) => load([]).endWith(error, io);
