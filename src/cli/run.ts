import { UsageError } from '../errors.js';
import type { Shard } from '../options/values.js';
import { escapeText } from '../report/escape.js';
import type { RunReport } from '../report/records.js';
import { runText } from '../report/run-text.js';
import { countText } from '../report/units.js';
import { type RunOptions, run } from '../run.js';
import { runShard } from '../shards/run-shard.js';
import { shardFromEnvironment } from '../shards/shard.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { addFlags, optionsFor, readFlags } from './flags.js';
import { modelSource, runtimeLimits } from './model-flags.js';
import { progressLine } from './progress.js';
import { givenFeatures } from './selection-flags.js';

/** `featx run`: its arguments, its help, and how it prints what the function of its name returns. */
export const runCommand: CliCommand = {
  configure(command) {
    command.argument('<model>', 'ONNX file; - reads standard input').usage('MODEL --out 1,2,3 --input FILE... [flags]');
    command.addHelpText('after', EXAMPLES);
    addFlags(command, 'run');
  },

  async run([operand], command, context) {
    const flags = readFlags(command, 'run');
    const { output } = flags;
    if (output === '') throw new UsageError('-o is an empty path');
    if (output === '-')
      throw new UsageError('features are written to a file, not to standard output', {
        hint: 'name one: -o features.npz',
      });
    const given = await givenFeatures(flags, context.fileSystem);
    const shard = flags.shard ?? (output === undefined ? null : shardFromEnvironment(context.io.env));
    const progress = progressLine(context, 'running', countText);
    let report: RunReport;
    try {
      const options = {
        ...optionsFor('run', flags),
        ...given,
        inputs: flags.inputs ?? [],
        name: operand,
        providers: flags.providers ?? 'auto',
        isolate: true,
        ...runtimeLimits(flags, 'run'),
        strict: context.flags.strict,
        signal: context.io.signal,
        onProgress: progress.update,
        fileSystem: context.fileSystem,
      } satisfies RunOptions;
      if (shard === null || shard.count === 1) report = await run(await modelSource(operand, flags, context), options);
      else {
        const part = await shardOf(operand, output, shard, options, context);
        if (part === null) return ExitCode.done;
        report = part;
      }
    } finally {
      progress.end();
    }
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet || output === undefined) await context.stdout.write(runText(report, context.style));
    return ExitCode.done;
  },
};

/** Runs one shard; null where it has no files. */
async function shardOf(
  model: string,
  output: string | undefined,
  shard: Shard,
  options: RunOptions,
  context: Context,
): Promise<RunReport | null> {
  if (output === undefined)
    throw new UsageError('a shard needs an output to write its part to', {
      hint: 'name it with -o: features.npz becomes features.1-of-4.npz',
    });
  if (model === '-') throw new UsageError('a shard reads its model from a file, not from standard input');
  const { report, manifest } = await runShard(model, { ...options, output }, shard);
  await context.note(
    `shard ${shard.index} of ${shard.count} (from ${shard.from}): ${report === null ? 'it has no files; ' : ''}wrote ${escapeText(manifest)}`,
  );
  return report;
}

const EXAMPLES = `
Examples:
  featx run backbone.onnx --out 1,2,3 --input cat.png -o features.npz
  featx run backbone.onnx --embedding --input photos/ --batch-size 32 -o embeddings.npy
  featx run backbone.onnx --embedding --input photos/ -o embeddings.npy --shard 1/4    one of four machines; featx merge joins them
  featx run backbone.onnx --input random          what comes out, for random input
`;
