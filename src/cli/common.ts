import { common } from '../common.js';
import { commonText } from '../report/common-text.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { runtimeLimits } from './model-flags.js';

/** `featx common`: its arguments, its help, and how it prints what the function of its name returns. */
export const commonCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model...>', 'ONNX files, two or more')
      .usage('A B… [--split -o DIR] [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run(operands, command, context) {
    const flags = readFlags(command, 'common');
    const report = await common(operands, {
      ...optionsFor('common', flags),
      ...runtimeLimits(flags),
      strict: context.flags.strict,
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    });
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else await context.print(commonText(context.inFlags(report), context.style));
    return ExitCode.done;
  },
};

const EXAMPLES = `
Examples:
  featx common dogs.onnx cats.onnx                      up to where two fine-tuned models are the same
  featx common dogs.onnx cats.onnx --split -o shared    one trunk, and a head for each
`;
