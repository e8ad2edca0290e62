import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assertMemoryLimits } from './memory.js';
import { programBeside, SupervisedProcess, type Over } from './supervised.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-supervised-'));
const left: number[] = [];
afterAll(() => {
  for (const pid of left) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A process that runs a program, what it answered, and how it ended. */
function start(
  name: string,
  source: string,
): { readonly child: SupervisedProcess; readonly answers: unknown[]; readonly over: Promise<Over> } {
  const entry = join(folder, `${name}.cjs`);
  writeFileSync(entry, `${SEND}\n${source}`);
  const answers: unknown[] = [];
  let child: SupervisedProcess | undefined;
  const over = new Promise<Over>((resolve) => {
    child = new SupervisedProcess({
      name: 'the process',
      entry,
      memoryBytes: null,
      memoryHint: '',
      subject: () => 'm.onnx',
      onAnswer: ({ value }) => answers.push(value),
      onOver: resolve,
    });
  });
  if (child === undefined) throw new Error('it was not started');
  return { child, answers, over };
}

/** Writes a frame as ours do. */
const SEND = `const sum = (b) => { let h = 0x811c9dc5; for (const x of b) h = Math.imul(h ^ x, 0x01000193); return h >>> 0; };
const send = (value) => { const json = Buffer.from(JSON.stringify({ value, lengths: [], places: [] })); const head = Buffer.alloc(16); head.writeUInt32BE(0x66787231, 0);
head.writeUInt32BE(json.length, 4); head.writeUInt32BE(sum(json), 8); require('fs').writeSync(3, Buffer.concat([head, json])); };`;

/** Starts a process that outlives its parent and holds all its pipes. */
const LEAVE_BEHIND = `const heir = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'],
{ detached: true, stdio: [0, 'ignore', 2, 3] }); heir.unref();`;

describe('a process whose own child keeps its pipes open', () => {
  test('has ended when it ends, with all its answers and last words', async () => {
    const { child, answers, over } = start(
      'leaves',
      `${LEAVE_BEHIND} for (let n = 0; n < 2000; n++) send(n); send(heir.pid); process.stderr.write('good bye'); process.exitCode = 3;
       process.stdin.unref?.(); setImmediate(() => process.exit(3));`,
    );
    const { error, signal } = await over;
    left.push(Number(answers.at(-1)));
    expect(answers.slice(0, -1)).toEqual(Array.from({ length: 2000 }, (_, n) => n));
    expect(signal).toBeNull();
    expect(error).toMatchObject({
      code: 'FEATX_CHILD_CRASH',
      message: 'the process ended with exit code 3 while it worked on m.onnx; it said: good bye',
    });
    await child.gone;
  });

  test('is gone when it is killed', async () => {
    const { child, answers, over } = start('holds', `${LEAVE_BEHIND} send(heir.pid); setInterval(() => 0, 1000);`);
    while (answers.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    left.push(Number(answers[0]));
    child.stop(new Error('enough'));
    await child.gone;
    expect(await over).toEqual({ error: new Error('enough'), signal: 'SIGKILL' });
  });
});

test('a process that cannot start is over and gone', async () => {
  const before = process.execPath;
  process.execPath = join(folder, 'nothing');
  try {
    const { child, over } = start('never', '');
    await child.gone;
    expect(await over).toMatchObject({ error: { code: 'FEATX_CHILD_CRASH' }, signal: null });
    expect((await over).error.message).toMatch(/^the process does not start: .*ENOENT/);
  } finally {
    process.execPath = before;
  }
});

test('the first reason to stop counts', async () => {
  const { child, over } = start('waits', 'setInterval(() => 0, 1000)');
  child.stop(new Error('first'));
  child.stop(new Error('second'));
  await child.gone;
  expect((await over).error.message).toBe('first');
});

test('no option of our own Node reaches it', async () => {
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = '--no-warnings';
  const { answers, over } = start('options', 'send(process.env.NODE_OPTIONS ?? null); process.exit(0)');
  if (before === undefined) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = before;
  await over;
  expect(answers).toEqual([null]);
});

test('a memory limit that nobody could watch is refused', () => {
  expect(() => assertMemoryLimits('win32')).toThrow(/works on Linux and macOS only/);
  expect(() => assertMemoryLimits('linux')).not.toThrow();
});

test('programs are found beside their module, in the bundle, and in the sources', () => {
  const found = (url: string): string => programBeside(url, 'runtime-child').replaceAll('\\', '/');
  expect(found('file:///lib/dist/runtime/child.js')).toBe('/lib/dist/runtime/runtime-child.js');
  expect(found('file:///lib/dist/cli/chunk-ABC.js')).toBe('/lib/dist/cli/runtime-child.js');
  expect(found(new URL('../runtime/child.ts', import.meta.url).href)).toBe(
    fileURLToPath(new URL('../testing/runtime-child.mjs', import.meta.url)),
  );
});
