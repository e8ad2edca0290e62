import { Option, type Command } from 'commander';
import { UsageError } from '../errors.js';
import type { ReadLimits } from '../onnx/reader.js';
import type { Context } from './context.js';
import { MAX_STDIN_BYTES, readStdin } from './stdin.js';
import { parseBytes, parseCount } from './values.js';

interface ModelFlags {
  readonly maxStdin?: number;
  readonly maxIndex?: number;
  readonly maxDepth?: number;
  readonly maxName?: number;
  readonly timeout?: number;
}

const GROUP = 'Limits:';

/** Adds the limits of everything that opens a model; `timed` says what `--timeout` is for. */
export function addModelFlags(command: Command, timed = 'time for ONNX Runtime to work out shapes (default: 60)'): void {
  const options = [
    new Option('--max-index <bytes>', 'memory for the graph without its weights (default: 512MiB)').argParser((text: string) => parseBytes('--max-index', text)),
    new Option('--max-depth <n>', 'messages inside messages (default: 100)').argParser((text: string) => parseCount('--max-depth', text, 1)),
    new Option('--max-name <bytes>', 'length of one name (default: 64KiB)').argParser((text: string) => parseBytes('--max-name', text)),
    new Option('--max-stdin <bytes>', 'largest model on standard input (default: 1GiB)').argParser((text: string) => parseBytes('--max-stdin', text)),
    new Option('--timeout <seconds>', timed).argParser((text: string) => parseCount('--timeout', text, 1)),
  ];
  for (const option of options) command.addOption(option.helpGroup(GROUP));
}

export function modelLimits(command: Command): Partial<ReadLimits> {
  const { maxIndex, maxDepth, maxName } = command.opts<ModelFlags>();
  return {
    ...(maxIndex === undefined ? {} : { indexBytes: maxIndex }),
    ...(maxDepth === undefined ? {} : { depth: maxDepth }),
    ...(maxName === undefined ? {} : { nameBytes: maxName }),
  };
}

/** Time limit of the runtime in milliseconds; undefined for the default. */
export function timeoutMs(command: Command): number | undefined {
  const { timeout } = command.opts<ModelFlags>();
  return timeout === undefined ? undefined : timeout * 1_000;
}

/** What a MODEL operand names: a path, or the bytes on standard input for `-`. */
export async function modelSource(operand: string, command: Command, context: Context): Promise<string | Uint8Array> {
  if (operand === '') throw new UsageError('MODEL is an empty path');
  if (operand !== '-') return operand;
  return readStdin(context.io.stdin, command.opts<ModelFlags>().maxStdin ?? MAX_STDIN_BYTES, context.io.signal);
}
