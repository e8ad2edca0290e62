import { Option, type Command } from 'commander';
import { UsageError } from '../errors.js';
import { LIMITS, type ReadLimits } from '../onnx/limits.js';
import type { Context } from './context.js';
import { MAX_STDIN_BYTES, readStdin } from './stdin.js';
import { parseBytes, parseCount } from './values.js';

interface ModelFlags extends Partial<Record<(typeof READ_FLAGS)[number][1], number>> {
  readonly maxStdin?: number;
  readonly maxMemory?: number;
  readonly timeout?: number;
}

const GROUP = 'Limits:';

/** The limits of the reader and the names under which commander keeps their flags. */
const READ_FLAGS = [
  ['indexBytes', 'maxIndex'],
  ['depth', 'maxDepth'],
  ['nameBytes', 'maxName'],
  ['functions', 'maxFunctions'],
  ['calls', 'maxCalls'],
  ['expansion', 'maxExpansion'],
] as const;

/** Memory for ONNX Runtime where it works out shapes, which takes no weights. */
const SHAPES_MEMORY_BYTES = 4 * 2 ** 30;
const SHAPES_SECONDS = 60;
/** Time for ONNX Runtime where it runs: nothing opens or runs a batch for longer, and a model that never ends must not hold up a build. */
const RUN_SECONDS = 600;

/** Adds the limits of everything that opens a model; `work`: what ONNX Runtime is for here. */
export function addModelFlags(command: Command, work: 'shapes' | 'run' = 'shapes'): void {
  const toRun = work === 'run';
  const options = [
    ...READ_FLAGS.map(([name]) => {
      const { flag, unit, what, reason, default: standard } = LIMITS[name];
      const isBytes = unit === 'bytes';
      return new Option(
        `${flag} <${unit}>`,
        `${what} (default: ${isBytes ? sizeText(standard) : standard}, ${reason})`,
      ).argParser((text: string) => (isBytes ? parseBytes(flag, text) : parseCount(flag, text, 1)));
    }),
    new Option(
      '--max-stdin <bytes>',
      'largest model on standard input (default: 1GiB, it is held in memory)',
    ).argParser((text: string) => parseBytes('--max-stdin', text)),
    new Option(
      '--max-memory <bytes>',
      `memory of the process of ONNX Runtime (${toRun ? 'default: no limit' : 'default: 4GiB, it gets no weights'}; not on Windows)`,
    ).argParser((text: string) => parseBytes('--max-memory', text)),
    new Option(
      '--timeout <seconds>',
      toRun
        ? `time for opening the model and for each batch (default: ${RUN_SECONDS}, so that no model hangs a build)`
        : `time for ONNX Runtime to work out shapes (default: ${SHAPES_SECONDS}, so that no model hangs a build)`,
    ).argParser((text: string) => parseCount('--timeout', text, 1)),
  ];
  for (const option of options) command.addOption(option.helpGroup(GROUP));
}

function sizeText(bytes: number): string {
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20}MiB` : `${bytes / 2 ** 10}KiB`;
}

export function modelLimits(command: Command): Partial<ReadLimits> {
  const flags = command.opts<ModelFlags>();
  return Object.fromEntries(
    READ_FLAGS.flatMap(([name, flag]) => (flags[flag] === undefined ? [] : [[name, flags[flag]]])),
  );
}

/** Time limit of the runtime in milliseconds; undefined for the default. */
export function timeoutMs(command: Command): number | undefined {
  const { timeout } = command.opts<ModelFlags>();
  return timeout === undefined ? undefined : timeout * 1_000;
}

/** Limits of the process of ONNX Runtime. */
export function runtimeLimits(
  command: Command,
  work: 'shapes' | 'run' = 'shapes',
): { readonly timeoutMs: number; readonly memoryBytes?: number } {
  const { maxMemory } = command.opts<ModelFlags>();
  const standard = work === 'run' || process.platform === 'win32' ? undefined : SHAPES_MEMORY_BYTES;
  return {
    timeoutMs: timeoutMs(command) ?? (work === 'run' ? RUN_SECONDS : SHAPES_SECONDS) * 1_000,
    memoryBytes: maxMemory ?? standard,
  };
}

/** What a MODEL operand names: a path, or the bytes on standard input for `-`. */
export async function modelSource(operand: string, command: Command, context: Context): Promise<string | Uint8Array> {
  if (operand === '') throw new UsageError('MODEL is an empty path');
  if (operand !== '-') return operand;
  return readStdin(context.io.stdin, command.opts<ModelFlags>().maxStdin ?? MAX_STDIN_BYTES, context.io.signal);
}
