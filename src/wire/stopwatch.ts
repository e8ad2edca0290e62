/**
 * Whole milliseconds from now on. The clock of the day suffices: for `performance` Node loads modules that take longer
 * than reading a small model.
 */
export function stopwatch(): () => number {
  const started = Date.now();
  return () => Math.max(0, Date.now() - started);
}
