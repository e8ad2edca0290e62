import { fixtureBytes, readFixtures } from './findings.js';
import { targetNamed, TARGETS } from './targets/all.js';
import type { Target } from './target.js';
import { foundBy, inputOf, isDeep } from './worker.js';

/** A short campaign with a fixed seed; `npm run fuzz` runs long ones. */

const ROOT = process.cwd();
const EXECUTIONS: ReadonlyMap<string, number> = new Map([
  ['reader', 1200],
  ['rewrite', 350],
  ['resolve', 250],
  ['npy', 500],
  ['config', 1000],
  ['shapes', 250],
  ['http', 250],
  ['preprocess', 500],
  ['options', 1000],
]);
const targets = new Map([...TARGETS.keys()].map((name) => [name, targetNamed(name, ROOT)]));

function targetOf(name: string): Target {
  const target = targets.get(name);
  if (target === undefined) throw new Error(name);
  return target;
}

describe.each([...TARGETS.keys()])('%s', (name) => {
  test('mutated inputs are answered, or refused with an error of ours', async () => {
    const target = targetOf(name);
    const codes = new Set<string>();
    const findings: unknown[] = [];
    for (let iteration = 0; iteration < (EXECUTIONS.get(name) ?? 0); iteration++) {
      try {
        codes.add(await target.run(inputOf(target, 5, iteration), isDeep(target, iteration)));
      } catch (error) {
        findings.push({ iteration, ...foundBy(error) });
      }
    }
    expect(findings).toEqual([]);
    expect(codes.has('ok')).toBe(true);
    expect(codes.size).toBeGreaterThan(3);
  });
});

test.each(['reader', 'npy', 'config', 'http', 'preprocess', 'options'])(
  'inputs of %s depend on seed and iteration alone',
  (name) => {
    const [one, other] = [targetNamed(name, ROOT), targetOf(name)];
    const inputs = [0, 1, 2, 77].map((iteration) => Buffer.from(inputOf(one, 9, iteration)).toString('hex'));
    expect(
      [77, 2, 1, 0].map((iteration) => Buffer.from(inputOf(other, 9, iteration)).toString('hex')).reverse(),
    ).toEqual(inputs);
    expect(inputs).not.toContain(Buffer.from(inputOf(other, 10, 77)).toString('hex'));
  },
);

test('what once was a finding is none any more', async () => {
  const fixtures = readFixtures(ROOT);
  const now = [];
  for (const fixture of fixtures)
    now.push({ file: fixture.file, gives: await targetOf(fixture.target).run(fixtureBytes(ROOT, fixture), true) });
  expect(now).toEqual(fixtures.map(({ file, gives }) => ({ file, gives })));
  expect(fixtures.length).toBeGreaterThan(0);
});
