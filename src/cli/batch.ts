import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { runPlan } from '../batch/batch.js';
import { CONFIG_NAME, configJobs, configReads, readConfig, type Config } from '../batch/config.js';
import { leftOutText } from '../batch/look-into.js';
import { findJobs, planJobs, type FoundJobs } from '../batch/jobs.js';
import { defined, type CutOptions } from '../batch/options.js';
import { previewPlan, type PlannedReport } from '../batch/preview.js';
import type { BatchSummary } from '../batch/reports.js';
import { parseShard, shardFromEnvironment, type Shard } from '../batch/shard.js';
import { IoError, UsageError } from '../errors.js';
import { escapeText } from '../report/escape.js';
import { assertNoWarnings } from '../report/strict.js';
import { batchProgress } from './batch-progress.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { extractCommand } from './extract.js';
import { modelLimits } from './model-flags.js';
import { addSelectionFlags, selectionOptions } from './selection-flags.js';
import { parseBytes, parseCount } from './values.js';

interface BatchFlags {
  readonly output?: string;
  readonly exclude?: readonly string[];
  readonly jobs?: number;
  readonly plan?: boolean;
  readonly failFast?: boolean;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly check?: 'stat' | 'content';
  readonly state?: string;
  readonly shard?: Shard;
  readonly manifest?: string;
  readonly memory?: number;
  readonly timeout?: number;
}

type CutFlags = Pick<
  CutOptions,
  | 'mode'
  | 'rewrite'
  | 'keepOutputs'
  | 'order'
  | 'outMap'
  | 'outputFmt'
  | 'featureConcat'
  | 'weights'
  | 'align'
  | 'verify'
  | 'follow'
  | 'strictExternal'
> & { readonly clobber?: boolean };

/** Flags of extract that make no sense for many models, or mean something else here. */
const NOT_FOR_BATCH = new Set(['output', 'dryRun', 'inPlace', 'timeout', 'maxStdin', 'maxMemory']);
const STATE_DIRECTORY = '.featx';
/** Flags that say how to work, not what to cut. */
const WORK_FLAGS = new Set([
  'jobs',
  'plan',
  'failFast',
  'keepGoing',
  'resume',
  'force',
  'check',
  'state',
  'shard',
  'manifest',
  'memory',
  'timeout',
  'json',
  'quiet',
  'color',
  'strict',
  'debug',
  'version',
]);

