import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, Order } from './protocol.js';

/** How a child came to its end while it was working. */
export type Ending =
  | { readonly end: 'answered'; readonly answer: Answer }
  | { readonly end: 'crashed'; readonly how: string; readonly iteration: number }
  | { readonly end: 'stuck'; readonly iteration: number };

/** Memory of V8 well below the limit, so that what goes beyond it is not waste that nobody has collected yet. */
const FLAGS = ['--max-old-space-size=128', '--max-semi-space-size=16', '--stack-trace-limit=4', '--no-warnings'];
const LOOK_EVERY_MS = 50;
/** What Linux counts the time of a process in. */
const TICK_MS = 10;
/** How many times as long one may wait that does not work. */
const ASLEEP = 60;

let count = 0;

/** A process that runs inputs and is watched: it may crash or never come back. */
export class Child {
  private readonly positionFile = join(tmpdir(), `featx-fuzz-${process.pid}-${count++}`);
  private readonly descriptor = openSync(this.positionFile, 'w+');
  private readonly process: ChildProcess;
  private errors = '';

  constructor(
    private readonly worker: string,
    private readonly root: string,
  ) {
    writeSync(this.descriptor, new Uint8Array(8), 0, 8, 0);
    this.process = fork(this.worker, [this.root, this.positionFile], {
      execArgv: FLAGS,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.process.stderr?.on(
      'data',
      (text: Buffer) => (this.errors = (this.errors + text.toString('utf8')).slice(-2000)),
    );
  }

  /** The iteration that the child has begun. */
  position(): number {
    const position = new Float64Array(1);
    readSync(this.descriptor, new Uint8Array(position.buffer), 0, 8, 0);
    return position[0];
  }

  /**
   * Gives an order and waits; a child that works at one iteration for longer than `stuckMs`, or sleeps there for many
   * times as long, is killed. One that a busy machine gives no time is not stuck.
   */
  obey(order: Order, stuckMs: number): Promise<Ending> {
    return new Promise((resolve) => {
      let at = this.position();
      let since = performance.now();
      let worked = this.workedMs();
      const finish = (ending: Ending): void => {
        clearInterval(watch);
        this.process.removeAllListeners();
        resolve(ending);
      };
      const watch = setInterval(() => {
        const now = this.position();
        if (now !== at) {
          since = performance.now();
          worked = this.workedMs();
        }
        at = now;
        const waited = performance.now() - since;
        if (waited < stuckMs || (waited < stuckMs * ASLEEP && (this.workedMs() ?? Infinity) - (worked ?? 0) < stuckMs))
          return;
        finish({ end: 'stuck', iteration: at });
        this.kill();
      }, LOOK_EVERY_MS);
      this.process.once('message', (answer: Answer) => finish({ end: 'answered', answer }));
      this.process.once('exit', (code, signal) =>
        finish({
          end: 'crashed',
          how: `${signal ?? `exit code ${code}`} ${this.errors.trim()}`.trim(),
          iteration: this.position(),
        }),
      );
      this.process.once('error', (error) => finish({ end: 'crashed', how: error.message, iteration: this.position() }));
      this.process.send(
        order,
        (error) =>
          error &&
          finish({ end: 'crashed', how: `${error.message} ${this.errors.trim()}`, iteration: this.position() }),
      );
    });
  }

  /** Time that the processors gave it; null where the system does not tell. @see proc_pid_stat(5) */
  private workedMs(): number | null {
    try {
      const fields = readFileSync(`/proc/${this.process.pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    } catch {
      return null;
    }
  }

  /** Ends it; a second call does nothing. */
  kill(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.process.kill('SIGKILL');
    closeSync(this.descriptor);
    unlinkSync(this.positionFile);
  }

  private isClosed = false;
}
