import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value } from '../testing/model-spec.js';
import { RuntimeChild } from './child.js';
import type { SessionTypes } from './host.js';
import { encodeFrame } from '../processes/frames.js';
import { programBeside } from '../processes/supervised.js';
import { patience } from '../testing/time.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-child-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program that stands in for ours. */
function program(name: string, source: string): string {
  const path = join(folder, `${name}.cjs`);
  writeFileSync(path, source);
  return path;
}

const relu = encodeModel({
  graph: { inputs: [value('x', ['b', 2])], outputs: [value('y', null, null)], nodes: [node('Relu', ['x'], ['y'])] },
});
const endless = encodeModel({
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
const question = { kind: 'types', levels: ['basic'] } as const;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < patience(100) && isAlive(pid); tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return !isAlive(pid);
}

describe('a child', () => {
  test('answers one question after the other and ends when it is closed', async () => {
    const child = RuntimeChild.start();
    for (let round = 0; round < 2; round++) {
      const { value: answer } = await child.ask(question, [relu]);
      expect(answer as SessionTypes[]).toEqual([{ outputs: [{ elemType: 1, shape: ['b', 2] }] }]);
    }
    const { value: refused } = await child.ask(question, [relu.subarray(0, 30)]);
    expect((refused as SessionTypes[])[0]).toEqual({ refused: expect.stringMatching(/./) });
    const pid = child.pid ?? 0;
    child.close();
    expect(await isGone(pid)).toBe(true);
    await expect(child.ask(question, [relu])).rejects.toMatchObject({ code: 'FEATX_CHILD_CLOSED' });
  });

  test('that takes too long is killed', async () => {
    const child = RuntimeChild.start({ entry: program('hang', 'for (;;);') });
    await expect(child.ask(question, [], { timeoutMs: 150, subject: 'the types of m.onnx' })).rejects.toMatchObject({
      name: 'TimeoutError',
      code: 'FEATX_TIMEOUT',
      message: expect.stringContaining('the types of m.onnx within 0.15 s'),
    });
    expect(await isGone(child.pid ?? 0)).toBe(true);
  });

  test('that is aborted says so, before and while it works', async () => {
    const controller = new AbortController();
    using child = RuntimeChild.start({ entry: program('wait', 'setTimeout(() => 0, 1e6)'), signal: controller.signal });
    const answered = child.ask(question, []);
    controller.abort();
    await expect(answered).rejects.toMatchObject({ name: 'AbortError' });
    await expect(child.ask(question, [])).rejects.toMatchObject({ name: 'AbortError' });
    using late = RuntimeChild.start({ entry: program('late', 'setTimeout(() => 0, 1e6)'), signal: controller.signal });
    await expect(late.ask(question, [])).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('that takes too much memory is killed', async () => {
    const child = RuntimeChild.start({
      entry: program('eat', 'const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1));'),
      memoryBytes: 256 * 1024 * 1024,
    });
    await expect(child.ask(question, [], { timeoutMs: patience(20_000) })).rejects.toMatchObject({
      name: 'TimeoutError',
      code: 'FEATX_MEMORY',
    });
    expect(await isGone(child.pid ?? 0)).toBe(true);
  });

  test('that crashes is named with its signal and its last words, made safe', async () => {
    using child = RuntimeChild.start({
      entry: program(
        'crash',
        'process.stderr.write("\\u001b[31mterminate called"); process.kill(process.pid, "SIGABRT");',
      ),
    });
    await expect(child.ask(question, [], { subject: 'm.onnx' })).rejects.toMatchObject({
      name: 'RuntimeError',
      code: 'FEATX_CHILD_CRASH',
      message:
        'the process for ONNX Runtime was killed by SIGABRT while it worked on m.onnx; it said: \\x1b[31mterminate called',
    });
  });

  test.each([
    ['ends without an answer', 'process.exit(0)', /ended with exit code 0/],
    [
      'answers garbage',
      'require("fs").writeSync(3, "Segmentation fault (core dumped)"); setTimeout(() => 0, 1e6)',
      /answers garbage: the bytes are not a message/,
    ],
    [
      'answers another question',
      `${FRAME_SOURCE()}; send({ id: 99, answer: 1 }); setTimeout(() => 0, 1e6)`,
      /answers garbage: an answer to no question/,
    ],
    [
      'answers with a wrong checksum',
      `${FRAME_SOURCE()}; send({ id: 1, answer: 1 }, 1); setTimeout(() => 0, 1e6)`,
      /answers garbage: the checksum/,
    ],
  ])('that %s is an error', async (name, source, message) => {
    using child = RuntimeChild.start({ entry: program(name, source) });
    await expect(child.ask(question, [], { timeoutMs: patience(20_000) })).rejects.toThrow(message);
  });

  test.each([
    ['idle', []],
    [
      'inside a run that never ends',
      [
        {
          value: {
            id: 1,
            watch: true,
            ask: {
              kind: 'open',
              spec: {
                provider: 'cpu',
                deviceId: null,
                threads: 1,
                optimization: 'disabled',
                prepacking: true,
                folder: null,
                profilePrefix: null,
              },
            },
          },
          payloads: [endless],
        },
        {
          value: {
            id: 2,
            watch: true,
            ask: { kind: 'run', feeds: [{ name: 'x', dtype: 'float32', shape: [1], strings: null }], fetches: ['y'] },
          },
          payloads: [new Uint8Array(4)],
        },
      ],
    ],
  ])('%s ends with its parent, however the parent ends', async (_state, frames) => {
    const questions = join(folder, 'questions.bin');
    writeFileSync(questions, Buffer.concat(frames.flatMap((frame) => encodeFrame(frame))));
    const parent = spawn(
      process.execPath,
      [
        '-e',
        `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, [${JSON.stringify(programBeside(import.meta.url, 'runtime-child'))}], { stdio: ['pipe', 'ignore', 'inherit', 'pipe'] });
      child.stdin.write(require('node:fs').readFileSync(${JSON.stringify(questions)}));
      if (${frames.length} === 0) console.log(child.pid);
      // The first answer says that the session is open; by then the run has begun.
      else child.stdio[3].once('data', () => setTimeout(() => console.log(child.pid), 300));
      setInterval(() => 0, 1000);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (text: Buffer) => resolve(Number(text.toString()))),
    );
    parent.kill('SIGKILL');
    expect(await isGone(pid)).toBe(true);
  });
});

/** Source that writes frames as ours do. */
function FRAME_SOURCE(): string {
  return `const sum = (b) => { let h = 0x811c9dc5; for (const x of b) h = Math.imul(h ^ x, 0x01000193); return h >>> 0; };
const send = (value, off = 0) => { const json = Buffer.from(JSON.stringify({ value, lengths: [] })); const head = Buffer.alloc(16); head.writeUInt32BE(0x66787231, 0);
head.writeUInt32BE(json.length, 4); head.writeUInt32BE(sum(json) - off, 8); require('fs').writeSync(3, Buffer.concat([head, json])); }`;
}
