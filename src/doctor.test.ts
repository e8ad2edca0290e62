import { doctor } from './doctor.js';
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
  const [cpu, cuda, dml] = report.providers;
  expect(cpu).toEqual({ provider: 'cpu', works: true, ran_on: ['cpu'], reason: null, hint: null });
  for (const other of [cuda, dml]) {
    if (other.works) expect(other.ran_on).toContain(other.provider);
    else
      expect(other).toMatchObject({
        ran_on: [],
        reason: expect.stringMatching(/not installed|does not load|Windows/),
        hint: expect.stringMatching(/./),
      });
  }
}, 60_000);
