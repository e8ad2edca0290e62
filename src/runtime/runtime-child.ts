import { readSync, writeSync } from 'node:fs';
import { BufferPool } from '../processes/buffers.js';
import { CHANNELS, encodeFrame, FrameReader, type Frame } from '../processes/frames.js';
import { LEAST_SHARED, SharedFile } from '../processes/shared-file.js';
import { endWithParent } from '../processes/watchdog.js';
import { LocalRuntime, wireError, type RuntimeRequest } from './host.js';
import { loadNative } from './session.js';

/**
 * The child: requests come on standard input, answers go to file descriptor 3, one at a time. It reads and writes in
 * place, because ONNX Runtime blocks the event loop anyway, and ends when its standard input does: a parent that dies
 * takes it along.
 */

/** The files that large payloads lie in, where the parent shares some. */
const SHARED_REQUESTS = 4;
const SHARED_ANSWERS = 5;

function waitFor(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Bytes read or written; 0 at the end of the channel. */
function transfer(step: () => number): number {
  for (;;) {
    try {
      return step();
    } catch (error) {
      const code = (error as { code?: unknown } | null)?.code;
      if (code === 'EOF' || code === 'EPIPE') return 0;
      if (code !== 'EAGAIN' && code !== 'EINTR') throw error;
      waitFor(1);
    }
  }
}

function nextFrame(reader: FrameReader): Frame | null {
  for (;;) {
    const { space } = reader;
    const count = transfer(() => readSync(CHANNELS.requests, space, 0, space.length, null));
    if (count === 0) return null;
    const frame = reader.advance(count);
    if (frame !== null) return frame;
  }
}

function send(frame: Frame, place: (payload: Uint8Array) => number | null): boolean {
  for (const chunk of encodeFrame(frame, place)) {
    for (let done = 0; done < chunk.length; ) {
      const count = transfer(() => writeSync(CHANNELS.answers, chunk, done));
      if (count === 0) return false;
      done += count;
    }
  }
  return true;
}

async function main(): Promise<void> {
  let watched = false;
  const shares = process.argv[3] === 'shares';
  const requests = shares ? new SharedFile(SHARED_REQUESTS) : null;
  const answers = shares ? new SharedFile(SHARED_ANSWERS) : null;
  const runtime = new LocalRuntime();
  const pool = new BufferPool();
  const reader = new FrameReader({
    take: (length) => pool.take(length),
    fetch: (position, target) => requests?.read(position, target),
  });
  try {
    // Loading takes longer than the parent needs to think of its question.
    loadNative('error');
  } catch {
    // The first question gets this error as its answer.
  }
  for (let frame = nextFrame(reader); frame !== null; frame = nextFrame(reader)) {
    const request = frame.value as {
      readonly id: number;
      readonly read: number;
      readonly watch: boolean;
      readonly ask: RuntimeRequest;
    };
    answers?.release(request.read);
    if (request.watch && !watched) {
      endWithParent(Number(process.argv[2]));
      watched = true;
    }
    let reply: Frame;
    try {
      const { value, payloads } = await runtime.ask(request.ask, frame.payloads);
      reply = { value: { id: request.id, answer: value }, payloads };
    } catch (error) {
      reply = { value: { id: request.id, error: wireError(error) }, payloads: [] };
    }
    if (
      !send(reply, (payload) => (payload.length < LEAST_SHARED ? null : (answers?.place(payload, request.id) ?? null)))
    )
      break;
    for (const payload of frame.payloads) pool.give(payload);
  }
  process.exit(0);
}

await main();
