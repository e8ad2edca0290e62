import { Option, type Command } from 'commander';
import { UsageError } from '../errors.js';
import { inspect } from '../inspect.js';
import { inspectCsv, inspectCsvHeader } from '../report/inspect-csv.js';
import { inspectText } from '../report/inspect-text.js';
import type { InspectReport } from '../report/records.js';
import type { CliCommand } from './command.js';
import type { Context } from './context.js';
import { ExitCode, exitCodeOf } from './exit-codes.js';
import { asFeatxError } from './io.js';
import { addModelFlags, modelLimits, modelSource, runtimeLimits } from './model-flags.js';
import { addSelectionFlags, selectionOptions } from './selection-flags.js';
import { parseIndices } from './values.js';

interface InspectFlags {
  readonly csv?: boolean;
  readonly tensors?: boolean;
  readonly explain?: number;
}

export const inspectCommand: CliCommand = {
  configure(command) {
    command
      .argument('<model...>', 'ONNX files; - reads standard input')
      .usage('MODEL... [flags]')
      .addOption(new Option('--tensors', 'list every tensor too'))
      .addOption(new Option('--csv', 'print CSV, one line per feature (with --tensors: per tensor)'))
      .addOption(
        new Option('--explain <index>', 'say why a feature was chosen and what else was tried').argParser(parseIndex),
      )
      .addHelpText('after', EXAMPLES);
    addSelectionFlags(command);
    addModelFlags(command);
  },

  async run(operands, command, context) {
    const { csv, tensors, explain } = command.opts<InspectFlags>();
    if (csv && context.flags.json) throw new UsageError('--csv and --json exclude each other');
    if (operands.filter((operand) => operand === '-').length > 1)
      throw new UsageError('standard input (-) can be read once only');
    const options = {
      ...(await selectionOptions(command, context.fileSystem)),
      listTensors: tensors,
      explain,
      limits: modelLimits(command),
      ...runtimeLimits(command),
      strict: context.flags.strict,
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    };
    const failures: number[] = [];
    for (const [position, operand] of operands.entries()) {
      let report: InspectReport;
      try {
        report = await inspect(await modelSource(operand, command, context), { ...options, name: operand });
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
      await print(report, position === failures.length, command, context);
    }
    if (failures.length === 0) return ExitCode.done;
    return failures.length < operands.length ? ExitCode.partial : Math.max(...failures);
  },
};

async function print(report: InspectReport, isFirst: boolean, command: Command, context: Context): Promise<void> {
  const { csv, tensors } = command.opts<InspectFlags>();
  if (context.flags.json) await context.record(report);
  else if (csv) await context.stdout.write((isFirst ? inspectCsvHeader(tensors === true) : '') + inspectCsv(report));
  else await context.stdout.write((isFirst ? '' : '\n') + inspectText(report, context.style));
}

function parseIndex(text: string): number {
  const indices = parseIndices('--explain', text);
  if (indices.length !== 1) throw new UsageError(`--explain takes one index, not '${text}'`);
  return indices[0];
}

const EXAMPLES = `
Examples:
  featx inspect backbone.onnx
  featx inspect backbone.onnx --explain 3        why feature 3 is this tensor
  featx inspect backbone.onnx --tensors --csv    every tensor, for a spreadsheet
  featx inspect *.onnx --json                    one JSON record per line
`;
