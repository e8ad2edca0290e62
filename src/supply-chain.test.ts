import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What others get and what builds it. */

const root = process.cwd();
const text = (...path: readonly string[]): string => readFileSync(join(root, ...path), 'utf8');
const manifest: { readonly scripts: object; readonly files: readonly string[]; readonly [group: string]: unknown } =
  JSON.parse(text('package.json'));
const workflows = readdirSync(join(root, '.github', 'workflows')).map((name) => ({
  name,
  lines: text('.github', 'workflows', name).split('\n'),
}));

/** The lines below one that reads `key`, as far as they are indented more. */
function block(lines: readonly string[], key: string): string[] {
  const start = lines.findIndex((line) => line.trim() === key);
  if (start < 0) throw new Error(`no '${key}'`);
  const depth = lines[start].search(/\S/);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => line.trim() !== '' && line.search(/\S/) <= depth);
  return rest.slice(0, end < 0 ? rest.length : end).map((line) => line.trim());
}

test('installing the package runs nothing of ours', () => {
  const lifecycle = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare', 'prepublish'];
  expect(Object.keys(manifest.scripts).filter((name) => lifecycle.includes(name))).toEqual([]);
  expect(readdirSync(root)).not.toContain('binding.gyp');
});

test('every dependency is pinned to one version', () => {
  for (const group of ['dependencies', 'optionalDependencies', 'devDependencies']) {
    for (const [name, version] of Object.entries(manifest[group] as object))
      expect(`${name}@${version}`).toMatch(/@\d+\.\d+\.\d+$/);
  }
  const locked: { readonly packages: { readonly [path: string]: { readonly hasInstallScript?: boolean } } } =
    JSON.parse(text('package-lock.json'));
  const scripted = Object.entries(locked.packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
  expect(scripted.filter((name) => !Object.hasOwn(manifest.allowScripts as object, name))).toEqual([]);
});

test('the package holds exactly the kinds of files that it should', () => {
  const [{ files }]: readonly [{ readonly files: readonly { readonly path: string; readonly size: number }[] }] =
    JSON.parse(
      execFileSync('npm', ['pack', '--ignore-scripts', '--dry-run', '--json'], {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        shell: process.platform === 'win32',
      }),
    );
  const papers = new Set([
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
    'SECURITY.md',
    'package.json',
    'bin/featx.js',
    'bin/package.json',
    'schema/featx.config.schema.json',
  ]);
  const strange = files.filter(
    ({ path }) =>
      !papers.has(path) &&
      !/^docs\/[\w-]+\.md$/.test(path) &&
      !/^dist\/(?!.*(?:testing|\.test\.)).+\.(?:d\.ts|c?js)$/.test(path),
  );
  expect(strange.map(({ path }) => path)).toEqual([]);
  expect([...papers].filter((name) => !files.some(({ path }) => path === name))).toEqual([]);
  expect(files.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(9_200_000);
  // What was built somewhere says nothing about where.
  const telling = files.filter(({ path }) => path.startsWith('dist/') && text(path).includes(root));
  expect(telling.map(({ path }) => path)).toEqual([]);
});

test.each(workflows)('$name runs pinned actions with no more rights than it needs', ({ lines }) => {
  const uses = lines.flatMap((line) => /^\s*- uses: (.*)$/.exec(line)?.[1] ?? []);
  expect(uses.length).toBeGreaterThan(0);
  for (const action of uses) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  const top = lines.indexOf('permissions:');
  expect([lines[top + 1].trim(), lines[top + 2].startsWith(' ')]).toEqual(['contents: read', false]);
  expect(lines.filter((line) => /secrets\.|NPM_TOKEN|pull_request_target/.test(line))).toEqual([]);
  expect(lines.filter((line) => line.includes('persist-credentials: false'))).toHaveLength(
    uses.filter((action) => action.startsWith('actions/checkout@')).length,
  );
});

test('tests run on every system and every version of Node that is promised', () => {
  const matrix = block(workflows.find(({ name }) => name === 'ci.yml')?.lines ?? [], 'matrix:');
  expect(matrix).toEqual(['os: [ubuntu-latest, macos-latest, windows-latest]', 'node: [20, 22, 24, 26]']);
});

test('a release is built from its tag, tested, and published with provenance', () => {
  const { lines } = workflows.find(({ name }) => name === 'release.yml') ?? { lines: [''] };
  const permissions = lines.flatMap((line, index) =>
    line.trim() === 'permissions:' && index > lines.indexOf('jobs:') ? block(lines.slice(index), 'permissions:') : [],
  );
  expect(permissions).toEqual(['contents: write', 'id-token: write']);
  const steps = lines.flatMap((line) => /^\s*(?:- )?run: (.*)$/.exec(line)?.[1] ?? []);
  const at = (start: string): number => steps.findIndex((step) => step.startsWith(start));
  expect(steps[at('test "$GITHUB_REF_NAME"')]).toContain('package.json');
  expect(steps[at('npm ci')]).toContain('--ignore-scripts');
  // `.npmrc` turns scripts off, and with them the build that goes before packing.
  expect(text('.npmrc')).toMatch(/^ignore-scripts=true$/m);
  expect(steps[at('npm pack')]).toContain('--ignore-scripts=false');
  expect(steps[at('npm publish')]).toContain('--provenance');
  expect([at('npm ci'), at('npm test'), at('npm pack'), at('npm publish')]).toEqual(
    [...new Set([at('npm ci'), at('npm test'), at('npm pack'), at('npm publish')])].sort((a, b) => a - b),
  );
  expect(at('npm ci')).toBeGreaterThan(-1);
});

test('updates of dependencies and of actions are proposed', () => {
  const config = text('.github', 'dependabot.yml');
  expect([...config.matchAll(/package-ecosystem: (\S+)/g)].map(([, name]) => name)).toEqual(['npm', 'github-actions']);
  expect(config).toContain('versioning-strategy: increase');
});
