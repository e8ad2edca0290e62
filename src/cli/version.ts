import { VERSION } from '../version.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';

/** `featx version`. */
export const versionCommand: CliCommand = {
  configure(command) {
    command.usage('');
  },

  async run(_operands, _command, context) {
    if (context.flags.json)
      await context.record({ schema: 1, command: 'version', featx: VERSION, node: process.version });
    else await context.stdout.write(`${VERSION}\n`);
    return ExitCode.done;
  },
};
