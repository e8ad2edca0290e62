import { VERSION } from '../version.js';
import { Context } from './context.js';
import { ExitCode, exitCodeOf } from './exit-codes.js';
import { asFeatxError, ClosedPipe, Interruption, type CliIo } from './io.js';

/** How long a command may take to clean up after a signal. */
const GRACE_MS = 2_000;
const SIGNALS = [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const;

/** Runs one command line; resolves to the exit code once everything printed has been delivered. */
export async function main(argv: readonly string[], io: CliIo): Promise<number> {
  // Unparsed flags still decide how an error in the parsing itself is told.
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  let context = new Context(io, null, { json: flags.includes('--json'), color: !flags.includes('--no-color'), debug: flags.includes('--debug') });
  try {
    if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
      await context.stdout.write(`${VERSION}\n`);
      return ExitCode.done;
    }
    const { parseCommandLine } = await import('./program.js');
    const parsed = await parseCommandLine(argv, context);
    if ('help' in parsed) {
      await (parsed.exitCode === ExitCode.done ? context.stdout : context.stderr).write(parsed.help);
      return parsed.exitCode;
    }
    context = new Context(io, parsed.command, parsed.flags);
    return await parsed.run(context);
  } catch (error) {
    return await endWith(error, context);
  }
}

/** Tells the error, in whatever way is still open. */
async function endWith(error: unknown, context: Context): Promise<number> {
  const { signal } = context.io;
  if (signal.aborted && signal.reason instanceof Interruption) return signal.reason.exitCode;
  if (error instanceof ClosedPipe) return ExitCode.closedPipe;
  const failure = asFeatxError(error);
  try {
    await context.fail(failure);
  } catch (second) {
    if (second instanceof ClosedPipe) return ExitCode.closedPipe;
    const unwritten = asFeatxError(second);
    await context.fail(unwritten, false);
    return exitCodeOf(unwritten);
  }
  return exitCodeOf(failure);
}

/** Runs this process's command line and sets its exit code; the process ends by itself once its output has drained. */
export async function start(): Promise<void> {
  const interruption = new AbortController();
  for (const [name, exitCode] of SIGNALS) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(exitCode);
      interruption.abort(new Interruption(exitCode));
      setTimeout(() => process.exit(exitCode), GRACE_MS).unref();
    });
  }
  const { stdout, stderr, env } = process;
  process.exitCode = await main(process.argv.slice(2), {
    // Asking for standard input opens it.
    get stdin() {
      return process.stdin;
    },
    stdout,
    stderr,
    env,
    stdoutIsTerminal: stdout.isTTY === true,
    stderrIsTerminal: stderr.isTTY === true,
    columns: stdout.columns ?? (Number(env.COLUMNS) || null),
    signal: interruption.signal,
  });
}
