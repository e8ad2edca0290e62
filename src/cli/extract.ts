import { Option, type Command } from 'commander';
import { UsageError } from '../errors.js';
import { extract } from '../extract.js';
import type { Layout } from '../features/feature.js';
import { escapeText } from '../report/escape.js';
import { extractText } from '../report/extract-text.js';
import type { ExtractReport } from '../report/records.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { addModelFlags, modelLimits, modelSource, runtimeLimits } from './model-flags.js';
import { progressLine } from './progress.js';
import { addSelectionFlags, selectionOptions, type SelectionOptions } from './selection-flags.js';
import { parseBytes, parseNames } from './values.js';

interface ExtractFlags {
  readonly output?: string;
  readonly mode?: 'dict' | 'list' | 'hook';
  /** Absent unless `--rewrite` or `--no-rewrite` was given. */
  readonly rewrite?: boolean;
  readonly keepOutputs?: boolean;
  readonly order?: 'out' | 'exec';
  readonly outMap?: readonly string[];
  readonly outputFmt?: Layout;
  readonly featureConcat?: boolean;
  readonly weights?: ExtractReport['weights'];
  readonly align?: number;
  readonly dryRun?: boolean;
  readonly verify?: boolean;
  readonly clobber?: boolean;
  readonly follow?: boolean;
  readonly inPlace?: boolean;
  readonly strictExternal?: boolean;
  readonly features?: string;
}

export const extractCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'ONNX file; - reads standard input')
      .usage('MODEL --out 1,2,3 [flags]')
      .addOption(
        new Option(
          '-o, --output <path>',
          'file to write, - for standard output (default: MODEL.features.onnx beside MODEL)',
        ),
      )
      .addOption(
        new Option(
          '--mode <mode>',
          'dict: pruned graph, outputs named by index; list: pruned, named as their tensors; hook: added to the outputs (default: dict)',
        ).choices(['dict', 'list', 'hook']),
      )
      .addOption(new Option('--rewrite', 'hook mode: drop what the features do not need'))
      .addOption(new Option('--no-rewrite', 'hook mode: keep the whole network (default)'))
      .addOption(new Option('--keep-outputs', 'the original outputs follow the features'))
      .addOption(
        new Option(
          '--order <order>',
          'outputs in the order asked for or as the network computes them (default: out)',
        ).choices(['out', 'exec']),
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
        new Option('--feature-concat', 'concatenate the outputs of a module on axis 1 instead of taking the first'),
      )
      .addOption(
        new Option(
          '--weights <where>',
          'keep them where they are; embed all; an external sidecar; or a reference into MODEL (default: keep)',
        ).choices(['keep', 'embed', 'external', 'reference']),
      )
      .addOption(
        new Option('--align <bytes>', 'alignment of tensors in the sidecar (default: 4096)').argParser((text: string) =>
          parseBytes('--align', text),
        ),
      )
      .addOption(new Option('--dry-run', 'print the plan and write nothing'))
      .addOption(
        new Option(
          '--verify',
          'run both models on the same input before the file appears, and refuse it if they differ',
        ),
      )
      .addOption(new Option('--no-clobber', 'do not replace an existing file'))
      .addOption(new Option('--follow', 'where the output is a symbolic link, replace what it points to'))
      .addOption(new Option('--in-place', 'allow the output to be MODEL itself'))
      .addOption(new Option('--strict-external', 'refuse external data that has several hard links'))
      .addHelpText('after', EXAMPLES);
    addSelectionFlags(command);
    addModelFlags(command);
  },

  async run([operand], command, context) {
    const { output, clobber, verify: isVerified, features, ...flags } = command.opts<ExtractFlags>();
    const selection = await selectionOptions(command, context.fileSystem);
    if (output === '') throw new UsageError('-o is an empty path');
    if (output === '-' && context.flags.json)
      throw new UsageError('-o - writes the model to standard output, where --json would print', {
        hint: 'name a file, or leave out --json',
      });
    if (output === '-' && context.io.stdoutIsTerminal)
      throw new UsageError('-o - would print the bytes of a model to the terminal', {
        hint: 'name a file, or send standard output to one',
      });
    if (operand === '-' && output === undefined && !flags.dryRun)
      throw new UsageError('the model comes from standard input, so its output has no default name', {
        hint: 'name it with -o, or -o - for standard output',
      });
    if (isVerified && (output === '-' || flags.dryRun))
      throw new UsageError(`--verify checks a file, and ${flags.dryRun ? '--dry-run' : '-o -'} writes none`);
    const source = await modelSource(operand, command, context);
    const progress = progressLine(context, 'writing');
    let report: ExtractReport;
    try {
      report = await extract(source, output ?? null, {
        ...selection,
        ...flags,
        reads: features === undefined ? [] : [features],
        noClobber: clobber === false,
        limits: modelLimits(command),
        ...runtimeLimits(command),
        strict: context.flags.strict,
        signal: context.io.signal,
        onProgress: progress.update,
        name: operand,
        fileSystem: context.fileSystem,
        verifyFile: isVerified ? (path) => isSame(source, path, command, selection, context) : undefined,
        write: output === '-' ? (bytes: Uint8Array) => context.stdout.write(bytes) : undefined,
      });
    } finally {
      progress.end();
    }
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet && report.output !== '-')
      await context.stdout.write(extractText(report, flags.dryRun === true, context.style));
    if (!flags.dryRun && report.output !== null && report.output !== '-') await context.note(howToRun(report));
    return ExitCode.done;
  },
};

/** Whether the finished file computes what the model computes. */
async function isSame(
  source: string | Uint8Array,
  path: string,
  command: Command,
  { inputShapes }: SelectionOptions,
  { fileSystem, io }: Context,
): Promise<boolean> {
  const { verify } = await import('../verify.js');
  return (
    await verify(source, path, {
      inputShapes,
      limits: modelLimits(command),
      isolate: true,
      ...runtimeLimits(command, 'run'),
      fileSystem,
      signal: io.signal,
    })
  ).equal;
}

/** The command that runs the result; features that were selected by name have no index to be found by. */
function howToRun({ output, features }: ExtractReport): string {
  const byName = features.some(({ index }) => index === null)
    ? features.map(({ output: name }) => ` --tensor ${shellWord(name.replace(/[*?\\]/g, '\\$&'))}`)
    : [];
  return `run it: featx run ${shellWord(output ?? '')}${byName.join('')} --input FILE -o features.npz`;
}

/** As a POSIX shell and PowerShell read it back. */
function shellWord(text: string): string {
  const shown = escapeText(text);
  return /^[\w./:@%+=,-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`;
}

const EXAMPLES = `
Examples:
  featx extract backbone.onnx --out 1,2,3
  featx extract backbone.onnx --out 1,2,3 --out-map p2,p3,p4 -o pyramid.onnx
  featx extract backbone.onnx --module layer2 --tensor /layer3/add_output_0
  featx extract backbone.onnx --mode hook --out -1           the last feature beside the classifier's output
  featx extract backbone.onnx --embedding --weights reference    a file of a few KB that uses MODEL's weights
`;
