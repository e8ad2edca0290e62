import { Option } from 'commander';
import { runShard } from '../batch/run-shard.js';
import { parseShard, shardFromEnvironment, type Shard } from '../batch/shard.js';
import { UsageError } from '../errors.js';
import type { Layout } from '../features/feature.js';
import { escapeText } from '../report/escape.js';
import { runText } from '../report/run-text.js';
import type { RunReport } from '../report/records.js';
import { countText } from '../report/units.js';
import { run, type RunOptions } from '../run.js';
import type { OptimizationLevel } from '../runtime/session.js';
import { INTERPOLATIONS, type Interpolation } from '../tensors/resample.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { addModelFlags, modelLimits, modelSource, runtimeLimits } from './model-flags.js';
import { progressLine } from './progress.js';
import { addSelectionFlags, selectionOptions } from './selection-flags.js';
import { parseBytes, parseCount, parseFractions, parseNames, parsePerChannel, parseSize } from './values.js';

interface RunFlags {
  readonly input?: readonly string[];
  readonly output?: string;
  readonly features?: string;
  readonly provider?: readonly string[];
  readonly deviceId?: number;
  readonly threads?: number;
  readonly optimization?: OptimizationLevel;
  readonly prepacking?: boolean;
  readonly batchSize?: number;
  readonly outMap?: readonly string[];
  readonly outputFmt?: Layout;
  readonly order?: 'out' | 'exec';
  readonly featureConcat?: boolean;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly size?: number | readonly [number, number];
  readonly crop?: number;
  readonly interpolation?: Interpolation;
  readonly profile?: string;
  readonly shard?: Shard;
  readonly maxArray?: number;
  readonly maxPixels?: number;
  readonly clobber?: boolean;
  readonly follow?: boolean;
  readonly strictExternal?: boolean;
}

