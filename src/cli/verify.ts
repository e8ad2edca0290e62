import { UsageError } from '../errors.js';
import { preprocessingText } from '../report/preprocessing-record.js';
import { verifyText } from '../report/verify-text.js';
import { assertNoWarnings } from '../report/strict.js';
import { verify } from '../verify.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { modelName, modelSource, remoteFlags, runtimeLimits } from './model-flags.js';

/** `featx verify`: its arguments, its help, and how it prints what the function of its name returns. */
export const verifyCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'the original; - reads standard input')
      .argument('<extracted>', 'what was cut from it, or the manifest of its parts')
      .usage('MODEL EXTRACTED [flags]');
    command.addHelpText('after', EXAMPLES);
  },

  async run([model, extracted], command, context) {
    const flags = readFlags(command, 'verify');
    if (model === '-' && extracted === '-') throw new UsageError('standard input (-) can be read once only');
    const report = await verify(
      await modelSource(model, flags, context),
      await modelSource(extracted, flags, context),
      {
        ...optionsFor('verify', flags),
        isolate: true,
        ...runtimeLimits(flags, 'run'),
        remote: remoteFlags(flags, context),
        names: [modelName(model, context), modelName(extracted, context)],
        fileSystem: context.fileSystem,
        signal: context.io.signal,
      },
    );
    if (context.flags.strict) assertNoWarnings(report.warnings, extracted);
    if (!context.flags.json) for (const how of report.preprocessing) await context.note(preprocessingText(how));
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet) await context.print(verifyText(report, context.style));
    return report.equal === true ? ExitCode.done : ExitCode.partial;
  },
};

const EXAMPLES = `
Examples:
  featx verify backbone.onnx backbone.features.onnx
  featx verify backbone.onnx backbone.features.onnx --input cat.png
  featx verify backbone.onnx backbone.split.json
  featx verify backbone.onnx other-tool.onnx --map /layer1/Relu_output_0=feat1
`;
