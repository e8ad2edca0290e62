import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync, unlinkSync } from 'node:fs';
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

  /** Gives an order and waits; a child that stays at one iteration for longer than `stuckMs` is killed. */
  obey(order: Order, stuckMs: number): Promise<Ending> {
    return new Promise((resolve) => {
      let at = this.position();
      let since = performance.now();
      const finish = (ending: Ending): void => {
        clearInterval(watch);
        this.process.removeAllListeners();
        resolve(ending);
      };
      const watch = setInterval(() => {
        const now = this.position();
        if (now !== at) since = performance.now();
        at = now;
        if (performance.now() - since < stuckMs) return;
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
