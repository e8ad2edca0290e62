import * as fc from 'fast-check';
import { PolicyError } from '../errors.js';
import { CountingSource, SparseSource } from '../testing/counting-source.js';
import { BufferSource } from './source.js';
import { ResidentWindow } from './window.js';

const KB = 1024;
const file = Uint8Array.from({ length: 3000 * KB }, (_, index) => (index * 7) & 255);

function windowOver(bytes: Uint8Array, limit = 512 * KB * KB): { window: ResidentWindow; source: CountingSource } {
  const source = new CountingSource(new BufferSource(bytes));
  return { window: new ResidentWindow(source, limit), source };
}

test('starts at 64 KiB and doubles up to 1 MiB while reading goes on in sequence', async () => {
  const { window, source } = windowOver(file);
  for (let at = 0; at < file.length; at = window.end) await window.load(at, at + 1);
  expect(source.reads.map(({ start, end }) => (end - start) / KB)).toEqual([
    64,
    128,
    256,
    512,
    1024,
    3000 - 64 - 128 - 256 - 512 - 1024,
  ]);
  expect(source.bytesRead).toBe(file.length);
});

test('reads 4 KiB after a seek, then grows again', async () => {
  const { window, source } = windowOver(file);
  await window.load(0, 10);
  await window.load(1000 * KB, 1000 * KB + 10);
  await window.load(1004 * KB, 1004 * KB + 10);
  expect(source.reads.map(({ start, end }) => (end - start) / KB)).toEqual([64, 4, 64]);
});

test('takes more than a window where one is asked for', async () => {
  const { window } = windowOver(file);
  await window.load(0, 100 * KB);
  expect(window.has(0, 100 * KB)).toBe(true);
  expect(window.has(0, 100 * KB + 1)).toBe(false);
  await window.load(200 * KB, 200 * KB + 1);
  expect(window.has(200 * KB, 200 * KB + 1)).toBe(true);
  expect(window.has(200 * KB - 1, 200 * KB + 1)).toBe(false);
});

test('bytes that stand in two windows count once, and may fill the limit to the last one', async () => {
  const { window } = windowOver(file.subarray(0, 96 * KB), 96 * KB);
  await window.load(0, 1);
  await window.load(32 * KB, 32 * KB + 1);
  expect(window.end).toBe(96 * KB);
  expect(window.resident({ start: 30 * KB, end: 34 * KB })).toEqual(file.subarray(30 * KB, 34 * KB));
  expect(() => window.charge(1)).toThrow(expect.objectContaining({ hint: expect.stringContaining('indexBytes') }));
});

test('a small file is one window', async () => {
  const { window, source } = windowOver(file.subarray(0, 100));
  await window.load(0, 1);
  expect([window.start, window.end]).toEqual([0, 100]);
  expect(source.reads).toHaveLength(1);
});

test('what it has passed stays resident, across windows and byte for byte', async () => {
  const { window } = windowOver(file.subarray(0, 300 * KB));
  for (let at = 0; at < 300 * KB; at = window.end - 5) {
    await window.load(at, at + 6);
    if (window.end === 300 * KB) break;
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(300 * KB), fc.nat(300 * KB), async (a, b) => {
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      expect(Buffer.compare(window.resident({ start, end }) ?? Buffer.of(), file.subarray(start, end))).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test('what it has skipped is not resident', async () => {
  const { window } = windowOver(file);
  await window.load(0, 10);
  window.trim(100);
  await window.load(500 * KB, 500 * KB + 10);
  expect(window.resident({ start: 0, end: 100 })).toEqual(file.subarray(0, 100));
  expect(window.resident({ start: 0, end: 101 })).toBeNull();
  expect(window.resident({ start: 100, end: 200 })).toBeNull();
  expect(window.resident({ start: 499 * KB, end: 500 * KB + 1 })).toBeNull();
  expect(window.resident({ start: 500 * KB, end: 504 * KB })).toEqual(file.subarray(500 * KB, 504 * KB));
  expect(window.resident({ start: 503 * KB, end: 504 * KB + 1 })).toBeNull();
});

test('the empty range is resident anywhere', () => {
  const { window } = windowOver(file);
  expect(window.resident({ start: 12345, end: 12345 })).toEqual(new Uint8Array(0));
  expect(window.resident({ start: 0, end: 1 })).toBeNull();
});

test('a trimmed window does not keep the bytes behind it alive', async () => {
  const { window } = windowOver(file);
  await window.load(0, 10);
  window.trim(16);
  expect(window.resident({ start: 0, end: 16 })?.buffer.byteLength).toBe(16);
  window.trim(20);
  expect(window.resident({ start: 0, end: 16 })).toHaveLength(16);
});

test('skipped bytes do not count against the limit, resident ones do', async () => {
  const long = new SparseSource(10_000_000 * KB, []);
  const window = new ResidentWindow(long, 200 * KB);
  for (let index = 0; index < 1000; index++) {
    await window.load(index * 1000 * KB, index * 1000 * KB + 1);
    window.trim(index * 1000 * KB + 1);
  }
  const { window: small } = windowOver(file, 200 * KB);
  await small.load(0, 1);
  await small.load(64 * KB, 64 * KB + 1);
  await expect(small.load(192 * KB, 192 * KB + 1)).rejects.toThrow(
    expect.objectContaining({ code: 'FEATX_LIMIT_INDEX', offset: 192 * KB }),
  );
  await expect(small.load(192 * KB, 192 * KB + 1)).rejects.toThrow(PolicyError);
});

test('what is kept of a trimmed window counts against the limit, and no more than that', async () => {
  const window = new ResidentWindow(new SparseSource(10_000 * KB, []), 100 * KB);
  await window.load(0, 1);
  window.trim(40 * KB);
  // 40 KiB are kept of 64: 60 more fit, and not one byte beyond them.
  window.charge(60 * KB);
  expect(() => window.charge(1)).toThrow(
    expect.objectContaining({ code: 'FEATX_LIMIT_INDEX', message: expect.stringContaining(`${100 * KB + 1} by byte`) }),
  );
});

test('windows that are kept in part add up to the limit', async () => {
  const window = new ResidentWindow(new SparseSource(10_000 * KB, []), 64 * KB);
  const keepHalf = async (at: number): Promise<void> => {
    await window.load(at, at + 1);
    window.trim(at + 2 * KB);
  };
  for (let index = 1; index <= 30; index++) await keepHalf(index * 100 * KB);
  await expect(keepHalf(3100 * KB).then(() => keepHalf(3200 * KB))).rejects.toMatchObject({
    code: 'FEATX_LIMIT_INDEX',
  });
});
