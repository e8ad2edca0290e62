import { isAbsolute, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { isAddress } from '../remote/address.js';
import { findFiles } from '../wire/find-files.js';
import { inspect } from '../inspect.js';
import { inspectCsv, inspectCsvHeader } from '../report/inspect-csv.js';
import { inspectText } from '../report/inspect-text.js';
import type { FlagsOf } from '../options/types.js';
import type { InspectReport } from '../report/records.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode, exitCodeOf } from './exit-codes.js';
import { asFeatxError } from './io.js';
import { optionsFor, readFlags } from './flags.js';
import { givenFeatures } from './selection-flags.js';
import { modelName, modelSource, remoteFlags, runtimeLimits } from './model-flags.js';

/** `featx inspect`: its arguments, its help, and how it prints what the function of its name returns. */
export const inspectCommand: CliCommand = {
  configure(command) {
    command
      .argument(
        '<model...>',
        'ONNX files, folders, patterns in quotes, or URLs (https://, hf://); - reads standard input',
      )
      .usage('MODEL... [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run(given, command, context) {
    const flags = readFlags(command, 'inspect');
    const operands = await modelsNamed(given, context);
    const { csv } = flags;
    if (csv && context.flags.json) throw new UsageError('--csv and --json exclude each other');
    if (operands.filter((operand) => operand === '-').length > 1)
      throw new UsageError('standard input (-) can be read once only');
    const { features } = await givenFeatures(flags, context.fileSystem);
    const options = {
      ...optionsFor('inspect', flags),
      features,
      ...runtimeLimits(flags),
      remote: remoteFlags(flags, context),
      strict: context.flags.strict,
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    };
    const failures: number[] = [];
    for (const [position, operand] of operands.entries()) {
      let report: InspectReport;
      try {
        report = await inspect(await modelSource(operand, flags, context), {
          ...options,
          name: modelName(operand, context),
        });
      } catch (error) {
        if (operands.length === 1 || context.io.signal.aborted) throw error;
        const failure = asFeatxError(error);
        await context.fail(failure, { subject: operand });
        failures.push(exitCodeOf(failure));
        continue;
      }
      await context.warn(
        operands.length === 1
          ? report.warnings
          : report.warnings.map((warning) => (warning.includes(operand) ? warning : `${operand}: ${warning}`)),
      );
      await print(report, position === failures.length, flags, context);
    }
    if (failures.length === 0) return ExitCode.done;
    return failures.length < operands.length
      ? ExitCode.partial
      : failures.reduce((worst, code) => Math.max(worst, code));
  },
};

/**
 * What operands name: a model each, or all that a folder or a pattern finds.
 * @throws UsageError if it finds none, IoError
 */
async function modelsNamed(operands: readonly string[], context: Context): Promise<readonly string[]> {
  const models: string[] = [];
  for (const operand of operands) {
    if (operand === '' || operand === '-' || isAddress(operand)) {
      models.push(operand);
      continue;
    }
    const warnings: string[] = [];
    const found = await findFiles(operand, '.', {
      fs: context.fileSystem,
      warn: (warning) => void warnings.push(warning),
    });
    await context.warn(warnings);
    if (!found.isLiteral && found.files.length === 0)
      throw new UsageError(`${operand} has no model in it`, {
        path: operand,
        hint: 'models end in .onnx; a pattern takes *, ?, [a-z], {a,b} and ** for any number of folders',
      });
    // What was named from the root is shown from there.
    const shown = isAbsolute(operand) ? (item: string): string => resolve(item) : (item: string): string => item;
    models.push(...(found.isLiteral ? [operand] : found.files.map(({ item }) => shown(item))));
  }
  return models;
}

async function print(
  report: InspectReport,
  isFirst: boolean,
  { csv, listTensors }: FlagsOf<'inspect'>,
  context: Context,
): Promise<void> {
  if (context.flags.json) await context.record(report);
  else if (csv)
    await context.stdout.write((isFirst ? inspectCsvHeader(listTensors === true) : '') + inspectCsv(report));
  else await context.print((isFirst ? '' : '\n') + inspectText(report, context.style));
}

const EXAMPLES = `
Examples:
  featx inspect backbone.onnx
  featx inspect backbone.onnx --explain 3        why feature 3 is this tensor; neck:0 of a group
  featx inspect backbone.onnx --tensors --csv    every tensor, for a spreadsheet
  featx inspect *.onnx --json                    one JSON record per line; "models/**/*.onnx" and folders too
  featx inspect hf://onnx-community/mobilenetv4/onnx/model.onnx    fetches the graph, not the weights
`;
