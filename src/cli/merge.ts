import { merge } from '../batch/merge.js';
import { STATE_DIRECTORY } from '../options/batching.js';
import { escapeText } from '../report/escape.js';
import { bytesText } from '../report/units.js';
import { plural } from '../wire/counted.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { readFlags } from './flags.js';

/** `featx merge`: its arguments, its help, and how it prints what the function of its name returns. */
export const mergeCommand: CliCommand = {
  configure(command) {
    command
      .argument('[manifest|dir...]', `manifests of shards, or directories that hold them (default: ${STATE_DIRECTORY})`)
      .usage('[MANIFEST|DIR...] [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run(operands, command, context) {
    const { output, check } = readFlags(command, 'merge');
    const report = context.inFlags(
      await merge(operands.length === 0 ? [STATE_DIRECTORY] : operands, {
        output,
        content: check !== 'stat',
        fileSystem: context.fileSystem,
      }),
    );
    const { problems, failed, shards, files, size_bytes: bytes } = report;
    if (context.flags.json) await context.record(report);
    else if (problems.length > 0) await context.print(problems.map((problem) => `${escapeText(problem)}\n`).join(''));
    else
      await context.print(
        `wrote ${escapeText(report.output ?? '')}: ${plural(report.items, 'item')} of ${plural(shards, 'shard')}, ${plural(files, 'file')} of ${bytesText(bytes)}, ${failed} failed\n`,
      );
    return problems.length > 0 || failed > 0 ? ExitCode.partial : ExitCode.done;
  },
};

const EXAMPLES = `
Examples:
  featx merge                         all shards whose manifests are in .featx
  featx merge part1 part2 -o manifest.json
`;