export const runCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'ONNX file; - reads standard input')
      .usage('MODEL --out 1,2,3 --input FILE... [flags]')
      .addOption(
        new Option(
          '--input <file>',
          '[NAME=]FILE, a directory or a glob: jpg, png, webp, npy, npz, safetensors, pb; or random[:SEED]; repeatable',
        ).argParser((text: string, previous: readonly string[] | undefined) => [...(previous ?? []), text]),
      )
      .addOption(
        new Option(
          '-o, --output <path>',
          'where the features go: .npz, .npy (one feature), .safetensors, or a directory of .pb',
        ),
      )
      .addOption(
        new Option(
          '--provider <names>',
          'auto, cpu, cuda, tensorrt, webgpu, dml, coreml; several in order (default: auto)',
        ).argParser((text: string) => parseNames('--provider', text)),
      )
      .addOption(
        new Option('--device-id <n>', 'which device of the provider').argParser((text: string) =>
          parseCount('--device-id', text, 0),
        ),
      )
      .addOption(
        new Option('--threads <n>', 'threads inside an operator').argParser((text: string) =>
          parseCount('--threads', text, 1),
        ),
      )
      .addOption(
        new Option('--optimization <level>', 'how much ONNX Runtime may rewrite the graph (default: all)').choices([
          'disabled',
          'basic',
          'extended',
          'all',
        ]),
      )
      .addOption(
        new Option(
          '--no-prepacking',
          'leave weights as they lie in the file: opens sooner and takes less memory, runs slower',
        ),
      )
      .addOption(
        new Option(
          '--batch-size <n>',
          'entries per run (default: what the model fixes, else 16; 32 for a shard)',
        ).argParser((text: string) => parseCount('--batch-size', text, 1)),
      )
      .addOption(
        new Option('--out-map <names>', 'names of the outputs: p2,p3,p4').argParser((text: string) =>
          parseNames('--out-map', text),
        ),
      )
      .addOption(
        new Option('--output-fmt <layout>', 'layout in which every feature leaves').choices([
          'NCHW',
          'NHWC',
          'NLC',
          'NCL',
        ]),
      )
      .addOption(
        new Option(
          '--order <order>',
          'outputs in the order asked for or as the network computes them (default: out)',
        ).choices(['out', 'exec']),
      )
      .addOption(
        new Option('--feature-concat', 'concatenate the outputs of a module on axis 1 instead of taking the first'),
      )
      .addOption(new Option('--profile <file>', "keep ONNX Runtime's profile of the first batch"))
      .addOption(
        new Option(
          '--shard <I/N>',
          'run part I of N of the files only, into NAME.I-of-N.EXT (default: the array variables of Slurm, Kubernetes, AWS Batch or Azure Batch)',
        ).argParser((text: string) => parseShard(text)),
      )
      .addOption(new Option('--no-clobber', 'do not replace an existing file'))
      .addOption(new Option('--follow', 'where the output is a symbolic link, replace what it points to'))
      .addOption(new Option('--strict-external', 'refuse external data that has several hard links'));
    const pictures = [
      new Option(
        '--size <pixels>',
        'height and width, or one number for both (default: what the model wants, else 224)',
      ).argParser((text: string) => parseSize('--size', text)),
      new Option(
        '--crop <share>',
        'share of the resized picture that the centre crop keeps (default: 0.875)',
      ).argParser((text: string) => parseFractions('--crop', text, 1)[0]),
      new Option('--interpolation <kind>', 'how pictures are resized (default: bicubic)').choices(INTERPOLATIONS),
      new Option('--mean <values>', "one or three numbers (default: ImageNet's)").argParser((text: string) =>
        parsePerChannel('--mean', text),
      ),
      new Option('--std <values>', "one or three numbers (default: ImageNet's)").argParser((text: string) =>
        parsePerChannel('--std', text),
      ),
    ];
    for (const option of pictures) command.addOption(option.helpGroup('Pictures:'));
    command.addHelpText('after', EXAMPLES);
    addSelectionFlags(command);
    addModelFlags(command, 'run');
    const limits = [
      new Option(
        '--max-array <bytes>',
        'values of one array of an input file (default: 4GiB, they are held in memory)',
      ).argParser((text: string) => parseBytes('--max-array', text)),
      new Option('--max-pixels <n>', 'pixels of one picture (default: 268435456, 1 GB once decoded)').argParser(
        (text: string) => parseCount('--max-pixels', text, 1),
      ),
    ];
    for (const option of limits) command.addOption(option.helpGroup('Limits:'));
  },

  async run([operand], command, context) {
    const {
      input = [],
      output,
      provider = ['auto'],
      size,
      crop,
      interpolation,
      mean,
      std,
      clobber,
      maxArray,
      maxPixels,
      shard: asked,
      features,
      ...flags
    } = command.opts<RunFlags>();
    if (output === '') throw new UsageError('-o is an empty path');
    if (output === '-')
      throw new UsageError('features are written to a file, not to standard output', {
        hint: 'name one: -o features.npz',
      });
    const selection = await selectionOptions(command, context.fileSystem);
    const shard = asked ?? (output === undefined ? null : shardFromEnvironment(context.io.env));
    const progress = progressLine(context, 'running', countText);
    let report: RunReport;
    try {
      const options = {
        ...selection,
        ...flags,
        reads: features === undefined ? [] : [features],
        inputs: input,
        output,
        name: operand,
        providers: provider.length === 1 && provider[0] === 'auto' ? 'auto' : provider,
        image: { size, crop, interpolation, mean, std },
        isolate: true,
        ...runtimeLimits(command, 'run'),
        limits: modelLimits(command),
        tensorLimits: {
          ...(maxArray === undefined ? {} : { arrayBytes: maxArray }),
          ...(maxPixels === undefined ? {} : { pixels: maxPixels }),
        },
        noClobber: clobber === false,
        strict: context.flags.strict,
        signal: context.io.signal,
        onProgress: progress.update,
        fileSystem: context.fileSystem,
      } satisfies RunOptions;
      if (shard === null || shard.count === 1)
        report = await run(await modelSource(operand, command, context), options);
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
