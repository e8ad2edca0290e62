import { RuntimeError, UsageError } from '../errors.js';
import { splitText } from '../report/split-text.js';
import { split } from '../split.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { runtimeLimits } from './model-flags.js';
import { progressLine } from './progress.js';
import { givenFeatures } from './selection-flags.js';

/** `featx split`: its arguments, its help, and how it prints what the function of its name returns. */
export const splitCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'ONNX file')
      .usage('MODEL (--at NAME|INDEX… | --parts N | --max-bytes N) [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run([operand], command, context) {
    const flags = readFlags(command, 'split');
    const { output, verify: isVerified, dryRun } = flags;
    if (output === '') throw new UsageError('-o is an empty path');
    if (operand === '-' || output === '-')
      throw new UsageError('split reads a file and writes files: - is neither', { hint: 'name them' });
    if (isVerified && dryRun) throw new UsageError('--verify checks files, and --dry-run writes none');
    const given = await givenFeatures(flags, context.fileSystem);
    const progress = progressLine(context, 'writing');
    let report: Awaited<ReturnType<typeof split>>;
    try {
      report = await split(operand, output ?? null, {
        ...optionsFor('split', flags),
        ...given,
        ...runtimeLimits(flags),
        strict: context.flags.strict,
        signal: context.io.signal,
        onProgress: progress.update,
        name: operand,
        fileSystem: context.fileSystem,
      });
    } finally {
      progress.end();
    }
    if (isVerified) {
      const { verify } = await import('../verify.js');
      const { equal } = await verify(operand, report.manifest, {
        inputShapes: flags.inputShapes,
        limits: flags.limits,
        isolate: true,
        ...runtimeLimits(flags, 'run'),
        fileSystem: context.fileSystem,
        signal: context.io.signal,
      });
      if (equal === false)
        throw new RuntimeError('the parts do not compute what the model computes', {
          code: 'FEATX_VERIFY',
          path: report.manifest,
          hint: 'featx verify shows which outputs differ; please report this model',
        });
      report = { ...report, verified: equal };
    }
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet) await context.print(splitText(report, dryRun === true, context.style));
    return ExitCode.done;
  },
};

const EXAMPLES = `
Examples:
  featx split detector.onnx --at backbone.layer3                 device and server
  featx split llm.onnx --parts 4 --by bytes -o 'parts/{name}.{part}.onnx'
  featx split resnet.onnx --at 2 --at 4 --weights reference      parts of a few KB that use MODEL's weights
  featx verify resnet.onnx resnet.split.json                     run the parts against the whole
`;
