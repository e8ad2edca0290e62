import { spawn, type ChildProcess } from 'node:child_process';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { IoError, RuntimeError, TimeoutError } from '../errors.js';
import { printable } from '../wire/text.js';
import { CHANNELS, FrameReader, type Frame, type PayloadMemory } from './frames.js';
import { assertMemoryLimits, watchMemory } from './memory.js';

/** A program to run under supervision, and what its answers mean. */
export interface Program {
  /** What it is, for messages: `the worker process`. */
  readonly name: string;
  /** The file of the program. It gets our process id as its first argument. */
  readonly entry: string;
  /** Variables of its environment that ours may override. */
  readonly environment?: { readonly [name: string]: string };
  /** Open files that it gets as descriptors 4, 5, …; its second argument then is `shares`. */
  readonly descriptors?: readonly number[];
  /** Resident memory beyond which it is killed, in bytes; null for no limit. */
  readonly memoryBytes: number | null;
  /** What to do about too little memory. */
  readonly memoryHint: string;
  /** Where the payloads of its answers go. */
  readonly memory?: PayloadMemory;
  /** What it works on, for messages; null while it is idle. */
  readonly subject: () => string | null;
  /** Takes an answer. @throws Error if it is not one */
  readonly onAnswer: (frame: Frame) => void;
  /** Called once, when the process has ended or is about to. */
  readonly onOver: (over: Over) => void;
}

/** Why a process does no more work. */
export interface Over {
  readonly error: Error;
  /** The signal that ended it; null for an exit and for a process that never started. */
  readonly signal: string | null;
}

const KEPT_STDERR = 4 * 1024;
/**
 * How long the pipes of a process that has ended must be quiet to count as read; a process that it left behind may keep
 * them open for ever.
 */
const QUIET_MS = 250;

/**
 * A child's program: `<name>.js` beside the module, in the library as in the bundles of the command line; in the
 * sources what src/testing bundles.
 */
export function programBeside(moduleUrl: string, name: string): string {
  return fileURLToPath(new URL(moduleUrl.endsWith('.ts') ? `../testing/${name}.mjs` : `./${name}.js`, moduleUrl));
}

/** Whether the directory that this process works in is there. */
function hasDirectory(): boolean {
  try {
    process.cwd();
    return true;
  } catch {
    return false;
  }
}

/**
 * A process of its own, which can be killed: questions go to its standard input, answers come from its descriptor 3,
 * and its last words are kept. Crashes, garbage, time and memory limits all end it the same way.
 */
export class SupervisedProcess {
  /** Resolves when the process is gone, whoever still holds its pipes. */
  readonly gone: Promise<void>;
  private readonly process: ChildProcess;
  private readonly reader: FrameReader;
  private readonly stopWatching: () => void;
  private over: Over | null = null;
  private timer: NodeJS.Timeout | undefined;
  private stderr = '';
  /** Chunks that came from it. */
  private heard = 0;

  /** @throws UsageError if memory is limited where it cannot be watched */
  constructor(private readonly program: Program) {
    const { name, entry, environment, descriptors = [], memoryBytes, memoryHint, memory } = program;
    if (memoryBytes !== null) assertMemoryLimits();
    const { NODE_OPTIONS: _ours, ...inherited } = process.env;
    const shares = descriptors.length > 0 ? ['shares'] : [];
    this.reader = new FrameReader(memory);
    this.process = spawn(process.execPath, [entry, String(process.pid), ...shares], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe', ...descriptors],
      // A deleted directory is none that a process can start in.
      cwd: hasDirectory() ? undefined : dirname(entry),
      env: { ...environment, ...inherited },
      windowsHide: true,
    });
    // Node gives a process that the system had no descriptors for no pipes at all, and its error later.
    if ((this.process.stdio as ChildProcess['stdio'] | undefined) === undefined) {
      this.process.on('error', () => undefined);
      throw new IoError(`cannot start ${name}: too many open files (EMFILE)`, {
        hint: 'raise the limit of open files: ulimit -n 1024',
      });
    }
    const outOfMemory = (seen: number): TimeoutError =>
      new TimeoutError(
        `${name} took ${seen} bytes of memory, more than the ${memoryBytes} allowed, and was killed${this.atWork}`,
        { code: 'FEATX_MEMORY', hint: memoryHint },
      );
    this.stopWatching =
      memoryBytes === null
        ? () => undefined
        : watchMemory(this.process.pid, memoryBytes, (seen) => this.stop(outOfMemory(seen)));
    this.gone = new Promise((resolve) => {
      this.process.on('error', (cause) => {
        this.stop(this.crash(`does not start: ${cause.message}`, { cause }), null);
        resolve();
      });
      this.process.once('exit', (code, signal) => {
        void this.readToEnd().then(() => this.onEnd(code, signal));
        resolve();
      });
    });
    this.requests.on('error', () => undefined);
    this.answers.on('error', () => undefined);
    this.answers.on('data', (chunk: Buffer) => this.onData(chunk));
    this.errors.setEncoding('utf8');
    this.errors.on('data', (text: string) => {
      this.heard++;
      this.stderr = (this.stderr + text).slice(-KEPT_STDERR);
    });
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** What the process wrote to standard error last, safe to show. */
  get lastWords(): string {
    return printable(this.stderr.trim());
  }

