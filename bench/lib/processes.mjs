// Whole processes, timed from outside; their memory, asked for from inside.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const peak = fileURLToPath(new URL('./peak.cjs', import.meta.url));

function finished(program, args, { status, signal, error, stdout, stderr }) {
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status ?? signal}:\n${stderr}${stdout}`);
  return stdout;
}

/** Runs a program to its end; returns what it printed and the milliseconds it took. */
export function timed(program, args) {
  const start = performance.now();
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 30 });
  const ms = performance.now() - start;
  return { ms, stdout: finished(program, args, result) };
}

/**
 * Runs a Node program and says how much memory it and its children took at most, in KiB, its own processor time, and
 * how many children it started.
 */
export function peaks(args) {
  const log = join(tmpdir(), `featx-bench-${process.pid}-peaks.ndjson`);
  rmSync(log, { force: true });
  finished(
    process.execPath,
    args,
    spawnSync(process.execPath, ['--require', peak, ...args], {
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
      env: { ...process.env, FEATX_BENCH_LOG: log },
    }),
  );
  const records = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  rmSync(log);
  const of = (role) =>
    Math.max(0, ...records.filter((record) => record.role === role).map(({ peakKiB }) => peakKiB ?? 0));
  return {
    parentKiB: of('parent'),
    childKiB: of('child'),
    cpuMs: records.find(({ role }) => role === 'parent').cpuMs,
    children: records.filter(({ event }) => event === 'child').length,
  };
}

/** Steps that take less than this are repeated within a round: short ones suffer most from a busy moment. */
const SHORT_MS = 600;
const SHORT_REPEATS = 3;

/**
 * The least of every step over some rounds; the steps take turns, so that a busy moment of the machine falls on all of
 * them.
 */
export function leastOf(steps, rounds, progress) {
  const least = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const { name, before, run } of steps) {
      progress(round, name);
      for (let repeat = 0, ms = 0; repeat < SHORT_REPEATS && ms < SHORT_MS; repeat++) {
        before?.();
        ms = run();
        least.set(name, Math.min(least.get(name) ?? Infinity, ms));
      }
    }
  }
  return least;
}