export const batchCommand: CliCommand = {
  configure(command) {
    command
      .argument('[config|model...]', `a config (default: ${CONFIG_NAME}), or models: paths, folders, globs in quotes`)
      .usage('CONFIG | MODEL... [flags]')
      .addOption(
        new Option(
          '-o, --output <template>',
          'output of each model: {dir}, {rel} and {name} stand for parts of its path (default: {dir}/{name}.features.onnx)',
        ),
      )
      .addOption(
        new Option('--exclude <glob>', 'leave out models that a folder or glob finds; repeatable').argParser(
          (glob: string, previous: readonly string[] | undefined) => [...(previous ?? []), glob],
        ),
      )
      .addOption(new Option('--plan', 'print what would be done and do nothing'))
      .addOption(
        new Option('--jobs <n>', 'items worked on at the same time (default: the processors)').argParser(
          (text: string) => parseCount('--jobs', text, 1),
        ),
      )
      .addOption(new Option('--fail-fast', 'start no other item once one has failed'))
      .addOption(new Option('--keep-going', 'work on every item whatever fails (default)').conflicts('failFast'))
      .addOption(
        new Option('--resume', 'go on with an interrupted run: report again what it reported, do only the rest'),
      )
      .addOption(new Option('--force', 'cut what has not changed, too'))
      .addOption(
        new Option(
          '--check <how>',
          'how an unchanged item is recognized: by what the file system says, or by hashing always (default: stat)',
        ).choices(['stat', 'content']),
      )
      .addOption(new Option('--state <dir>', `where the journal is kept (default: ${STATE_DIRECTORY})`))
      .addOption(
        new Option(
          '--shard <I/N>',
          'work on part I of N only (default: the array variables of Slurm, Kubernetes, AWS Batch or Azure Batch)',
        ).argParser((text: string) => parseShard(text)),
      )
      .addOption(
        new Option(
          '--manifest <file>',
          'write what was made, with digests (default for a shard: in the state directory)',
        ),
      )
      .addOption(
        new Option(
          '--timeout <seconds>',
          'time that an item may take without making progress (default: 120)',
        ).argParser((text: string) => parseCount('--timeout', text, 1)),
      )
      .addOption(
        new Option(
          '--memory <bytes>',
          'memory that the work on an item may take (default: 4GiB; not on Windows)',
        ).argParser((text: string) => parseBytes('--memory', text)),
      )
      .addHelpText('after', EXAMPLES);
    addSelectionFlags(command);
    const donor = new Command();
    extractCommand.configure(donor);
    const known = new Set(command.options.map((option) => option.attributeName()));
    // Flags come in pairs (--rewrite and --no-rewrite) that share a name.
    for (const option of donor.options)
      if (!known.has(option.attributeName()) && !NOT_FOR_BATCH.has(option.attributeName())) command.addOption(option);
  },

  async run(operands, command, context) {
    const flags = command.opts<BatchFlags>();
    const { root, jobs, cuts, config, reads } = await requested(operands, command, context);
    const warnings = cuts.length === 0 ? [] : [leftOutText(cuts)];
    if (context.flags.strict) assertNoWarnings(warnings);
    await context.warn(warnings);
    const shard = flags.shard ?? shardFromEnvironment(context.io.env);
    if (shard !== null && flags.shard === undefined)
      await context.note(`shard ${shard.index} of ${shard.count} (from ${shard.from})`);
    const part = shard === null || shard.count === 1 ? {} : { shard: { index: shard.index, count: shard.count } };
    const plan = planJobs(jobs, root, reads);
    const common = {
      stateDirectory: flags.state ?? STATE_DIRECTORY,
      force: flags.force,
      check: flags.check ?? config.check,
      fileSystem: context.fileSystem,
      ...part,
    };
    if (flags.plan) {
      for await (const record of previewPlan(plan, common)) {
        if (context.flags.json) await context.record(record);
        else
          await context.stdout.write(
            `${record.action.padEnd(6)}  ${escapeText(record.item)} -> ${escapeText(record.output)}${record.error === null ? '' : `  (${escapeText(record.error.message)})`}\n`,
          );
      }
      if (context.flags.json)
        for (const item of cuts)
          await context.record({
            schema: 1,
            command: 'batch-plan',
            item,
            output: null,
            action: 'leave',
            error: null,
            options: null,
          } satisfies PlannedReport);
      return ExitCode.done;
    }
    const progress = batchProgress(context);
    const reports = runPlan(plan, {
      ...common,
      jobs: flags.jobs ?? config.jobs,
      timeoutMs:
        flags.timeout !== undefined
          ? flags.timeout * 1_000
          : config.timeout_seconds !== undefined
            ? config.timeout_seconds * 1_000
            : undefined,
      memoryBytes: flags.memory ?? config.memory_bytes,
      failFast: flags.failFast ?? (command.getOptionValue('keepGoing') === true ? false : config.fail_fast),
      resume: flags.resume,
      manifest: flags.manifest,
      reads,
      signal: context.io.signal,
      onProgress: progress.update,
    });
    let summary: BatchSummary;
    try {
      for (;;) {
        const next = await reports.next();
        if (next.done) {
          summary = next.value;
          break;
        }
        if (context.io.stdoutIsTerminal) progress.clear();
        await context.record(next.value);
      }
    } finally {
      progress.clear();
      // Where standard output is gone, the run stops too.
      await reports.return({
        schema: 1,
        command: 'batch-summary',
        done: 0,
        skipped: 0,
        failed: 0,
        remaining: 0,
        elapsed_ms: 0,
      });
    }
    await context.record(cuts.length === 0 ? summary : { ...summary, left_out: cuts });
    if (!context.flags.json) await context.note(summaryText(summary));
    const { signal } = context.io;
    if (signal.aborted && typeof signal.reason === 'number') return signal.reason;
    return summary.failed > 0 ? ExitCode.partial : ExitCode.done;
  },
};

