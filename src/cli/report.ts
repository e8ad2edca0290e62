import { pageText } from '../report/page-text.js';
import { report } from '../report-features.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { modelName, modelSource, pageFlags } from './model-flags.js';
import { givenFeatures } from './selection-flags.js';

/** `featx report`: its arguments, its help, and how it prints what the function of its name returns. */
export const reportCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'ONNX file or URL (https://, hf://); - reads standard input')
      .usage('MODEL --input FILE... [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run([operand], command, context) {
    const flags = readFlags(command, 'report');
    const made = await report(await modelSource(operand, flags, context), {
      ...optionsFor('report', flags),
      ...(await givenFeatures(flags, context.fileSystem)),
      name: modelName(operand, context),
      ...pageFlags(flags, context),
    });
    await context.warn(made.warnings);
    if (context.flags.json) await context.record(made);
    else if (!context.flags.quiet) await context.print(pageText(made, context.style));
    return ExitCode.done;
  },
};

const EXAMPLES = `
Examples:
  featx report backbone.onnx --input cat.png                          backbone.report.html
  featx report backbone.onnx --out 1,3 --input photos/ -o page.html --png pictures/
  featx report minilm/onnx/model.onnx --text quotes.txt               a line each
  featx report backbone.onnx --input cat.png --mean 0 --std 1 --input-check    is it prepared as it was trained?
`;
