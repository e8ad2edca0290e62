import { availableParallelism, loadavg } from 'node:os';

/** Time in tests: waiting costs only what it takes, and no test fails because the machine has other work. */

/** Set by `npm run check:time`, on a machine that does nothing else. */
export const IS_MEASURED = process.env.FEATX_CHECK_TIME === '1';

/**
 * How long to wait for what takes `ms` milliseconds on a quiet machine: longer, the more processes wait for a
 * processor now. Windows does not count them.
 */
export function patience(ms: number): number {
  const waiting = process.platform === 'win32' ? 3 : loadavg()[0] / availableParallelism();
  return Math.ceil(ms * (1 + waiting));
}

/** Waits until something holds, for at most `ms` milliseconds; whether it does. */
export async function until(holds: () => boolean, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; !holds(); await new Promise((resolve) => setTimeout(resolve, 10)))
    if (performance.now() > end) return false;
  return true;
}

/** A running clock. */
export interface Stopwatch {
  /** Milliseconds so far. */
  ms(): number;
  /** Fails if more than `limit` milliseconds have passed; in `npm run check:time` only. */
  within(limit: number): void;
}

/** Starts a clock. */
export function stopwatch(): Stopwatch {
  const started = performance.now();
  const ms = (): number => performance.now() - started;
  return { ms, within: (limit) => expectLess(ms(), limit) };
}

/** Fails unless a measured time, or a ratio of times, is below a limit; in `npm run check:time` only. */
export function expectLess(measured: number, limit: number): void {
  if (IS_MEASURED) expect(measured).toBeLessThan(limit);
}
