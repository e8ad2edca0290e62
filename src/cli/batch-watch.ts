import type { FileSystem } from '../wire/fs.js';
import { asFeatxError } from './io.js';
import type { Context } from './context.js';

/** How often files are looked at, and at how many of these looks models are looked for. */
const LOOK_MS = 500;
const FIND_EVERY = 10;

/** What a batch depends on. */
interface Watched {
  readonly run: () => Promise<number>;
  /** The files that it reads now, absolute. @throws if what is asked for cannot be read */
  readonly find: () => Promise<readonly string[]>;
}

/**
 * Runs, and again whenever one of the files changes, or others are found. What goes wrong is said and waited for to be
 * mended.
 * @returns the exit code of the signal that ends it
 */
export async function changes({ run, find }: Watched, context: Context): Promise<number> {
  const { signal } = context.io;
  let files: readonly string[] = [];
  for (;;) {
    files = (await find().catch(() => null)) ?? files;
    // What changes during a run is seen after it.
    const before = await statesOf(files, context);
    try {
      await run();
    } catch (error) {
      if (signal.aborted) throw error;
      await context.fail(asFeatxError(error), { recordIsDue: false });
    }
    if (signal.aborted) return endOf(signal);
    await context.note('watching; Ctrl-C ends it');
    for (let look = 1; (await statesOf(files, context)) === before; look++) {
      await pause(signal);
      if (signal.aborted) return endOf(signal);
      if (look % FIND_EVERY === 0 && String((await find().catch(() => null)) ?? files) !== String(files)) break;
    }
  }
}

function endOf({ reason }: AbortSignal): number {
  return typeof reason === 'number' ? reason : 130;
}

/** What tells one state of the files from another. */
async function statesOf(files: readonly string[], { fileSystem }: Context): Promise<string> {
  const stats = await Promise.all(files.map((path) => fileSystem.stat(path).catch(() => null)));
  return stats.map(identity).join();
}

function identity(stats: Awaited<ReturnType<FileSystem['stat']>> | null): string {
  return stats === null ? '-' : [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, LOOK_MS);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
