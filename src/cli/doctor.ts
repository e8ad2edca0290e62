import { canRun, doctor } from '../doctor.js';
import { doctorText, fetchText } from '../report/doctor-text.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { remoteFlags } from './model-flags.js';
import { progressLine } from './progress.js';

/** `featx doctor`: its arguments, its help, and how it prints what the function of its name returns. */
export const doctorCommand: CliCommand = {
  configure(command) {
    command.usage('[flags]').addHelpText('after', EXAMPLES);
  },

  async run(_operands, command, context) {
    const flags = readFlags(command, 'doctor');
    const progress = progressLine(context, 'downloading');
    const report = await doctor({
      ...optionsFor('doctor', flags),
      remote: remoteFlags(flags, context),
      fileSystem: context.fileSystem,
      signal: context.io.signal,
      onFetch: (plan) => context.note(fetchText(plan)),
      onProgress: progress.update,
    }).finally(() => progress.end());
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else await context.print(doctorText(context.inFlags(report), context.style));
    return canRun(report) ? ExitCode.done : ExitCode.partial;
  },
};

const EXAMPLES = `
Examples:
  featx doctor                    versions, what each provider has and lacks, and what mends it
  featx doctor --provider cuda    what CUDA lacks first, and the command that mends it
  featx doctor --provider cuda --fetch --dry-run
                                  what would be downloaded, and how much
  featx doctor --provider cuda --fetch
`;
