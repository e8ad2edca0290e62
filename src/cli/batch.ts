import { resolve } from 'node:path';
import { type PlannedReport, previewPlan, runPlan } from '../batch/batch.js';
import { CONFIG_NAME, configJobs, configReads, readConfig } from '../batch/config.js';
import { type FoundJobs, findJobs, planJobs } from '../batch/jobs.js';
import { leftOutText } from '../batch/look-into.js';
import { type CutOptions, batchOptions } from '../batch/options.js';
import type { BatchSummary } from '../batch/reports.js';
import { IoError, UsageError } from '../errors.js';
import { STATE_DIRECTORY } from '../options/batching.js';
import { GROUPS } from '../options/row.js';
import { type OptionKey, rowOf } from '../options/table.js';
import type { OptionsOf } from '../options/types.js';
import { escapeText } from '../report/escape.js';
import { assertNoWarnings } from '../report/strict.js';
import { shardFromEnvironment } from '../shards/shard.js';
import { batchProgress } from './batch-progress.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { addFlags, givenFlags, optionsFor, readFlags } from './flags.js';
import { givenFeatures } from './selection-flags.js';
import type { Command } from 'commander';

/** `featx batch`: its arguments, its help, and how it prints what the function of its name returns. */
export const batchCommand: CliCommand = {
  configure(command) {
    command
      .argument('[config|model...]', `a config (default: ${CONFIG_NAME}), or models: paths, folders, globs in quotes`)
      .usage('CONFIG | MODEL... [flags]')
      .addHelpText('after', EXAMPLES);
    addFlags(command, 'batch');
  },

  async run(operands, command, context) {
    const flags = readFlags(command, 'batch');
    const { root, jobs, cuts, config, reads, ...found } = await requested(operands, command, context);
    const warnings = [...found.warnings, ...(cuts.length === 0 ? [] : [leftOutText(cuts)])];
    if (context.flags.strict) assertNoWarnings(warnings);
    await context.warn(warnings);
    const shard = flags.shard ?? shardFromEnvironment(context.io.env);
    if (shard !== null && flags.shard === undefined)
      await context.note(`shard ${shard.index} of ${shard.count} (from ${shard.from})`);
    const part = shard === null || shard.count === 1 ? {} : { shard: { index: shard.index, count: shard.count } };
    const plan = planJobs(jobs, root, reads);
    const common = {
      stateDirectory: flags.stateDirectory ?? STATE_DIRECTORY,
      force: flags.force,
      check: flags.check ?? config.check,
      fileSystem: context.fileSystem,
      ...part,
    };
    if (flags.plan) {
      for await (const planned of previewPlan(plan, common)) {
        const record = context.inFlags(planned);
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
      timeoutMs: flags.timeoutMs ?? config.timeoutMs,
      memoryBytes: flags.memoryBytes ?? config.memoryBytes,
      failFast: flags.failFast ?? (flags.keepGoing === true ? false : config.failFast),
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
  /** What the config says of how to work. */
  readonly config: Partial<OptionsOf<'batch'>>;
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
  const given = givenFlags(command, 'batch').flatMap(([key, flag]) => (saysWhat(key) ? [flag] : []));
  if (given.length > 0) {
    throw new UsageError(
      `${given.join(', ')} ${given.length === 1 ? 'goes' : 'go'} with models on the command line, not with a config`,
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
    config: batchOptions(config),
    reads: configReads(path, loaded),
    ...(await configJobs({ config, root }, context.fileSystem)),
  };
}

async function fromPatterns(patterns: readonly string[], command: Command, context: Context): Promise<Requested> {
  const flags = readFlags(command, 'batch');
  const { output, exclude = [] } = flags;
  const { features, reads } = await givenFeatures(flags, context.fileSystem);
  const options: CutOptions = {
    ...optionsFor('cut', flags),
    ...(features === undefined ? {} : { features }),
    ...(context.flags.strict === undefined ? {} : { strict: context.flags.strict }),
  };
  return {
    root: '.',
    config: {},
    reads: reads.map((path) => resolve(path)),
    ...(await findJobs(
      patterns.map((pattern) => ({ pattern, output, options })),
      exclude,
      process.cwd(),
      context.fileSystem,
    )),
  };
}

/** Whether an option says which models are cut and how, as a config does, and not how to work. */
function saysWhat(key: OptionKey): boolean {
  const row = rowOf(key);
  return (
    key === 'output' ||
    key === 'exclude' ||
    row.selects !== undefined ||
    (row.in.includes('cut') && row.group !== GROUPS.common)
  );
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
