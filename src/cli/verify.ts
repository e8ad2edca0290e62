import { Option } from 'commander';
import { UsageError } from '../errors.js';
import { verifyText } from '../report/verify-text.js';
import { assertNoWarnings } from '../report/strict.js';
import { verify } from '../verify.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { addModelFlags, modelLimits, modelSource, runtimeLimits } from './model-flags.js';
import { addInputShapeFlag, inputShapes } from './selection-flags.js';
import { parseCount, parseFractions } from './values.js';

interface VerifyFlags {
  readonly map?: ReadonlyMap<string, string>;
  readonly seed?: number;
  readonly tolerance?: number;
  readonly threads?: number;
}

export const verifyCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'the original; - reads standard input')
      .argument('<extracted>', 'what was cut from it')
      .usage('MODEL EXTRACTED [flags]')
      .addOption(
        new Option(
          '--map <pair>',
          'compare this tensor of MODEL with this output of EXTRACTED: TENSOR=OUTPUT; repeatable (default: what EXTRACTED says of itself, else equal names)',
        ).argParser(parsePair),
      )
      .addOption(
        new Option(
          '--tolerance <x>',
          'largest difference at full optimisation, relative to the standard deviation (default: 0.001, float16 0.05)',
        ).argParser((text: string) => parseFractions('--tolerance', text, 1)[0]),
      )
      .addOption(
        new Option('--seed <n>', 'seed of the inputs (default: 0)').argParser((text: string) =>
          parseCount('--seed', text, 0),
        ),
      )
      .addOption(
        new Option('--threads <n>', 'threads inside an operator').argParser((text: string) =>
          parseCount('--threads', text, 1),
        ),
      );
    addInputShapeFlag(command);
    command.addHelpText('after', EXAMPLES);
    addModelFlags(command, 'run');
  },

  async run([model, extracted], command, context) {
    const { map, seed, tolerance, threads } = command.opts<VerifyFlags>();
    if (model === '-' && extracted === '-') throw new UsageError('standard input (-) can be read once only');
    const report = await verify(
      await modelSource(model, command, context),
      await modelSource(extracted, command, context),
      {
        map,
        seed,
        tolerance,
        threads,
        inputShapes: inputShapes(command),
        limits: modelLimits(command),
        isolate: true,
        ...runtimeLimits(command, 'run'),
        names: [model, extracted],
        fileSystem: context.fileSystem,
        signal: context.io.signal,
      },
    );
    if (context.flags.strict) assertNoWarnings(report.warnings, extracted);
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet) await context.stdout.write(verifyText(report, context.style));
    return report.equal ? ExitCode.done : ExitCode.partial;
  },
};

/** A tensor's name may hold `=`; an output's name, by the last one, seldom does. */
function parsePair(text: string, previous: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, string> {
  const at = text.lastIndexOf('=');
  if (at < 1 || at === text.length - 1) throw new UsageError(`--map takes TENSOR=OUTPUT, not '${text}'`);
  return new Map([...(previous ?? []), [text.slice(0, at), text.slice(at + 1)]]);
}

const EXAMPLES = `
Examples:
  featx verify backbone.onnx backbone.features.onnx
  featx verify backbone.onnx other-tool.onnx --map /layer1/Relu_output_0=feat1
`;
