import { init, NO_FEATURES } from '../batch/init.js';
import { escapeText } from '../report/escape.js';
import { plural } from '../wire/counted.js';
import { reasonText } from './batch-lines.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';

/** `featx init`: its arguments, its help, and how it prints what the function of its name returns. */
export const initCommand: CliCommand = {
  configure(command) {
    command
      .argument('[model...]', 'paths, folders or globs, relative to the config (default: everything below it)')
      .usage('[MODEL...] [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run(operands, command, context) {
    const report = await init(operands, {
      ...optionsFor('init', readFlags(command, 'init')),
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    });
    const { models, left_out: leftOut } = report;
    await context.warn([
      ...report.warnings,
      ...leftOut.map(({ model, error }) => `${model} is left out: ${reasonText(error.message, model)}`),
    ]);
    if (context.flags.json) await context.record(report);
    else await context.print(`wrote ${escapeText(report.output)} with ${plural(models.length, 'model')}\n`);
    await context.note('choose the features of each model in its options.out, then run featx batch');
    // Networks without features are common among models; what cannot be read is not.
    return leftOut.every(({ error }) => error.code === NO_FEATURES) ? ExitCode.done : ExitCode.partial;
  },
};

const EXAMPLES = `
Examples:
  featx init
  featx init "models/**/*.onnx" -o featx.config.json
`;
