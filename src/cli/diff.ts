import { diff } from '../diff.js';
import { UsageError } from '../errors.js';
import { diffText } from '../report/diff-text.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { modelName, modelSource, pageFlags } from './model-flags.js';
import { givenFeatures } from './selection-flags.js';

/** `featx diff`: its arguments, its help, and how it prints what the function of its name returns. */
export const diffCommand: CliCommand = {
  configure(command) {
    command
      .argument('<a>', 'ONNX file or URL; - reads standard input')
      .argument('<b>', 'what it is compared with')
      .usage('A B [--input FILE...] [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run([a, b], command, context) {
    const flags = readFlags(command, 'diff');
    if (a === '-' && b === '-') throw new UsageError('standard input (-) can be read once only');
    const report = await diff(await modelSource(a, flags, context), await modelSource(b, flags, context), {
      ...optionsFor('diff', flags),
      ...(await givenFeatures(flags, context.fileSystem)),
      names: [modelName(a, context), modelName(b, context)],
      ...pageFlags(flags, context),
    });
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet) await context.print(diffText(report, context.style));
    return report.equal ? ExitCode.done : ExitCode.partial;
  },
};

const EXAMPLES = `
Examples:
  featx diff backbone.onnx backbone.int8.onnx --input photos/      where does quantisation tell?
  featx diff v1.onnx v2.onnx --json                                which weights were trained on?
  featx diff v1.onnx v2.onnx --input cat.png -o diff.html
`;
