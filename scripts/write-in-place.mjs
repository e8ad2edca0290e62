// The control of check-kill.mjs: what most tools do. Writes FROM over TO in place, one pair after the other.
//   node scripts/write-in-place.mjs FROM TO [FROM TO]...
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

// What stdio writes at a time.
const CHUNK = 8 * 1024;
const paths = process.argv.slice(2);
for (let at = 0; at < paths.length; at += 2) {
  const bytes = readFileSync(paths[at]);
  const file = openSync(paths[at + 1], 'w');
  for (let start = 0; start < bytes.length; start += CHUNK)
    writeSync(file, bytes, start, Math.min(CHUNK, bytes.length - start), start);
  fsyncSync(file);
  closeSync(file);
}
