import { Option } from 'commander';
import { merge } from '../batch/merge.js';
import { escapeText } from '../report/escape.js';
import { bytesText, plural } from '../report/units.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';

interface MergeFlags {
  readonly output?: string;
  readonly check?: 'stat' | 'content';
}

const STATE_DIRECTORY = '.featx';

export const mergeCommand: CliCommand = {
  configure(command) {
    command
      .argument('[manifest|dir...]', `manifests of shards, or directories that hold them (default: ${STATE_DIRECTORY})`)
      .usage('[MANIFEST|DIR...] [flags]')
      .addOption(
        new Option('-o, --output <file>', 'manifest to write (default: manifest.json beside those of the shards)'),
      )
      .addOption(
        new Option(
          '--check <how>',
          'hash every file that the shards made, or look at sizes only (default: content)',
        ).choices(['content', 'stat']),
      )
      .addHelpText('after', EXAMPLES);
  },

  async run(operands, command, context) {
    const { output, check } = command.opts<MergeFlags>();
    const report = await merge(operands.length === 0 ? [STATE_DIRECTORY] : operands, {
      output,
      content: check !== 'stat',
      fileSystem: context.fileSystem,
    });
    const { problems, failed, shards, files, size_bytes: bytes } = report;
    if (context.flags.json) await context.record(report);
    else if (problems.length > 0)
      await context.stdout.write(problems.map((problem) => `${escapeText(problem)}\n`).join(''));
    else
      await context.stdout.write(
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