  send(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) this.requests.write(chunk);
  }

  /** Limits the time until the limit is lifted or set anew. */
  limitTime(timeoutMs: number, overdue: () => Error): void {
    this.liftTime();
    if (this.over === null) this.timer = setTimeout(() => this.stop(overdue()), timeoutMs);
  }

  liftTime(): void {
    clearTimeout(this.timer);
  }

  /** Whether our own process waits for this one before it ends. */
  keepAlive(alive: boolean): void {
    const method = alive ? 'ref' : 'unref';
    this.process[method]();
    for (const stream of [this.requests, this.errors, this.answers])
      (stream as unknown as { ref(): void; unref(): void })[method]();
  }

  /** Kills the process, for a reason; the first one counts. */
  stop(error: Error, signal: string | null = 'SIGKILL'): void {
    if (this.over !== null) return;
    this.over = { error, signal };
    this.stopWatching();
    this.liftTime();
    this.process.kill('SIGKILL');
    this.program.onOver(this.over);
  }

  private get requests(): Writable {
    return this.process.stdio[CHANNELS.requests] as Writable;
  }

  private get errors(): Readable {
    return this.process.stdio[2] as Readable;
  }

  private get answers(): Readable {
    return this.process.stdio[CHANNELS.answers] as Readable;
  }

  private get atWork(): string {
    const subject = this.program.subject();
    return subject === null ? '' : ` while it worked on ${subject}`;
  }

  private crash(what: string, details: { readonly hint?: string; readonly cause?: unknown }): RuntimeError {
    return new RuntimeError(`${this.program.name} ${what}`, { code: 'FEATX_CHILD_CRASH', ...details });
  }

  private onData(chunk: Uint8Array): void {
    this.heard++;
    if (this.over !== null) return;
    try {
      for (const frame of this.reader.push(chunk)) this.program.onAnswer(frame);
    } catch (cause) {
      this.stop(this.crash(`answers garbage: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }));
    }
  }

  /** Waits for what an ended process still has in its pipes, and closes them. */
  private async readToEnd(): Promise<void> {
    let isClosed = false;
    const closed = new Promise<void>((resolve) =>
      this.process.once('close', () => {
        isClosed = true;
        resolve();
      }),
    );
    // After a timer that comes late, an immediate lets what waits in the pipes come first.
    const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(() => setImmediate(resolve), QUIET_MS));
    for (let heard = -1; !isClosed && this.over === null && heard !== this.heard; ) {
      heard = this.heard;
      await Promise.race([closed, quiet()]);
    }
    for (const stream of [this.requests, this.errors, this.answers]) stream.destroy();
  }

  private onEnd(code: number | null, signal: NodeJS.Signals | null): void {
    const how = signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was killed by ${signal}`;
    const words = this.lastWords;
    const hint =
      signal === 'SIGKILL'
        ? 'the system may have run out of memory'
        : 'the model may be malformed, or ONNX Runtime has a defect';
    this.stop(this.crash(`${how}${this.atWork}${words && `; it said: ${words}`}`, { hint }), signal);
  }
}
