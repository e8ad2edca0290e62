import type { Readable } from 'node:stream';
import { VERSION } from '../version.js';
import { FeatxError, IoError } from '../errors.js';
import { ioError, errnoOf, type FileSystem, type OutputStream } from '../wire/fs.js';

/** Everything a command may touch of the process that runs it, so that a test can be that process. */
export interface CliIo {
  readonly stdin: Readable;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: { readonly [name: string]: string | undefined };
  /** Whether nobody can ever read standard output. */
  readonly stdoutIsLost?: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Columns of the terminal; null where there is none. */
  readonly columns: number | null;
  /** Aborted when the process is told to end; the reason is the exit code, 128 plus the number of the signal. */
  readonly signal: AbortSignal;
  /** Takes what must be done even where the process ends without waiting. */
  readonly onExit?: (listener: () => void) => void;
  /** Node's own by default. */
  readonly fileSystem?: FileSystem;
}

/** Nobody reads standard output any more: end quietly, as a program that SIGPIPE kills does. */
export class ClosedPipe extends FeatxError {
  constructor(cause: unknown) {
    super('ClosedPipe', 'FEATX_IO_PIPE', 'the reader of standard output is gone', { cause });
  }
}

function outputError(cause: unknown, name: string): FeatxError {
  const errno = errnoOf(cause);
  return errno === 'EPIPE' || errno === 'ERR_STREAM_DESTROYED' || errno === 'EOF'
    ? new ClosedPipe(cause)
    : ioError(cause, 'write to', name);
}

/** Writes that have arrived when their promise resolves. */
export class Output {
  private failure: unknown = null;
  private began = false;

  constructor(
    private readonly stream: OutputStream,
    private readonly name: string,
  ) {
    // Without a listener a failed write ends the process before it can say anything.
    stream.on('error', (error) => (this.failure ??= error));
  }

  /** Whether anything was written. */
  get hasBegun(): boolean {
    return this.began;
  }

  /** @throws ClosedPipe, IoError */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.failure !== null) throw outputError(this.failure, this.name);
    if (data.length === 0) return;
    this.began = true;
    await new Promise<void>((resolve, reject) => {
      this.stream.write(data, (error) => (error ? reject(outputError(error, this.name)) : resolve()));
    });
  }
}

/** Any error as one of ours; what is none of ours is a bug in featx. */
export function asFeatxError(error: unknown): FeatxError {
  if (error instanceof FeatxError) return error;
  const errno = errnoOf(error);
  if (errno === 'EPIPE') return new ClosedPipe(error);
  // System calls that no room has wrapped still tell the user about their machine, not about featx.
  const { syscall } = (error ?? {}) as { readonly syscall?: unknown };
  if (errno !== undefined && /^E[A-Z0-9]+$/.test(errno) && syscall !== undefined)
    return syscall === 'uv_cwd'
      ? new IoError('the working directory was deleted', {
          cause: error,
          hint: 'change to a directory that exists, and try again',
        })
      : new IoError(nameAndMessage(error), { cause: error });
  return new InternalError(error);
}

/** A bug in featx. */
class InternalError extends FeatxError {
  constructor(cause: unknown) {
    super('InternalError', 'FEATX_INTERNAL', `this is a bug in featx ${VERSION}: ${nameAndMessage(cause)}`, {
      cause,
      hint: 'run again with --debug and report the output, with the command and if you can the model',
    });
  }
}

function nameAndMessage(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return String(error);
}
