import { BOMBS, MOST_MIB, MOST_MS } from './testing/bombs.js';
import { bareNode, explode, type Cost } from './testing/measure.js';
import { expectLess, IS_MEASURED } from './testing/time.js';

// Runs the build, as it is shipped; `npm test` brings it up to date, and `npm run check:bombs` makes a table of it.

/** Time is asserted by `npm run check:time` alone: a busy machine makes everything slower, and nothing larger. */
const MOST_CPU_MS = 2 * MOST_MS;
const MOST_KIB = MOST_MIB * 1024;

let bare: Cost;
beforeAll(() => {
  bare = bareNode();
});

test.each(BOMBS.filter(({ isTwin }) => isTwin === undefined))('$name', (bomb) => {
  const cost = explode(bomb);
  expect([cost.exit, cost.code]).toEqual([bomb.exit, bomb.code]);
  expectLess(cost.cpuMs - bare.cpuMs, MOST_CPU_MS);
  expect(cost.peakKiB - bare.peakKiB).toBeLessThan(MOST_KIB);
  expect(cost.stderr).not.toMatch(/bug in featx|RangeError|heap/);
});

test('a program that takes as much as it is asked for is caught', () => {
  const { cpuMs, peakKiB } = explode({ name: 'control', exit: 0, code: null, make: () => ['--version'] });
  expectLess(cpuMs - bare.cpuMs, MOST_CPU_MS);
  expect(peakKiB - bare.peakKiB).toBeLessThan(MOST_KIB);
  const microseconds = IS_MEASURED ? 1.15 * MOST_CPU_MS * 1000 : 0;
  const greedy = bareNode(
    process.cwd(),
    `const all = Buffer.alloc(${MOST_MIB} * 2 ** 20, 1); let sum = 0; while (process.cpuUsage().user < ${microseconds}) for (let at = 0; at < 1e6; at++) sum += all[at];`,
  );
  if (IS_MEASURED) expect(greedy.cpuMs - bare.cpuMs).toBeGreaterThan(MOST_CPU_MS);
  expect(greedy.peakKiB - bare.peakKiB).toBeGreaterThan(MOST_KIB);
});
