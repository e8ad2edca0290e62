import { UsageError } from '../errors.js';
import type { FlagsOf } from '../options/types.js';
import type { Shard } from '../options/values.js';
import { isAddress } from '../remote/address.js';
import { escapeText } from '../report/escape.js';
import type { RunReport } from '../report/run-records.js';
import { preprocessingText } from '../report/preprocessing-record.js';
import { soundText } from '../report/sound-record.js';
import { ranText, runText, skippedText } from '../report/run-text.js';
import { countText } from '../wire/counted.js';
import { type RunOptions, run } from '../run.js';
import { runShard } from '../shards/run-shard.js';
import { shardFromEnvironment } from '../shards/shard.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { modelName, modelSource, remoteFlags, runtimeLimits } from './model-flags.js';
import { readStdin } from './stdin.js';
import { MAX_STDIN_BYTES } from '../options/limits.js';
import { progressLine } from './progress.js';
import { givenFeatures } from './selection-flags.js';

/** `featx run`: its arguments, its help, and how it prints what the function of its name returns. */
export const runCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'ONNX file or URL (https://, hf://); - reads standard input')
      .argument('[files...]', 'more files for --input, as a shell makes them of --input *.png')
      .usage('MODEL --out 1,2,3 --input FILE... [flags]');
    command.addHelpText('after', EXAMPLES);
  },

  async run([operand, ...files], command, context) {
    const flags = withFiles(readFlags(command, 'run'), files);
    const { output } = flags;
    if (output === '') throw new UsageError('-o is an empty path');
    if (output === '-') assertStream(flags, context);
    const given = await givenFeatures(flags, context.fileSystem);
    const shard = flags.shard ?? (output === undefined ? null : shardFromEnvironment(context.io.env));
    const progress = progressLine(context, 'running', countText);
    let report: RunReport;
    try {
      const options = {
        ...optionsFor('run', flags),
        ...given,
        inputs: flags.inputs ?? [],
        standardInput: await standardInput(operand, flags, context),
        write: output === '-' ? (bytes: Uint8Array) => context.stdout.write(bytes) : undefined,
        name: modelName(operand, context),
        providers: flags.providers ?? 'auto',
        isolate: true,
        ...runtimeLimits(flags, 'run'),
        remote: remoteFlags(flags, context),
        strict: context.flags.strict,
        signal: context.io.signal,
        // Results that go to the same terminal say how far it is.
        onProgress: output === '-' && context.io.stdoutIsTerminal ? undefined : progress.update,
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
    if (!context.flags.json) for (const how of report.preprocessing) await context.note(preprocessingText(how));
    if (!context.flags.json) for (const how of report.sound ?? []) await context.note(soundText(how));
    await context.warn(report.warnings);
    if (!context.flags.json)
      for (const { input, message } of report.skipped) await context.complain(skippedText(input, message));
    if (output === '-') await context.note(ranText(report));
    else if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet || output === undefined) await context.print(runText(report, context.style));
    if (output === undefined && !context.flags.json)
      await context.note('the features are not written: name a file for them, such as -o features.npz');
    return report.skipped.length > 0 ? ExitCode.partial : ExitCode.done;
  },
};

/**
 * Files that stand alone belong to the one `--input` of the line.
 * @throws UsageError if there are several, or none: then nobody knows their order, or that they are inputs
 */
function withFiles(flags: FlagsOf<'run'>, files: readonly string[]): FlagsOf<'run'> {
  const { inputs = [] } = flags;
  if (files.length === 0) return flags;
  if (inputs.length === 1) return { ...flags, inputs: [...inputs, ...files] };
  throw new UsageError(
    inputs.length === 0
      ? `run takes one model, and ${files[0]} is not an input without --input`
      : `${files[0]} stands alone between ${inputs.length} --input`,
    {
      hint:
        inputs.length === 0
          ? `write --input ${files[0]}`
          : 'write --input in front of every file, or once in front of all',
    },
  );
}

/** The bytes of `--input -`. @throws UsageError if the model is to come from there too */
async function standardInput(
  operand: string,
  flags: FlagsOf<'run'>,
  context: Context,
): Promise<Uint8Array | undefined> {
  if (!(flags.inputs ?? []).some((text) => text === '-' || text.endsWith('=-'))) return undefined;
  if (operand === '-')
    throw new UsageError('the model and an input would both come from standard input', {
      hint: 'give the model as a file',
    });
  return readStdin(context.io.stdin, flags.maxStdin ?? MAX_STDIN_BYTES, context.io.signal, 'the input');
}

/** @throws UsageError for features on standard output that nobody could read there */
function assertStream({ format }: FlagsOf<'run'>, { flags, io }: Context): void {
  if (flags.json)
    throw new UsageError('-o - writes the features to standard output, where --json would print', {
      hint: 'name a file, or leave out --json',
    });
  if (io.stdoutIsTerminal && !(format === undefined || format === 'jsonl' || format === 'csv'))
    throw new UsageError(`-o - would print the bytes of a .${format} to the terminal`, {
      hint: 'name a file, or send standard output to one',
    });
}

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
  if (model === '-' || options.standardInput !== undefined)
    throw new UsageError('a shard reads its model and its inputs from files, not from standard input');
  if (output === '-') throw new UsageError('a shard writes its part to a file, not to standard output');
  if (isAddress(model)) throw new UsageError('a shard reads its model from a file, not from a URL');
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
  featx run backbone.onnx --embedding --input photos/ -o vectors.parquet    a row a picture: its file, and the vector
  featx run backbone.onnx --embedding --input photos/ -o - | jq -c .file    the same, as lines of JSON
  featx run backbone.onnx --input random          what comes out, for random input
`;
