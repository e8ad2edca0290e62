import { bytesText } from '../report/units.js';
import type { Context } from './context.js';

const SILENT_MS = 1_000;
const REDRAW_MS = 100;

/** A line on a terminal's standard error for work that takes longer than a second. */
export interface Progress {
  readonly update: (done: number, total: number) => void;
  /** Removes the line. */
  end(): void;
}

/** Draws only where standard error is a terminal and `--quiet` is off. */
export function progressLine(
  context: Context,
  what: string,
  amount: (count: number) => string = bytesText,
  now: () => number = Date.now,
): Progress {
  const { stderr, stderrIsTerminal } = context.io;
  if (!stderrIsTerminal || context.flags.quiet) return { update: () => undefined, end: () => undefined };
  const started = now();
  let drawn = started;
  let visible = false;
  return {
    update: (done, total) => {
      const time = now();
      if (time - started < SILENT_MS || time - drawn < REDRAW_MS) return;
      drawn = time;
      visible = true;
      const rate = done / ((time - started) / 1_000);
      const left = rate > 0 ? Math.ceil((total - done) / rate) : 0;
      const share = total > 0 ? Math.floor((100 * done) / total) : 100;
      stderr.write(
        `\r\x1b[K${what}  ${share}%  ${amount(done)} of ${amount(total)}  ${amount(Math.round(rate))}/s  ${left} s left`,
      );
    },
    end: () => {
      if (visible) stderr.write('\r\x1b[K');
    },
  };
}
