import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * ONNX Runtime's telemetry writes to the home and the temporary folder before it sends anything: where both stay empty,
 * there is none.
 */

const ROOT = process.cwd();
const RESNET = join(ROOT, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const PROGRAM = join(ROOT, 'bin', 'featx.js');
const READY = pathToFileURL(join(ROOT, 'scripts', 'ready.mjs')).href;
const LIBRARY = pathToFileURL(join(ROOT, 'dist', 'index.js')).href;

const HERE = `import { openSession, openModel } from '${LIBRARY}';
const model = await openModel('m.onnx'); const session = await openSession(model);
const [{ name }] = session.inputs;
await session.run(new Map([[name, { dtype: 'float32', shape: [1, 3, 96, 96], data: new Float32Array(3 * 96 * 96) }]]));
await session.close(); await model[Symbol.asyncDispose]();`;

// A build from before telemetry was off would fail here for what the sources no longer do.
beforeAll(() => {
  const build = `await (await import(${JSON.stringify(READY)})).built()`;
  execFileSync(process.execPath, ['--input-type=module', '-e', build], { stdio: ['ignore', 'ignore', 'inherit'] });
});

test.each([
  ['run', [PROGRAM, 'run', 'm.onnx', '--input', 'random', '--out', '1']],
  ['extract', [PROGRAM, 'extract', 'm.onnx', '--out', '1', '--verify', '-o', 'cut.onnx']],
  ['batch', [PROGRAM, 'batch', 'm.onnx', '--out', '1', '--verify', '-o', 'cut.onnx']],
  ['doctor', [PROGRAM, 'doctor', '--provider', 'cpu']],
  ['a session in our own process', ['--input-type=module', '-e', HERE]],
])('%s leaves the home and the temporary folder empty', (_what, argv) => {
  const folder = mkdtempSync(join(tmpdir(), 'featx-telemetry-'));
  try {
    const [home, temporary] = [join(folder, 'home'), join(folder, 'tmp')];
    for (const made of [home, temporary]) mkdirSync(made);
    cpSync(RESNET, join(folder, 'm.onnx'));
    const { ORT_DISABLE_TELEMETRY: _ours, NODE_OPTIONS: _options, ...env } = process.env;
    const places = {
      HOME: home,
      USERPROFILE: home,
      XDG_CACHE_HOME: join(home, 'cache'),
      TMPDIR: temporary,
      TEMP: temporary,
      TMP: temporary,
    };
    execFileSync(process.execPath, argv, {
      cwd: folder,
      env: { ...env, ...places },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    expect(readdirSync(home)).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
