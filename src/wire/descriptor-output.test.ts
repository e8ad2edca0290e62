import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescriptorOutput, descriptorKind, type OutputStream } from './fs.js';

const PIPE_BYTES = 65_536;
const onLinux = process.platform === 'linux' ? test : test.skip;
let home: string;
let descriptor: number;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'featx-output-'));
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(home, { recursive: true });
});

/** An output, and what came through the stream behind it. */
function output(): {
  readonly opened: DescriptorOutput;
  readonly streamed: () => string;
  readonly heard: () => number;
} {
  const chunks: string[] = [];
  let listeners = 0;
  const stream: OutputStream = {
    on: () => void listeners++,
    write: (data, done) => {
      chunks.push(Buffer.from(data as Uint8Array).toString());
      done?.();
    },
  };
  const opened = new DescriptorOutput(descriptor, descriptorKind(descriptor), () => stream);
  return { opened, streamed: () => chunks.join(''), heard: () => listeners };
}

function written(to: DescriptorOutput, data: string | Uint8Array): Promise<unknown> {
  return new Promise((resolve) => to.write(data, resolve));
}

function pipe(): void {
  execFileSync('mkfifo', [join(home, 'pipe')]);
  descriptor = openSync(join(home, 'pipe'), constants.O_RDWR | constants.O_NONBLOCK);
}

function read(): string {
  const bytes = Buffer.alloc(2 * PIPE_BYTES);
  return bytes.toString('utf8', 0, readSync(descriptor, bytes));
}

test('a file takes everything in place, escapes of bytes as Node writes them', async () => {
  descriptor = openSync(join(home, 'file'), 'w');
  const { opened, streamed } = output();
  expect(await written(opened, 'ä\udc80'.repeat(PIPE_BYTES))).toBeUndefined();
  expect(await written(opened, new Uint8Array([65, 10]))).toBeUndefined();
  expect(readFileSync(join(home, 'file'), 'utf8')).toBe(`${'ä\ufffd'.repeat(PIPE_BYTES)}A\n`);
  expect(streamed()).toBe('');
});

test('what a system refuses is told to who writes', async () => {
  writeSync((descriptor = openSync(join(home, 'file'), 'w')), 'x');
  closeSync(descriptor);
  descriptor = openSync(join(home, 'file'), 'r');
  expect(await written(output().opened, 'x')).toMatchObject({ code: 'EBADF' });
});

onLinux('a pipe takes what it takes at once; the stream gets the rest, and who listens for its errors', async () => {
  pipe();
  const { opened, streamed, heard } = output();
  opened.on('error', () => undefined);
  await written(opened, 'first');
  expect([read(), heard()]).toEqual(['first', 0]);
  await written(opened, 'x'.repeat(PIPE_BYTES));
  await written(opened, 'last');
  expect([streamed().length, heard()]).toEqual([PIPE_BYTES + 'last'.length, 1]);
});

onLinux('a pipe that is full and does not wait takes a part, and the stream gets the rest', async () => {
  pipe();
  writeSync(descriptor, Buffer.alloc(PIPE_BYTES - 4096, '.'));
  const { opened, streamed } = output();
  await written(opened, 'a'.repeat(4096) + 'b'.repeat(4096));
  expect(read().slice(-4096)).toBe('a'.repeat(4096));
  expect(streamed()).toBe('b'.repeat(4096));
});
