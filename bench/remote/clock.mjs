// npm run bench:line -- [MODEL.onnx...]: how long it takes to index a model behind a URL, over a line of 50 ms and 100
// Mbit/s, by a clock that only the line moves: round trips, new connections and bytes, and none of the time of this
// machine. Ends with 1 if a model takes more than 1.5 times as long as downloading it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleInto } from '../../scripts/bundled.mjs';
import { matmuls, vitLarge } from '../lib/models.mjs';
import { markdown } from '../lib/table.mjs';

const MOST = 1.5;
const home = mkdtempSync(join(tmpdir(), 'featx-line-'));
try {
  await bundleInto(home, { line: 'src/testing/virtual-line.ts', files: 'src/wire/file-source.ts' });
  const load = (name) => import(pathToFileURL(join(home, `${name}.mjs`)).href);
  const [{ indexOverLine }, { FileSource }] = [await load('line'), await load('files')];
  const own = [
    ['matmuls-1gb.onnx', matmuls],
    ['vit-large.onnx', vitLarge],
  ].map(([name, make]) => {
    make(join(home, name));
    return join(home, name);
  });
  const rows = [];
  for (const path of [...own, ...process.argv.slice(2)]) {
    const source = await FileSource.open(path);
    const { seconds, requests, bytes, wholeSeconds } = await indexOverLine(source);
    await source.close();
    const ratio = seconds / wholeSeconds;
    if (ratio > MOST) process.exitCode = 1;
    rows.push([
      basename(path),
      (source.size / 1e6).toFixed(1),
      wholeSeconds.toFixed(2),
      requests,
      (bytes / 1e6).toFixed(2),
      seconds.toFixed(2),
      ratio.toFixed(2),
    ]);
  }
  console.log(markdown(['model', 'MB', 'whole file, s', 'requests', 'MB', 's', 'of the whole'], rows));
} finally {
  rmSync(home, { recursive: true });
}
