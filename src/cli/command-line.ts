import { commandName } from './command-name.js';
import { Context } from './context.js';
import { ExitCode, exitCodeOf } from './exit-codes.js';
import { removeUnfinished } from '../wire/temporary-names.js';
import { asFeatxError, ClosedPipe, type CliIo } from './io.js';

/** Parses a command line, runs its command, and tells its errors. */
export async function runCommandLine(argv: readonly string[], io: CliIo): Promise<number> {
  // Unparsed flags still decide how an error in the parsing itself is told.
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  const early = {
    json: flags.includes('--json'),
    color: !flags.includes('--no-color'),
    debug: flags.includes('--debug'),
  };
  let context = new Context(io, commandName(argv) ?? null, early);
  io.onExit?.(removeUnfinished);
  try {
    const { parseCommandLine } = await import('./program.js');
    const parsed = await parseCommandLine(argv, context);
    if ('help' in parsed) {
      await (parsed.exitCode === ExitCode.done ? context.stdout : context.stderr).write(parsed.help);
      return parsed.exitCode;
    }
    context = new Context(io, parsed.command, parsed.flags);
    const exitCode = await parsed.run(context);
    if (io.stdoutIsLost && context.stdout.hasBegun)
      await context.note('standard output was closed, or leads nowhere: what was printed is lost');
    return exitCode;
  } catch (error) {
    return await endWith(error, io, context);
  }
}

/** Tells an error in whatever way is still open; resolves to the exit code. */
export async function endWith(error: unknown, io: CliIo, context = new Context(io, null, {})): Promise<number> {
  const { signal } = io;
  if (signal.aborted && typeof signal.reason === 'number') return signal.reason;
  const failure = asFeatxError(error);
  try {
    if (failure instanceof ClosedPipe) return ExitCode.closedPipe;
    await context.fail(failure);
    return exitCodeOf(failure);
  } catch (second) {
    // Standard output is the one that failed.
    if (second instanceof ClosedPipe) return ExitCode.closedPipe;
    const unwritten = asFeatxError(second);
    await context.fail(unwritten, { recordIsDue: false });
    return exitCodeOf(unwritten);
  }
}
