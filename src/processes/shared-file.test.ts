import { BufferPool } from './buffers.js';
import { encodeFrame, FrameReader } from './frames.js';
import { SharedFile } from './shared-file.js';

function file(): SharedFile {
  const created = SharedFile.create();
  if (created === null) throw new Error('no file for two processes can be made here');
  return created;
}

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('a file that two processes share', () => {
  test('keeps every payload until the other side has read it, and uses its place again then', () => {
    const shared = file();
    const places = [filled(100, 1), filled(50, 2), filled(30, 3)].map((bytes, message) => shared.place(bytes, message));
    expect(places).toEqual([0, 100, 150]);
    shared.release(0);
    expect(shared.place(filled(60, 4), 3)).toBe(0);
    // 40 bytes are left before the second.
    expect(shared.place(filled(41, 5), 4)).toBe(180);
    expect(shared.place(filled(40, 6), 5)).toBe(60);
    for (const [at, length, value] of [
      [100, 50, 2],
      [150, 30, 3],
      [0, 60, 4],
      [180, 41, 5],
      [60, 40, 6],
    ]) {
      const target = new Uint8Array(length);
      shared.read(at, target);
      expect(target).toEqual(filled(length, value));
    }
    shared.release(5);
    expect(shared.place(filled(1, 7), 6)).toBe(0);
    shared.close();
  });

  test('says where it ends, and what it has no room for', () => {
    const shared = file();
    expect(shared.place(filled(10, 1), 0)).toBe(0);
    expect(() => shared.read(4, new Uint8Array(7))).toThrow('the shared file ends at byte 10');
    expect(shared.place(new Uint8Array(512 * 1024 * 1024), 1)).toBeNull();
    shared.close();
    expect(shared.place(filled(10, 1), 2)).toBeNull();
  });

  test('carries some payloads of a message and leaves others to the channel', () => {
    const shared = file();
    const payloads = [filled(9, 1), filled(3, 2), filled(8, 3), new Uint8Array(0)];
    const chunks = encodeFrame({ value: 'v', payloads }, (payload) =>
      payload.length < 5 ? null : shared.place(payload, 1),
    );
    const reader = new FrameReader({
      take: (length) => new Uint8Array(length),
      fetch: (position, target) => shared.read(position, target),
    });
    expect(chunks.flatMap((chunk) => reader.push(chunk))).toEqual([{ value: 'v', payloads }]);
    expect(chunks.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(16 + 80 + 3);
    // A reader without the file does not make something up.
    expect(() => chunks.flatMap((chunk) => new FrameReader().push(chunk))).toThrow('there is no shared file');
    shared.close();
  });
});

test('memory that is given back is used again once, and memory from elsewhere is not', () => {
  const pool = new BufferPool();
  const first = pool.take(64);
  pool.give(new Float32Array(first.buffer));
  pool.give(first);
  const again = pool.take(64);
  expect(again.buffer).toBe(first.buffer);
  expect(pool.take(64).buffer).not.toBe(first.buffer);
  const stranger = new Uint8Array(64);
  pool.give(stranger);
  expect(pool.take(64).buffer).not.toBe(stranger.buffer);
});

test('sizes that nobody asks for any more are forgotten, and memory is given back once', () => {
  const pool = new BufferPool();
  const old = pool.take(10);
  pool.give(old);
  pool.give(old);
  expect(pool.take(11)).toHaveLength(11);
  expect(pool.take(10).buffer).not.toBe(old.buffer);
});
