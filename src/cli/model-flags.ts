import { UsageError } from '../errors.js';
import { MAX_STDIN_BYTES, RUN_SECONDS, SHAPES_MEMORY_BYTES, SHAPES_SECONDS } from '../options/limits.js';
import type { OptionsOf } from '../options/types.js';
import { inputName } from '../open.js';
import type { RemoteOptions } from '../remote/settings.js';
import type { Context } from './context.js';
import { readStdin } from './stdin.js';

/** Limits of the process of ONNX Runtime, with their defaults; `work`: what it is for. */
export function runtimeLimits(
  { timeoutMs, memoryBytes }: { readonly timeoutMs?: number; readonly memoryBytes?: number },
  work: 'shapes' | 'run' = 'shapes',
): { readonly timeoutMs: number; readonly memoryBytes?: number } {
  const standard = work === 'run' || process.platform === 'win32' ? undefined : SHAPES_MEMORY_BYTES;
  return {
    timeoutMs: timeoutMs ?? (work === 'run' ? RUN_SECONDS : SHAPES_SECONDS) * 1_000,
    memoryBytes: memoryBytes ?? standard,
  };
}

/** How remote files are fetched: what flags say, in the environment of the process. */
export function remoteFlags({ remote }: { readonly remote?: RemoteOptions }, { io }: Context): RemoteOptions {
  return { ...remote, environment: io.env };
}

/** What commands share that run features for a page. */
export function pageFlags(
  flags: Parameters<typeof remoteFlags>[0] &
    Parameters<typeof runtimeLimits>[0] & {
      readonly providers?: OptionsOf<'run'>['providers'];
      readonly output?: string;
    },
  context: Context,
) {
  if (flags.output === '' || flags.output === '-') throw new UsageError('-o names no file for the page');
  return {
    providers: flags.providers ?? ('auto' as const),
    isolate: true,
    ...runtimeLimits(flags, 'run'),
    remote: remoteFlags(flags, context),
    inWords: (message: string) => context.inFlags({ message }).message,
    strict: context.flags.strict,
    signal: context.io.signal,
    fileSystem: context.fileSystem,
  };
}

/** What a MODEL operand is called in records: as it is given, but for what may be secret in a URL. */
export function modelName(operand: string, { io }: Context): string {
  return inputName(operand, { environment: io.env }) ?? operand;
}

/** What a MODEL operand names: a path or a URL, or the bytes on standard input for `-`. */
export async function modelSource(
  operand: string,
  { maxStdin = MAX_STDIN_BYTES }: { readonly maxStdin?: number },
  context: Context,
): Promise<string | Uint8Array> {
  if (operand === '') throw new UsageError('MODEL is an empty path');
  if (operand !== '-') return operand;
  return readStdin(context.io.stdin, maxStdin, context.io.signal);
}
