import { page } from '../page.js';
import { escapeText } from '../report/escape.js';
import { bytesText } from '../report/units.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';

/** `featx page`: its help, and how it prints what the function of its name returns. */
export const pageCommand: CliCommand = {
  configure(command) {
    command.usage('[flags]').addHelpText('after', EXAMPLES);
  },

  async run(_operands, command, context) {
    const flags = readFlags(command, 'page');
    const report = await page({
      ...optionsFor('page', flags),
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    });
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet)
      await context.print(`wrote ${escapeText(report.output)}  ${bytesText(report.size_bytes)}\n`);
    return ExitCode.done;
  },
};

const EXAMPLES = `
Examples:
  featx page                                                       featx.html: open it, and drop a model on it
  featx page -o models.html --connect https://huggingface.co       it may read models of the hub, too
`;
