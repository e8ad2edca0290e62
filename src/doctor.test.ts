import { canRun, doctor, tryPictures, tryTexts } from './doctor.js';
import { VERSION } from './version.js';

test('says what works, by running it, and what mends the rest', async () => {
  const report = await doctor({ providers: ['cpu', 'cuda', 'dml'] });
  expect(report).toMatchObject({
    schema: 1,
    command: 'doctor',
    featx: VERSION,
    node: process.versions.node,
    runtime: { version: '1.30.0', works: true, reason: null, hint: null },
    warnings: [],
  });
  expect(report.pictures).toEqual({ version: expect.stringMatching(/^\d/), works: true, reason: null, hint: null });
  expect(report.texts).toEqual({ works: true, reason: null, hint: null });
  const [cpu, cuda, dml] = report.providers;
  expect(cpu).toEqual({ provider: 'cpu', works: true, ran_on: ['cpu'], missing: null, reason: null, hint: null });
  for (const other of [cuda, dml]) {
    if (other.works) expect(other.ran_on).toContain(other.provider);
    else
      expect(other).toMatchObject({
        ran_on: [],
        reason: expect.stringMatching(/not installed|missing|no device|Windows/),
        hint: expect.stringMatching(/./),
      });
  }
});

test('options of a fetch go with one, and one with a provider that has libraries', async () => {
  await expect(doctor({ dryRun: true })).rejects.toThrow(/belong to/);
  await expect(doctor({ index: 'https://example.com' })).rejects.toThrow(/belong to/);
  await expect(doctor({ fetch: true, providers: ['cpu'] })).rejects.toThrow(
    /has libraries for cuda, and cpu takes none/,
  );
});

test('nothing can run where the runtime is missing, or none of the providers that were asked for works', async () => {
  const report = await doctor({ providers: ['cpu', 'dml'] });
  const [cpu, dml] = report.providers;
  const { runtime } = report;
  expect([dml.works, canRun(report)]).toEqual([false, true]);
  expect(canRun({ ...report, providers: [dml] })).toBe(false);
  expect(canRun({ ...report, providers: [] })).toBe(true);
  expect(canRun({ ...report, providers: [cpu], runtime: { ...runtime, works: false } })).toBe(false);
});

test.each([
  [
    'throws nothing at all when it is called',
    () => ({
      default: () => {
        throw null;
      },
    }),
    /is broken: null/,
  ],
  ['is not a function', () => ({ default: {} }), /is broken: .*not a function/],
  [
    'throws when it is loaded',
    () => {
      throw null;
    },
    /not installed or does not load/,
  ],
])('a sharp that %s is said to be broken', async (_how, load, reason) => {
  const pictures = await tryPictures(async () => load());
  expect(pictures).toEqual({
    version: null,
    works: false,
    reason: expect.stringMatching(reason),
    hint: expect.stringContaining('npm install -E sharp@'),
  });
});

test('tokenizers that are not there are said to be missing, and how to get them', async () => {
  expect(await tryTexts(() => Promise.reject(new Error('no such module')))).toEqual({
    works: false,
    reason: expect.stringContaining('@huggingface/tokenizers'),
    hint: expect.stringContaining('npm install -E @huggingface/tokenizers@'),
  });
});
