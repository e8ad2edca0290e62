// Runs featx on another platform, through what stands in for it here, and holds what it says against this one's.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../ready.mjs';

/** The program. */
export const FEATX = join(root, 'bin', 'featx.js');
/** The model that is looked at and cut. */
export const MODEL = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const LIMIT_MS = 120_000;

/** The sha256 of a file; null if there is none. */
export const digest = (path) =>
  existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : null;

/**
 * Runs a command with its streams in files, for pipes are not the same everywhere.
 * @returns its status (null if it did not end by itself) and what it printed
 */
export function said([command, ...args], { cwd = root, env = {} } = {}) {
  const home = mkdtempSync(join(tmpdir(), 'featx-said-'));
  const paths = ['stdout', 'stderr'].map((name) => join(home, name));
  const descriptors = paths.map((path) => openSync(path, 'w'));
  const { status } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', ...descriptors],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  descriptors.forEach(closeSync);
  const [stdout, stderr] = paths.map((path) => readFileSync(path, 'utf8'));
  rmSync(home, { recursive: true });
  return { status, stdout, stderr };
}

/** A record without what differs between any two runs. */
export function essence(text) {
  const { elapsed_ms: _elapsed, ...record } = JSON.parse(text);
  return JSON.stringify(record).replaceAll('\\\\', '/');
}

/** Runs checks, each a name and a function that returns `right` or what is wrong; prints and returns rows. */
export async function judged(platform, checks) {
  const rows = [];
  for (const [what, check] of checks) {
    let verdict;
    try {
      verdict = await check();
    } catch (error) {
      verdict = `failed: ${error.message.split('\n')[0]}`;
    }
    rows.push({ platform, what, verdict: verdict ?? 'right' });
    console.log(`${platform}: ${what}: ${verdict ?? 'right'}`);
  }
  return rows;
}

/** `status 4: the error`, for a verdict. */
export const told = ({ status, stderr }) =>
  `status ${status ?? 'none: it did not end'}${stderr === '' ? '' : `: ${stderr.trim().split('\n').at(-1).slice(0, 200)}`}`;
