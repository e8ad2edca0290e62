import { VERSION } from '../version.js';
import { DescriptorOutput, descriptorKind, isLost, rawArguments } from '../wire/fs.js';
import type { CliIo } from './io.js';

/** How long a command may take to clean up after a signal. */
const GRACE_MS = 2_000;
const [STDOUT, STDERR] = [1, 2];
const SIGNALS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const;

/** Runs one command line; resolves to the exit code once everything printed has been delivered. */
export async function main(argv: readonly string[], io: CliIo): Promise<number> {
  // Scripts ask for the version often; nothing else needs to load for it.
  if (argv.length === 1 && ['--version', '-V', 'version'].includes(argv[0])) {
    const failure = await deliver(io, `${VERSION}\n`);
    return failure == null ? 0 : (await import('./command-line.js')).endWith(failure, io);
  }
  return (await import('./command-line.js')).runCommandLine(argv, io);
}

/** Writes `text`; resolves to what went wrong. */
function deliver({ stdout }: CliIo, text: string): Promise<unknown> {
  return new Promise((resolve) => {
    stdout.on('error', resolve);
    stdout.write(text, resolve);
  });
}

/** The arguments of this process; those that are not UTF-8 as `decodeText` reads them. */
function ownArguments(): readonly string[] {
  const given = process.argv.slice(2);
  return given.some((argument) => argument.includes('\ufffd')) ? (rawArguments(given.length) ?? given) : given;
}

/** Runs this process's command line and sets its exit code; the process ends once its output has drained. */
export async function start(): Promise<void> {
  const interruption = new AbortController();
  for (const [name, exitCode] of SIGNALS) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(exitCode);
      interruption.abort(exitCode);
      setTimeout(() => process.exit(exitCode), GRACE_MS).unref();
    });
  }
  // Should nothing be left to wait for before the command has ended, that is a bug.
  process.once('exit', () => (process.exitCode ??= 70));
  const { env } = process;
  const [stdoutKind, stderrKind] = [STDOUT, STDERR].map(descriptorKind);
  const terminal = stdoutKind === 'terminal' ? process.stdout : null;
  process.exitCode = await main(ownArguments(), {
    // Asking for standard input opens it.
    get stdin() {
      return process.stdin;
    },
    stdout: terminal ?? new DescriptorOutput(STDOUT, stdoutKind, () => process.stdout),
    stderr: new DescriptorOutput(STDERR, stderrKind, () => process.stderr),
    env,
    stdoutIsLost: isLost(STDOUT),
    stdoutIsTerminal: terminal !== null,
    stderrIsTerminal: stderrKind === 'terminal',
    // A terminal that nobody has told its size says 0. Asking for process.stderr loads Node's stream of it.
    get columns() {
      const shown = terminal ?? (stderrKind === 'terminal' ? process.stderr : null);
      return shown?.columns || Number(env.COLUMNS) || null;
    },
    signal: interruption.signal,
    onExit: (listener) => process.once('exit', listener),
  });
  // With nothing left to wait for this only saves taking the heap apart, a tenth of a long command's time.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}
