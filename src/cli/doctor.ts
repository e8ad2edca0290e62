import { Option } from 'commander';
import { doctor } from '../doctor.js';
import { doctorText } from '../report/doctor-text.js';
import { UsageError } from '../errors.js';
import { PROVIDERS, type Provider } from '../runtime/providers.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { parseCount, parseNames } from './values.js';

interface DoctorFlags {
  readonly provider?: readonly Provider[];
  readonly timeout?: number;
}

export const doctorCommand: CliCommand = {
  configure(command) {
    command
      .usage('[flags]')
      .addOption(
        new Option(
          '--provider <names>',
          'execution providers to try (default: all that this platform can have)',
        ).argParser(parseProviders),
      )
      .addOption(
        new Option('--timeout <seconds>', 'time for each of them (default: 60)').argParser((text: string) =>
          parseCount('--timeout', text, 1),
        ),
      )
      .addHelpText('after', EXAMPLES);
  },

  async run(_operands, command, context) {
    const { provider, timeout } = command.opts<DoctorFlags>();
    const report = await doctor({
      providers: provider,
      timeoutMs: timeout === undefined ? undefined : timeout * 1_000,
      fileSystem: context.fileSystem,
      signal: context.io.signal,
    });
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else await context.stdout.write(doctorText(report, context.style));
    return ExitCode.done;
  },
};

function parseProviders(text: string): readonly Provider[] {
  return parseNames('--provider', text).map((name) => {
    const known = PROVIDERS.find((provider) => provider === name);
    if (known === undefined)
      throw new UsageError(`--provider: there is no '${name}'`, { hint: `there are ${PROVIDERS.join(', ')}` });
    return known;
  });
}

const EXAMPLES = `
Examples:
  featx doctor                    versions, what each provider has and lacks, and what mends it
  featx doctor --provider cuda
`;
