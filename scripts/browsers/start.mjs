// Starts a browser in a fresh profile and says where it can be driven.
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The first of these programs that can be run; null if there is none. */
export function found(names) {
  for (const name of names.filter((each) => each !== undefined && each !== ''))
    for (const folder of name.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter)) {
      const path = folder === '' ? name : join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {}
    }
  return null;
}

/**
 * Runs a browser until it says what matches `ready` on standard error, or, without that, at once; its descriptors 3 and
 * 4 are `pipes`. `end` ends it and removes its profile.
 */
export async function start(program, argsFor, { ready = null, prepare = () => undefined }) {
  const profile = mkdtempSync(join(tmpdir(), 'featx-browser-'));
  prepare(profile);
  const child = spawn(program, argsFor(profile), {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const end = async () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {}
    await closed;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  let said = '';
  const url = await new Promise((resolve, reject) => {
    if (ready === null) resolve(null);
    child.stderr.setEncoding('utf8').on('data', (text) => {
      if (said.length > 100_000) return;
      said += text;
      const match = ready?.exec(said) ?? null;
      if (match !== null) resolve(match[1]);
    });
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said.slice(-2000)}`)));
    child.once('error', reject);
  }).catch(async (error) => {
    await end();
    throw error;
  });
  return { url, pid: child.pid, pipes: [child.stdio[3], child.stdio[4]], end };
}
