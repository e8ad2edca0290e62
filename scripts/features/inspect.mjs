// `featx inspect` over many files, in processes of their own and from the sources as they are now.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { PROGRAM } from '../bundled.mjs';
import { root } from '../ready.mjs';

const home = join(root, 'node_modules', '.cache', 'featx', 'features');
const TIMEOUT_MS = 180_000;

/** Writes a file in one step: other runs may be reading it. */
function put(path, contents) {
  const part = `${path}.${process.pid}`;
  writeFileSync(part, contents);
  renameSync(part, path);
}

async function bundle(entry) {
  const { outputFiles } = await build({ ...PROGRAM, entryPoints: [entry], write: false });
  const [{ contents }] = outputFiles;
  const key = createHash('sha256').update(contents).digest('hex').slice(0, 16);
  const path = join(home, `${key}.mjs`);
  mkdirSync(home, { recursive: true });
  if (!existsSync(path)) put(path, contents);
  return { key, path };
}

/** A module of the sources and what it imports. */
export async function bundled(entry) {
  return import(pathToFileURL((await bundle(entry)).path).href);
}

/** Reports by file. A file that could not be inspected has an `error`. */
export async function inspectAll(files, jobs) {
  const { key, path } = await bundle('src/index.ts');
  await import(pathToFileURL(path).href); // sources that do not load are one error, and not one for each file
  const memory = join(home, `${key}.json`);
  const known = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {};
  const stamp = (file) => `${file} ${statSync(file).size} ${statSync(file).mtimeMs}`;
  const waiting = files.filter((file) => known[stamp(file)] === undefined);
  const work = async () => {
    let child = null;
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      child ??= fork(fileURLToPath(import.meta.url), [path]);
      const report = await ask(child, file);
      if (report.error === undefined) known[stamp(file)] = report;
      else {
        child.kill();
        child = null;
      }
      failed.set(file, report);
    }
    child?.kill();
  };
  const failed = new Map();
  await Promise.all(Array.from({ length: Math.min(jobs, waiting.length) }, work));
  put(memory, JSON.stringify(known));
  return new Map(files.map((file) => [file, known[stamp(file)] ?? failed.get(file)]));
}

function ask(child, file) {
  return new Promise((resolve) => {
    const done = (report) => {
      clearTimeout(timer);
      child.removeAllListeners();
      resolve(report);
    };
    const timer = setTimeout(() => done({ error: `no answer in ${TIMEOUT_MS / 1000} s` }), TIMEOUT_MS);
    child.once('message', done);
    child.once('exit', (code, signal) => done({ error: `the process ended with ${signal ?? code}` }));
    child.send(file);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { inspect } = await import(pathToFileURL(process.argv[2]).href);
  process.on('message', async (file) => {
    try {
      const { feature_info, groups, embedding, warnings } = await inspect(file, { isolate: false });
      process.send({ feature_info, groups, embedding, warnings });
    } catch (error) {
      process.send({ error: `${error.name}: ${error.message}` });
    }
  });
}
