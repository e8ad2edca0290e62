import { RangeSet, coalesced, pieces } from './ranges.js';
import { predicted, ReadAhead } from './read-ahead.js';
import { farChain } from '../testing/far-model.js';
import { seededRandom } from '../testing/random.js';
import { indexOverLine } from '../testing/virtual-line.js';

describe('a set of ranges', () => {
  test('is what a list of flags is', () => {
    const random = seededRandom(1);
    const set = new RangeSet();
    const flags = new Uint8Array(200);
    for (let round = 0; round < 400; round++) {
      const start = Math.floor(random() * 200);
      const end = Math.min(200, start + Math.floor(random() * 12));
      if (round % 2 === 0) {
        set.add(start, end);
        flags.fill(1, start, end);
      }
      const missing = new Uint8Array(200);
      for (const gap of set.missing({ start, end })) missing.fill(1, gap.start, gap.end);
      expect([...missing]).toEqual([...flags].map((flag, at) => (at >= start && at < end && flag === 0 ? 1 : 0)));
      let reach = start;
      while (reach < 200 && flags[reach] === 1) reach++;
      expect([set.reach(start), set.size, set.has({ start, end })]).toEqual([
        reach,
        flags.reduce((sum, flag) => sum + flag, 0),
        start >= end || reach >= end,
      ]);
      const list = [...set];
      expect(list.every((range, at) => at === 0 || list[at - 1].end < range.start)).toBe(true);
    }
  });

  test('ranges are joined and cut', () => {
    const ranges = [
      { start: 50, end: 60 },
      { start: 0, end: 10 },
      { start: 12, end: 30 },
    ];
    expect(coalesced(ranges, 2)).toEqual([
      { start: 0, end: 30 },
      { start: 50, end: 60 },
    ]);
    expect(pieces([{ start: 0, end: 25 }], 10).map(({ end }) => end)).toEqual([10, 20, 25]);
  });
});

describe('what is asked for beside what is needed', () => {
  test('follows how the file went on after the same steps', () => {
    // Two records in each block, names that grow by a byte.
    const visits = [
      { read: 500, stepped: 1000 },
      { read: 50, stepped: 2000 },
      { read: 90, stepped: 1000 },
      { read: 50, stepped: 2000 },
      { read: 91, stepped: 1000 },
    ];
    expect(predicted(visits, 10_000, 3)).toEqual([
      { start: 12_050, end: 12_141 },
      { start: 13_141, end: 13_191 },
      { start: 15_191, end: 15_282 },
    ]);
    expect(predicted([], 0, 3)).toEqual([]);
  });

  test('guesses fewer and fewer where a file never repeats itself', () => {
    const random = seededRandom(3);
    const ahead = new ReadAhead(1e12);
    let at = 0;
    let guesses = 0;
    const STEPS = [100_000, 200_000, 300_000];
    for (let visit = 0; visit < 500; visit++) {
      const [, ...more] = ahead.plan({ start: at, end: at + 20 });
      guesses += more.length;
      const left = at + 60;
      at = left + STEPS[Math.floor(random() * 3)] + Math.floor(random() * 2) * 5_000;
      ahead.step(left, at);
    }
    expect(guesses).toBeLessThan(900);
  });
});

describe('over a line of 50 ms and 100 Mbit/s, by a clock that only the line moves', () => {
  test('a chain of a gigabyte is indexed within 0.8 s, by 0.5 MB', async () => {
    const file = farChain(Array.from({ length: 40 }, () => 6_553_600));
    expect(file.size).toBeGreaterThan(1.04e9);
    const { seconds, bytes, requests } = await indexOverLine(file);
    expect(seconds).toBeLessThan(0.8);
    expect(bytes).toBeLessThan(500_000);
    expect(requests).toBeLessThan(60);
  });

  test('a file in which nothing repeats itself never takes 1.5 times as long as downloading it', async () => {
    for (const [count, most] of [
      [600, 30_000],
      [300, 100_000],
      [60, 600_000],
    ]) {
      const random = seededRandom(count);
      const { seconds, wholeSeconds } = await indexOverLine(
        farChain(Array.from({ length: count }, () => Math.floor(random() * most))),
      );
      expect(seconds / wholeSeconds).toBeLessThan(1.5);
    }
  });
});
