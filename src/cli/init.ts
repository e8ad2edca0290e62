import { Option } from 'commander';
import { CONFIG_NAME } from '../batch/config.js';
import { init } from '../batch/init.js';
import { escapeText } from '../report/escape.js';
import { plural } from '../report/units.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { timeoutMs } from './model-flags.js';
import { parseCount } from './values.js';

interface InitFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly jobs?: number;
}

export const initCommand: CliCommand = {
  configure(command) {
    command
      .argument('[model...]', 'paths, folders or globs, relative to the config (default: everything below it)')
      .usage('[MODEL...] [flags]')
      .addOption(new Option('-o, --output <file>', `config to write (default: ${CONFIG_NAME})`))
      .addOption(new Option('--force', 'replace an existing config'))
      .addOption(
        new Option('--jobs <n>', 'models looked at at the same time (default: the processors)').argParser(
          (text: string) => parseCount('--jobs', text, 1),
        ),
      )
      .addOption(
        new Option('--timeout <seconds>', 'time that a model may take (default: 120)').argParser((text: string) =>
          parseCount('--timeout', text, 1),
        ),
      )
      .addHelpText('after', EXAMPLES);
  },

  async run(operands, command, context) {
    const { output, force, jobs } = command.opts<InitFlags>();
    const report = await init(operands, {
      output,
      force,
      jobs,
      timeoutMs: timeoutMs(command),
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    });
    const { models, left_out: leftOut } = report;
    await context.warn([
      ...report.warnings,
      ...leftOut.map(({ model, error }) => `${model} is left out: ${error.message}`),
    ]);
    if (context.flags.json) await context.record(report);
    else await context.stdout.write(`wrote ${escapeText(report.output)} with ${plural(models.length, 'model')}\n`);
    await context.note('choose the features of each model in its options.out, then run featx batch');
    return leftOut.length === 0 ? ExitCode.done : ExitCode.partial;
  },
};

const EXAMPLES = `
Examples:
  featx init
  featx init "models/**/*.onnx" -o featx.config.json
`;
