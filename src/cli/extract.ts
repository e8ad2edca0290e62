import { UsageError } from '../errors.js';
import { extract } from '../extract.js';
import { readInputNames } from '../onnx/skim.js';
import { takesTokens } from '../tensors/text-items.js';
import { escapeText } from '../report/escape.js';
import { extractText } from '../report/extract-text.js';
import type { FlagsOf } from '../options/types.js';
import type { ExtractReport, VerifyReport } from '../report/records.js';
import { FileSource } from '../wire/file-source.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { givenFeatures } from './selection-flags.js';
import { modelName, modelSource, remoteFlags, runtimeLimits } from './model-flags.js';
import { progressLine } from './progress.js';

/** `featx extract`: its arguments, its help, and how it prints what the function of its name returns. */
export const extractCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model>', 'ONNX file or URL (https://, hf://); - reads standard input')
      .usage('MODEL --out 1,2,3 [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run([operand], command, context) {
    const flags = readFlags(command, 'extract');
    const { output, verify: isVerified } = flags;
    const given = await givenFeatures(flags, context.fileSystem);
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
    const source = await modelSource(operand, flags, context);
    const progress = progressLine(context, 'writing');
    let report: ExtractReport;
    try {
      report = await extract(source, output ?? null, {
        ...optionsFor('extract', flags),
        ...given,
        ...runtimeLimits(flags),
        remote: remoteFlags(flags, context),
        strict: context.flags.strict,
        signal: context.io.signal,
        onProgress: progress.update,
        name: modelName(operand, context),
        fileSystem: context.fileSystem,
        verifyFile: isVerified ? (path) => verdictOf(source, path, flags, context) : undefined,
        write: output === '-' ? (bytes: Uint8Array) => context.stdout.write(bytes) : undefined,
      });
    } finally {
      progress.end();
    }
    await context.warn(report.warnings);
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet && report.output !== '-')
      await context.print(extractText(report, flags.dryRun === true, context.style));
    if (!flags.dryRun && report.output !== null && report.output !== '-')
      await context.note(howToRun(report, await takesTexts(report.output, flags, context)));
    return ExitCode.done;
  },
};

/** Whether the finished file computes what the model computes. */
async function verdictOf(
  source: string | Uint8Array,
  path: string,
  flags: FlagsOf<'extract'>,
  context: Context,
): Promise<VerifyReport> {
  const { fileSystem, io } = context;
  const { verify } = await import('../verify.js');
  return verify(source, path, {
    inputShapes: flags.inputShapes,
    limits: flags.limits,
    isolate: true,
    ...runtimeLimits(flags, 'run'),
    remote: remoteFlags(flags, context),
    fileSystem,
    signal: io.signal,
  });
}

/** The command that runs the result: a cut gives what it was cut for. */
function howToRun({ output }: ExtractReport, isOfTexts: boolean): string {
  // Tokens of texts differ in number, which rows hold as they are.
  const files = isOfTexts ? '--text FILE.txt -o features.parquet' : '--input FILE -o features.npz';
  return `run it: featx run ${shellWord(output ?? '')} ${files}`;
}

/** Whether a model takes the tokens of texts, and nothing else. */
async function takesTexts(path: string, { limits }: FlagsOf<'extract'>, { fileSystem }: Context): Promise<boolean> {
  const file = await FileSource.open(path, fileSystem);
  try {
    const inputs = await readInputNames(file, limits);
    return inputs.length > 0 && inputs.every((name) => takesTokens({ name }));
  } finally {
    await file.close();
  }
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
  featx extract backbone.onnx --from module:layer3           what computes the original outputs from layer3
  featx extract backbone.onnx --embedding --weights reference    a file of a few KB that uses MODEL's weights
`;
