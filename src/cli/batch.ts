import { relative, resolve } from 'node:path';
import { isAddress } from '../remote/address.js';
import { previewPlan, runPlan, type PlannedReport } from '../batch/batch.js';
import { CONFIG_NAME } from '../batch/config.js';
import { type BatchPlan, planJobs } from '../batch/jobs.js';
import { leftOutText } from '../batch/look-into.js';
import type { BatchSummary, JobReport } from '../batch/reports.js';
import { STATE_DIRECTORY } from '../options/batching.js';
import type { Shard } from '../options/values.js';
import { assertNoWarnings } from '../report/strict.js';
import { shardFromEnvironment } from '../shards/shard.js';
import { configPaths } from '../tensors/beside-model.js';
import { failureText, itemLine, planLine, planSummaryText, shownPath, summaryText } from './batch-lines.js';
import { batchProgress } from './batch-progress.js';
import { requested } from './batch-request.js';
import { changes } from './batch-watch.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { readFlags } from './flags.js';
import { annotation, isGithub, writeJobSummary } from './github.js';
import type { Command } from 'commander';

/** `featx batch`: its arguments, its help, and how it prints what the function of its name returns. */
export const batchCommand: CliCommand = {
  configure(command) {
    command
      .argument(
        '[config|model...]',
        `a config (default: ${CONFIG_NAME}), or models: paths, folders, globs in quotes, URLs`,
      )
      .usage('CONFIG | MODEL... [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run(operands, command, context) {
    const flags = readFlags(command, 'batch');
    if (flags.plan) return printPlan(await planned(operands, command, context), context);
    if (!flags.watch) return runOnce(await planned(operands, command, context), context);
    const files = async (): Promise<string[]> => {
      const { jobs, root, reads } = await requested(operands, command, context);
      const models = [...jobs].map(({ input }) => resolve(root, input));
      return [...models, ...new Set(models.flatMap(configPaths)), ...reads];
    };
    const run = async (): Promise<number> => runOnce(await planned(operands, command, context), context);
    return changes({ run, find: files }, context);
  },
};

/** A batch as a command line asks for it. */
interface Planned {
  readonly plan: BatchPlan;
  /** Cuts of featx that are left out. */
  readonly cuts: readonly string[];
  /** Files that were read to know what to cut; absolute. */
  readonly reads: readonly string[];
  readonly config: Awaited<ReturnType<typeof requested>>['config'];
  readonly flags: ReturnType<typeof readFlags<'batch'>>;
  readonly common: {
    readonly stateDirectory: string;
    readonly force?: boolean;
    readonly check?: 'stat' | 'content';
    readonly fileSystem: Context['fileSystem'];
    readonly shard?: Pick<Shard, 'index' | 'count'>;
  };
}

async function planned(operands: readonly string[], command: Command, context: Context): Promise<Planned> {
  const flags = readFlags(command, 'batch');
  const { root, jobs, cuts, config, reads, ...found } = await requested(operands, command, context);
  const warnings = [...found.warnings, ...(cuts.length === 0 ? [] : [leftOutText(cuts)])];
  if (context.flags.strict) assertNoWarnings(warnings);
  await context.warn(warnings);
  const shard = flags.shard ?? shardFromEnvironment(context.io.env);
  if (shard !== null && flags.shard === undefined)
    await context.note(`shard ${shard.index} of ${shard.count} (from ${shard.from})`);
  const common = {
    stateDirectory: flags.stateDirectory ?? STATE_DIRECTORY,
    force: flags.force,
    check: flags.check ?? config.check,
    fileSystem: context.fileSystem,
    ...(shard === null || shard.count === 1 ? {} : { shard: { index: shard.index, count: shard.count } }),
  };
  return { plan: planJobs(jobs, root, reads), cuts, reads, config, flags, common };
}

/** Prints what would be done; exit code 1 if something would be refused. */
async function printPlan({ plan, cuts, common }: Planned, context: Context): Promise<number> {
  const left = cuts.map(
    (item): PlannedReport => ({
      schema: 1,
      command: 'batch-plan',
      item,
      output: null,
      action: 'leave',
      error: null,
      options: null,
    }),
  );
  const actions: PlannedReport['action'][] = [];
  for await (const found of previewPlan(plan, common)) {
    const record = context.inFlags(found);
    actions.push(record.action);
    if (context.flags.json) await context.record(record);
    else await context.print(planLine(record, plan.root));
  }
  if (context.flags.json) for (const record of left) await context.record(record);
  else if (!context.flags.quiet) await context.print(`${planSummaryText(actions)}\n`);
  return actions.includes('refuse') ? ExitCode.partial : ExitCode.done;
}

/** Does what is planned and says so, an item a line. */
async function runOnce({ plan, cuts, reads, config, flags, common }: Planned, context: Context): Promise<number> {
  const progress = batchProgress(context);
  const reports = runPlan(plan, {
    ...common,
    jobs: flags.jobs ?? config.jobs,
    timeoutMs: flags.timeoutMs ?? config.timeoutMs,
    memoryBytes: flags.memoryBytes ?? config.memoryBytes,
    failFast: flags.failFast ?? (flags.keepGoing === true ? false : config.failFast),
    resume: flags.resume,
    manifest: flags.manifest,
    remote: flags.remote,
    reads,
    signal: context.io.signal,
    onProgress: progress.update,
  });
  const failed: JobReport[] = [];
  let summary: BatchSummary;
  try {
    for (;;) {
      const next = await reports.next();
      if (next.done) {
        summary = next.value;
        break;
      }
      progress.clear();
      const report = context.inFlags(next.value);
      if (report.status === 'failed') failed.push(report);
      await printItem(report, plan.root, context);
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
  if (context.flags.json) await context.record(cuts.length === 0 ? summary : { ...summary, left_out: cuts });
  else if (!context.flags.quiet) await context.print(`${summaryText(summary)}\n`);
  if (isGithub(context.io.env))
    await writeJobSummary(context.io.env, { summary, failed }, context.fileSystem).catch((error: unknown) =>
      context.complain(`featx: warning: the summary of the job cannot be written: ${String(error)}\n`),
    );
  const { signal } = context.io;
  if (signal.aborted && typeof signal.reason === 'number') return signal.reason;
  return summary.failed > 0 ? ExitCode.partial : ExitCode.done;
}

/** A line or record on standard output; a failure on standard error too, whatever is asked for. */
async function printItem(report: JobReport, root: string, context: Context): Promise<void> {
  const path = resolve(root, report.item);
  if (report.status === 'failed') {
    await context.complain(failureText(report, root));
    if (isGithub(context.io.env)) await context.complain(annotation(report, relative('.', path).replaceAll('\\', '/')));
  }
  if (context.flags.json) {
    await context.record(report);
    return;
  }
  await context.warn((report.report?.warnings ?? []).map((warning) => `${shownPath(report.item, root)}: ${warning}`));
  if (report.status === 'failed' || context.flags.quiet) return;
  // What a model behind a URL takes, nobody here knows.
  const size = isAddress(report.item)
    ? null
    : await context.fileSystem.stat(path).then(
        (stats) => Number(stats.size),
        () => null,
      );
  await context.print(itemLine(report, size, root));
}

const EXAMPLES = `
Examples:
  featx batch                                                 what featx.config.json says (featx init writes one)
  featx batch "models/**/*.onnx" --out 1,2,3 -o "features/{rel}/{name}.onnx"
  featx batch --plan
  featx batch --watch                                         again whenever a model or the config changes
  featx batch --resume                                        after a crash, a kill or Ctrl-C
  featx batch --shard 3/8                                     the third of eight machines; featx merge joins them
`;
