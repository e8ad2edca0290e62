import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { processesWith } from '../testing/processes.js';
import { expectLess, patience, stopwatch, until } from '../testing/time.js';

/**
 * Signals in the middle of the work of the program as it is built: it ends with their code, at once, and leaves no file
 * and no process behind.
 */

const ROOT = process.cwd();
const PROGRAM = join(ROOT, 'bin', 'featx.js');
const RESNET = join(ROOT, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const OLD = 'what stood here before';
/** Less than the time after which the program ends without having cleaned up. */
const AT_ONCE_MS = 1_800;
const onUnix = process.platform !== 'win32';
let home: string;
let turns = 0;

beforeAll(() => {
  // Where there is a file system in memory, half a gigabyte of zeros costs little.
  home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'featx-signals-'));
  const maker = `import { layered } from ${JSON.stringify(pathToFileURL(join(ROOT, 'bench', 'lib', 'models.mjs')).href)}; layered(${JSON.stringify(join(home, 'large.onnx'))}, { channels: 384, sparse: true });`;
  execFileSync(process.execPath, ['--input-type=module', '-e', maker]);
  mkdirSync(join(home, 'models'));
  mkdirSync(join(home, 'inputs'));
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 96, 96), }".padEnd(117) + '\n';
  writeFileSync(
    join(home, 'inputs', '0.npy'),
    Buffer.concat([
      Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]),
      Buffer.from(header),
      Buffer.alloc(4 * 3 * 96 * 96),
    ]),
  );
  for (let at = 1; at < 600; at++) linkSync(join(home, 'inputs', '0.npy'), join(home, 'inputs', `${at}.npy`));
  writeFileSync(join(home, 'models', '0.onnx'), readFileSync(RESNET));
  for (let at = 1; at < 400; at++) linkSync(join(home, 'models', '0.onnx'), join(home, 'models', `${at}.onnx`));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const WORK: { readonly [command: string]: readonly string[] } = {
  extract: ['extract', '../large.onnx', '--tensor', '/layers/layers.47/act/Relu_output_0', '-o', 'out.onnx', '--quiet'],
  run: ['run', RESNET, '--out', '1', '--input', '../inputs', '--batch-size', '1', '-o', 'out.npz', '--quiet'],
  verify: ['verify', '../large.onnx', '../large.onnx', '--quiet'],
  batch: ['batch', '../models', '--out', '1', '-o', 'out/{name}.onnx', '--jobs', '2'],
};

const temporaries = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tmp'));

interface Ending {
  readonly code: number | null;
  readonly ms: number;
  readonly folder: string;
  readonly processes: readonly number[];
}

/** Starts a command and sends it signals once it is in the middle of its work. */
async function interrupt(command: string, signals: readonly NodeJS.Signals[]): Promise<Ending> {
  const folder = join(home, `turn-${++turns}`);
  const token = `FEATX_TEST_TURN=${process.pid}-${turns}`;
  mkdirSync(folder);
  for (const name of ['out.onnx', 'out.npz']) writeFileSync(join(folder, name), OLD);
  const child = spawn(process.execPath, [PROGRAM, ...WORK[command]], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', FEATX_TEST_TURN: `${process.pid}-${turns}` },
  });
  let printed = 0;
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.length));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('utf8')));
  // As a shell tells it; a signal that comes while the process ends is its end.
  const ended = new Promise<number | null>((resolve) =>
    child.on('exit', (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal])),
  );
  // `verify` writes nothing: it works once ONNX Runtime has a process.
  const isWorking =
    { batch: () => printed > 0, verify: () => processesWith(token).length > 1 }[command] ??
    (() => temporaries(folder).length > 0);
  if (!(await until(() => isWorking() || child.exitCode !== null, patience(20_000))) || child.exitCode !== null)
    throw new Error(`${command} did no work: ${complaints}`);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const clock = stopwatch();
  for (const signal of signals) {
    child.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const code = await ended;
  const ms = clock.ms();
  // A child may outlive its parent by the time that it takes to notice.
  await until(() => processesWith(token).length === 0, patience(600));
  return { code, ms, folder, processes: processesWith(token) };
}

(onUnix ? test : test.skip).each([
  ['extract', ['SIGTERM'], 143],
  ['extract', ['SIGINT', 'SIGINT'], 130],
  ['run', ['SIGTERM'], 143],
  ['run', ['SIGINT', 'SIGINT'], 130],
  ['batch', ['SIGINT'], 130],
  ['batch', ['SIGTERM'], 143],
  ...(existsSync('/proc/self/environ') ? [['verify', ['SIGINT'], 130] as const] : []),
] as const)('%s ends on %j with %d and leaves nothing', async (command, signals, code) => {
  const ending = await interrupt(command, signals);
  expect(ending).toMatchObject({ code, processes: [] });
  expectLess(ending.ms, AT_ONCE_MS);
  // On a machine that is busy enough, time ran out before it had cleaned up.
  if (ending.ms < AT_ONCE_MS) expect(temporaries(ending.folder)).toEqual([]);
  for (const name of ['out.onnx', 'out.npz']) expect(readFileSync(join(ending.folder, name), 'utf8')).toBe(OLD);
  rmSync(ending.folder, { recursive: true });
});
