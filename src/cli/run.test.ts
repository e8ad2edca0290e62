import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value } from '../testing/model-spec.js';
import { CAN_LIST, childrenOf, isAlive, ticksOf } from '../testing/processes.js';
import { patience, until } from '../testing/time.js';

/**
 * The program as a shell sees it, while its model runs in a child: whatever ends the one must end the other. Runs the
 * build; `npm test` brings it up to date.
 */

const PROGRAM = join(process.cwd(), 'bin', 'featx.js');
/** Where processes and their parents can be listed. */
const linux = CAN_LIST ? test : test.skip;
const ENDLESS = encodeModel({
  graph: {
    inputs: [value('x', [1])],
    outputs: [value('y', null, null)],
    initializers: [tensor('times', [], [2 ** 53 - 1], 'int64'), tensor('yes', [], [1], 'bool')],
    nodes: [
      node('Loop', ['times', 'yes', 'x'], ['y'], {
        body: {
          graph: {
            inputs: [value('i', [], 'int64'), value('c', [], 'bool'), value('v', [1])],
            nodes: [node('Identity', ['c'], ['go']), node('Neg', ['v'], ['w'])],
            outputs: [value('go', [], 'bool'), value('w', [1])],
          },
        },
      }),
    ],
  },
});

const folder = mkdtempSync(join(tmpdir(), 'featx-run-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Program {
  readonly pid: number;
  readonly place: string;
  readonly ended: Promise<number | string | null>;
  kill(signal: NodeJS.Signals): void;
}

function start(name: string, ...flags: readonly string[]): Program {
  const place = join(folder, name);
  mkdirSync(place);
  writeFileSync(join(place, 'endless.onnx'), ENDLESS);
  const child: ChildProcess = spawn(
    process.execPath,
    [PROGRAM, 'run', 'endless.onnx', '--tensor', 'y', '--input', 'random', '-o', 'out.npz', ...flags],
    { cwd: place, stdio: 'ignore' },
  );
  return {
    pid: child.pid ?? 0,
    place,
    ended: new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ?? code))),
    kill: (signal) => void child.kill(signal),
  };
}

/** Opening takes half a second of CPU time; what goes on after it is the run. */
async function childrenInRun({ pid }: Program): Promise<readonly number[]> {
  expect(await until(() => childrenOf(pid).some((child) => ticksOf(child) > 80), patience(50_000))).toBe(true);
  return childrenOf(pid);
}

// All at once: starting up is what takes long.
linux.concurrent.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGKILL', 'SIGKILL'],
] as const)('%s in the middle of a run leaves no process and no file', async (signal, code) => {
  const program = start(signal);
  const children = await childrenInRun(program);
  program.kill(signal);
  expect(await program.ended).toBe(code);
  expect(await until(() => !children.some(isAlive), patience(10_000))).toBe(true);
  // Nothing can tidy up after SIGKILL.
  if (signal !== 'SIGKILL') expect(readdirSync(program.place)).toEqual(['endless.onnx']);
  expect(existsSync(join(program.place, 'out.npz'))).toBe(false);
});

linux.concurrent('--timeout ends a run that goes on, and leaves no process and no file', async () => {
  const program = start('timeout', '--timeout', String(Math.ceil(patience(1_500) / 1_000)));
  expect(await until(() => childrenOf(program.pid).length > 0, patience(50_000))).toBe(true);
  const children = childrenOf(program.pid);
  expect(await program.ended).toBe(7);
  expect(await until(() => !children.some(isAlive), patience(10_000))).toBe(true);
  expect(readdirSync(program.place)).toEqual(['endless.onnx']);
});
