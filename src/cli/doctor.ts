import { canRun, doctor } from '../doctor.js';
import { doctorText } from '../report/doctor-text.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { addFlags, optionsFor, readFlags } from './flags.js';

/** `featx doctor`: its arguments, its help, and how it prints what the function of its name returns. */
export const doctorCommand: CliCommand = {
  configure(command) {
    command.usage('[flags]').addHelpText('after', EXAMPLES);
    addFlags(command, 'doctor');
  },

  async run(_operands, command, context) {
    const report = await doctor({
      ...optionsFor('doctor', readFlags(command, 'doctor')),
      fileSystem: context.fileSystem,
      signal: context.io.signal,
    });
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else await context.stdout.write(doctorText(context.inFlags(report), context.style));
    return canRun(report) ? ExitCode.done : ExitCode.partial;
  },
};

const EXAMPLES = `
Examples:
  featx doctor                    versions, what each provider has and lacks, and what mends it
  featx doctor --provider cuda
`;
