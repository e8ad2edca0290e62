import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bomb } from './bombs.js';

/** What a process of Node took; what its children took is theirs. */
export interface Cost {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly wallMs: number;
  /** Processor time, user and system. */
  readonly cpuMs: number;
  readonly peakKiB: number;
}

/** Runs Node with these arguments, from outside, as its users do. */
export function costOf(args: readonly string[], cwd: string, root = process.cwd()): Cost {
  const log = join(cwd, 'cost.ndjson');
  rmSync(log, { force: true });
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', join(root, 'bench', 'lib', 'peak.cjs'), ...args],
    {
      cwd,
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
      env: { ...process.env, NODE_OPTIONS: '', FEATX_BENCH_LOG: log },
    },
  );
  const wallMs = performance.now() - started;
  const records = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line): { readonly role?: string; readonly cpuMs?: number; readonly peakKiB?: number } => JSON.parse(line));
  const own = records.find(({ role }) => role === 'parent');
  return { exit: status, stdout, stderr, wallMs, cpuMs: own?.cpuMs ?? Number.NaN, peakKiB: own?.peakKiB ?? Number.NaN };
}

/** Sets a bomb off in a folder of its own, and says what the program made of it. */
export function explode(bomb: Bomb, root = process.cwd()): Cost & { readonly code: string | null } {
  const folder = mkdtempSync(join(tmpdir(), 'featx-bomb-'));
  try {
    const argv = bomb.make(folder);
    const cost = costOf([join(root, 'bin', 'featx.js'), ...argv], folder, root);
    return { ...cost, code: /"code":"(FEATX_[A-Z_]+)"/.exec(cost.stdout.slice(0, 2000))?.[1] ?? null };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Node that does nothing, or what a script says. */
export function bareNode(root = process.cwd(), script = '0'): Cost {
  const folder = mkdtempSync(join(tmpdir(), 'featx-bare-'));
  try {
    return costOf(['-e', script], folder, root);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
