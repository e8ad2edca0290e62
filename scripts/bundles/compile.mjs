// Writes beside each bundle of a folder the code that V8 makes of it: what a command runs is compiled, the rest is when
// it is needed. A process of its own, because the flags of V8 must be those of a user's Node.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { root } from '../ready.mjs';
import { compiledName, loadBundle } from './load.mjs';
import { bundleOf } from './names.mjs';

const [folder] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), 'featx-compile-'));
const models = ['test_resnet.ts', 'test_convnext.dy', 'test_vit.dy'].map((name) =>
  join(root, 'fixtures', 'timm', `${name}.onnx`),
);

/** What each bundle is made to do. */
const RUNS = {
  inspect: models.flatMap((model) => [
    ['inspect', model],
    ['inspect', model, '--json'],
  ]),
  extract: models.map((model, at) => ['extract', model, '--out', '1,2', '-o', join(home, `${at}.onnx`), '--json']),
  run: [['help', 'run']],
};

try {
  for (const [command, lines] of Object.entries(RUNS)) {
    const file = join(folder, `${bundleOf(command)}.cjs`);
    const { script, exports } = loadBundle(file, createRequire(file));
    for (const line of lines) {
      const status = await exports.runCommandLine(line, quiet());
      if (status !== 0) throw new Error(`featx ${line.join(' ')} ended with ${status}`);
    }
    writeFileSync(compiledName(file), script.createCachedData());
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** Streams that nobody reads. */
function quiet() {
  const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() });
  return {
    stdin: Readable.from([]),
    stdout: sink(),
    stderr: sink(),
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    columns: null,
    signal: new AbortController().signal,
  };
}
