import type { BatchProgress } from '../batch/reports.js';
import type { Context } from './context.js';

const BATCH_REDRAW_MS = 200;

/**
 * A line on a terminal's standard error: how many items are done, how fast, and how long the rest will take. `clear`
 * takes it away for what is printed beside
 * it; the next update draws it again.
 */
export function batchProgress(
  context: Context,
  now: () => number = Date.now,
): { readonly update: (progress: BatchProgress) => void; clear(): void } {
  const { stderr, stderrIsTerminal } = context.io;
  if (!stderrIsTerminal || context.flags.quiet) return { update: () => undefined, clear: () => undefined };
  let drawn = -Infinity;
  let isVisible = false;
  return {
    update: (progress) => {
      if (now() - drawn < BATCH_REDRAW_MS) return;
      drawn = now();
      isVisible = true;
      stderr.write(`\r\x1b[K${progressText(progress)}`);
    },
    clear: () => {
      if (isVisible) stderr.write('\r\x1b[K');
      isVisible = false;
    },
  };
}

/** `312/1000  2 failed  104/s  7 s left`; what was skipped took no time and says nothing about the rest. */
export function progressText({ done, skipped, failed, total, elapsedMs }: BatchProgress): string {
  const reached = done + skipped + failed;
  const parts = [`${reached}/${total}`];
  if (skipped > 0) parts.push(`${skipped} unchanged`);
  if (failed > 0) parts.push(`${failed} failed`);
  const rate = (done + failed) / (elapsedMs / 1_000);
  if (rate > 0 && Number.isFinite(rate))
    parts.push(`${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`, `${durationText((total - reached) / rate)} left`);
  return parts.join('  ');
}

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
