import { Readable, Writable } from 'node:stream';
import { main } from '../cli/main.js';
import type { CliIo } from '../cli/io.js';
import type { FileSystem } from '../wire/fs.js';

export interface CliResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderr: string;
}

export interface CliSetting {
  readonly stdin?: Uint8Array;
  readonly env?: CliIo['env'];
  readonly isTerminal?: boolean;
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** Instead of collecting what is printed. */
  readonly stdout?: Writable;
  readonly fileSystem?: FileSystem;
}

/** Runs a command line in this process. */
export async function runCli(argv: readonly string[], setting: CliSetting = {}): Promise<CliResult> {
  const out = collector();
  const err = collector();
  const exit = await main(argv, {
    stdin: Readable.from(setting.stdin === undefined ? [] : [setting.stdin]),
    stdout: setting.stdout ?? out.stream,
    stderr: err.stream,
    env: setting.env ?? {},
    stdoutIsTerminal: setting.isTerminal ?? false,
    stderrIsTerminal: setting.isTerminal ?? false,
    columns: setting.columns ?? null,
    signal: setting.signal ?? new AbortController().signal,
    fileSystem: setting.fileSystem,
  });
  return { exit, stdout: out.bytes().toString('utf8'), stdoutBytes: out.bytes(), stderr: err.bytes().toString('utf8') };
}

function collector(): { readonly stream: Writable; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(chunks) };
}
