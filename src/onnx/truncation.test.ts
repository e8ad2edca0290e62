import { smallModels } from '../testing/flip-models.js';
import { fixtureFiles } from '../testing/fixture-files.js';
import { checkBoundaries, checkWhole, CONTROLS, newTally } from '../testing/flips.js';

// A sample; `npm run check:flips` takes every byte, every bit and more models.
const MODELS = 120;
const models = smallModels(MODELS);

test('cuts and flips of 120 small models are located errors, or mean what the second decoder finds', async () => {
  const tally = newTally();
  for (const [index, { name, bytes }] of models.entries())
    await checkWhole(bytes, name, tally, { sampling: { cuts: 37, flips: 487, offset: index } });
  expect(tally.wrong).toEqual([]);
  expect(tally.files).toBe(MODELS);
  expect(tally.cuts).toBeGreaterThan(1_000);
  expect(tally.refused).toBeGreaterThan(1_000);
  expect(tally.agreed).toBeGreaterThan(400);
});

test('so are cuts and flips at the field boundaries of real graphs', async () => {
  const tally = newTally();
  const [small] = fixtureFiles('zoo')
    .map(({ name, read }) => ({ name, bytes: read() }))
    .sort((a, b) => a.bytes.length - b.bytes.length);
  await checkBoundaries(small.bytes, small.name, tally, { sampling: { cuts: 7, flips: 97, offset: 3 } });
  expect(tally.wrong).toEqual([]);
  expect(tally.cuts).toBeGreaterThan(20);
});

test.each(Object.entries(CONTROLS))('a reader where %s is caught', async (_what, reader) => {
  const tally = newTally();
  for (const { name, bytes } of models.filter(({ name: each }) =>
    ['01-capture-if', '01-capture-if in pieces'].includes(each),
  ))
    await checkWhole(bytes, name, tally, { reader, sampling: { cuts: 97, flips: 499, offset: 0 } });
  expect(tally.wrong.filter((wrong) => /another meaning|malformed/.test(wrong)).length).toBeGreaterThan(0);
});