interface Requested extends FoundJobs {
  readonly root: string;
  readonly config: Partial<Config>;
  /** Files that were read to know what to cut; absolute. */
  readonly reads: readonly string[];
}

/** What is to be cut: a config's items, or the models named on the command line. */
async function requested(operands: readonly string[], command: Command, context: Context): Promise<Requested> {
  const configs = operands.filter((operand) => /\.json$/i.test(operand));
  if (operands.length > 0 && configs.length === 0) return fromPatterns(operands, command, context);
  if (operands.length > 1)
    throw new UsageError(`${configs[0]} is a config, and a config says which models`, {
      hint: 'give one config, or models',
    });
  const given = command.options
    .filter(
      (option) =>
        command.getOptionValueSource(option.attributeName()) === 'cli' && !WORK_FLAGS.has(option.attributeName()),
    )
    .map(({ long }) => long ?? '');
  if (given.length > 0) {
    throw new UsageError(
      `${[...new Set(given)].join(', ')} ${given.length === 1 ? 'goes' : 'go'} with models on the command line, not with a config`,
      { hint: 'say it in the options of the config, or name models' },
    );
  }
  const path = configs[0] ?? CONFIG_NAME;
  const loaded = await readConfig(path, context.fileSystem).catch((error: unknown) => {
    if (operands.length > 0 || !(error instanceof IoError) || error.code !== 'FEATX_IO_NOT_FOUND') throw error;
    throw new UsageError(`no model is named, and there is no ${CONFIG_NAME} here`, {
      hint: 'name models, such as "models/**/*.onnx", or write a config with featx init',
    });
  });
  const { root, config } = context.flags.strict
    ? { ...loaded, config: { ...loaded.config, options: { ...loaded.config.options, strict: true } } }
    : loaded;
  return {
    root,
    config,
    reads: configReads(path, loaded),
    ...(await configJobs({ config, root }, context.fileSystem)),
  };
}

async function fromPatterns(patterns: readonly string[], command: Command, context: Context): Promise<Requested> {
  const { output, exclude = [] } = command.opts<BatchFlags>();
  const {
    mode,
    rewrite,
    keepOutputs,
    order,
    outMap,
    outputFmt,
    featureConcat,
    weights,
    align,
    verify,
    follow,
    strictExternal,
    clobber,
  } = command.opts<CutFlags>();
  const { resolve: resolving, select, ...selection } = await selectionOptions(command, context.fileSystem);
  const limits = modelLimits(command);
  const options: CutOptions = {
    ...defined(selection),
    ...defined({
      mode,
      rewrite,
      keepOutputs,
      order,
      outMap,
      outputFmt,
      featureConcat,
      weights,
      align,
      verify,
      follow,
      strictExternal,
    }),
    ...defined({
      select: select?.length === 0 ? undefined : select,
      features: resolving.explicit,
      includeHead: resolving.includeHead,
      strict: context.flags.strict,
      noClobber: clobber === false ? true : undefined,
    }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
  const { features } = command.opts<{ readonly features?: string }>();
  return {
    root: '.',
    config: {},
    reads: features === undefined ? [] : [resolve(features)],
    ...(await findJobs(
      patterns.map((pattern) => ({ pattern, output, options })),
      exclude,
      process.cwd(),
      context.fileSystem,
    )),
  };
}

function summaryText({ done, skipped, failed, remaining }: BatchSummary): string {
  const parts = [`${done} cut`, `${skipped} unchanged`, `${failed} failed`];
  if (remaining > 0) parts.push(`${remaining} not reached (go on with --resume)`);
  return parts.join(', ');
}

const EXAMPLES = `
Examples:
  featx batch                                                 what featx.config.json says (featx init writes one)
  featx batch "models/**/*.onnx" --out 1,2,3 -o "features/{rel}/{name}.onnx"
  featx batch --plan
  featx batch --resume                                        after a crash, a kill or Ctrl-C
  featx batch --shard 3/8                                     the third of eight machines; featx merge joins them
`;
