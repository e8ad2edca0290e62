// Installs what is missing and builds what is stale, so that `npm start` and `npm test` work on a fresh clone.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs Node on a script in the repository's root with its output on this terminal; ends this process when it fails. */
export function node(args, options = {}) {
  finish(spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', ...options }));
}

/** How many test files run at once: many a test waits for a child process meanwhile. */
export const WORKERS = `--maxWorkers=${Math.ceil(1.5 * availableParallelism())}`;

/** Runs tests, with the flags that ES modules need. */
export function jest(args) {
  node(['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', ...args]);
}

// npm is a batch file on Windows, and those need a shell.
const shell = process.platform === 'win32';

function npm(args) {
  finish(spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell }));
}

/** Runs scripts of package.json at once; prints what those say that fail, and then ends this process. */
export async function checked(scripts) {
  const results = await Promise.all(
    scripts.map(async (script) => {
      const child = spawn('npm', ['run', '--silent', script], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], shell });
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      const status = await new Promise((resolve) => child.on('close', resolve));
      return { script, status, text };
    }),
  );
  const failed = results.filter(({ status }) => status !== 0);
  for (const { script, text } of failed) console.error(`npm run ${script}\n${text}`);
  if (failed.length > 0) process.exit(1);
}

function finish({ status, error }) {
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function readJson(...path) {
  return JSON.parse(readFileSync(join(root, ...path), 'utf8'));
}

function newest(directory) {
  let time = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    time = Math.max(time, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return time;
}

/** Every dependency in the version that package.json pins; optional ones may be absent. */
export function installed() {
  const { dependencies, devDependencies } = readJson('package.json');
  const missing = Object.entries({ ...dependencies, ...devDependencies }).filter(([name, version]) => {
    const manifest = join('node_modules', name, 'package.json');
    return !existsSync(join(root, manifest)) || readJson(manifest).version !== version;
  });
  if (missing.length > 0) npm(['ci', '--no-audit', '--no-fund']);
}

/** Builds `dist/` unless it is newer than every source of it. */
export function built() {
  installed();
  const stamp = join(root, 'dist', 'cli', 'main.cjs');
  const sources = Math.max(
    newest(join(root, 'src')),
    newest(join(root, 'scripts', 'bundles')),
    ...['package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs'].map(
      (path) => statSync(join(root, path)).mtimeMs,
    ),
  );
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < sources) node(['scripts/build.mjs']);
}
