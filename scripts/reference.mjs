// What a Python script made for a comparison, in a folder that keeps it: made once, since it takes minutes.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Runs `script` with the folder as its argument unless that was done; returns the record that it printed last. */
export function madeOnce(python, script, folder) {
  const stored = join(folder, 'versions.json');
  if (!existsSync(stored)) {
    mkdirSync(folder, { recursive: true });
    const said = execFileSync(python, [script, folder], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    writeFileSync(stored, said.trim().split('\n').at(-1) ?? '');
  }
  return JSON.parse(readFileSync(stored, 'utf8'));
}
