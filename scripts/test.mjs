// npm test: installs what is missing, checks types, lint and format, builds, and runs every test. `npm test --
// src/wire` runs some of them and checks nothing else.
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { built, checked, installed, jest, WORKERS } from './ready.mjs';

const own = process.argv.slice(2);
installed();
if (own.length === 0) await checked(['typecheck', 'lint', 'check:format']);
built();
// Temporary files in memory, where the system has room for them: no test waits for a disk.
const MEMORY = '/dev/shm';
const ROOM_BYTES = 4 * 2 ** 30;
const hasRoom = (folder) => {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > ROOM_BYTES;
};
if (existsSync(MEMORY) && hasRoom(MEMORY)) {
  const folder = mkdtempSync(join(MEMORY, 'featx-test-'));
  process.env.TMPDIR = folder;
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  // The tests get it too, and end; then this process does.
  process.on('SIGINT', () => undefined);
}
jest([WORKERS, ...own]);
