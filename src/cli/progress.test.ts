import { Writable } from 'node:stream';
import { Context } from './context.js';
import type { CliIo } from './io.js';
import { progressLine } from './progress.js';
import { readStdin } from './stdin.js';
import { Readable } from 'node:stream';
import { PolicyError } from '../errors.js';

function contextOf(
  stderrIsTerminal: boolean,
  quiet = false,
): { readonly context: Context; readonly written: string[] } {
  const written: string[] = [];
  const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => (written.push(chunk.toString()), done()) });
  const io: CliIo = {
    stdin: Readable.from([]),
    stdout: stream,
    stderr: stream,
    env: {},
    stdoutIsTerminal: false,
    stderrIsTerminal,
    columns: null,
    signal: new AbortController().signal,
  };
  return { context: new Context(io, 'extract', { quiet }), written };
}

/** Ten steps of 300 ms. */
function copy(context: Context): void {
  let time = 0;
  const progress = progressLine(context, 'writing', undefined, () => time);
  for (let step = 1; step <= 10; step++) {
    time += 300;
    progress.update(step * 1e8, 1e9);
  }
  progress.end();
}

describe('progressLine', () => {
  test('says nothing in the first second, then share, rate and time left, then removes itself', () => {
    const { context, written } = contextOf(true);
    copy(context);
    expect(written[0]).toBe('\r\x1b[Kwriting  40%  400 MB of 1.0 GB  333 MB/s  2 s left');
    expect(written).toHaveLength(8);
    expect(written.at(-1)).toBe('\r\x1b[K');
  });

  test('only on a terminal, and not under --quiet', () => {
    for (const { context, written } of [contextOf(false), contextOf(true, true)]) {
      copy(context);
      expect(written).toEqual([]);
    }
  });

  test('leaves no trace of work that was quick', () => {
    const { context, written } = contextOf(true);
    const progress = progressLine(context, 'writing', undefined, () => 0);
    progress.update(1, 2);
    progress.end();
    expect(written).toEqual([]);
  });
});

describe('readStdin', () => {
  const never = new AbortController().signal;

  test('joins what comes, up to the limit', async () => {
    expect(await readStdin(Readable.from([Buffer.from('ab'), Buffer.from('c')]), 3, never)).toEqual(
      new Uint8Array(Buffer.from('abc')),
    );
    await expect(readStdin(Readable.from([Buffer.from('ab'), Buffer.from('cd')]), 3, never)).rejects.toThrow(
      PolicyError,
    );
  });

  test('stops reading at the limit', async () => {
    let given = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        given++;
        yield Buffer.alloc(1000);
      }
    }
    await expect(readStdin(Readable.from(endless()), 10_000, never)).rejects.toThrow('longer than 10000 bytes');
    expect(given).toBeLessThan(50);
  });
});
