import { readFileSync } from 'node:fs';
import { inspect } from '../inspect.js';
import { judge, summed, type Judgement, type Truth } from '../testing/feature-score.js';

/**
 * Graphs beyond timm's own exports: torchvision, transformers, tokens, anonymous ones, and exports that lost their
 * scopes. `npm run check:features` scores many more.
 */
const truths: readonly Truth[] = JSON.parse(readFileSync('fixtures/features/truth.json', 'utf8')).models;

/** Features whose module has no parameters, so that nothing in a graph without scopes tells it. */
const UNTOLD = new Set(['act1']);

const judged = new Map<string, Promise<Judgement>>();

function judgementOf(truth: Truth): Promise<Judgement> {
  const known = judged.get(truth.file) ?? judgeFile(truth);
  judged.set(truth.file, known);
  return known;
}

async function judgeFile(truth: Truth): Promise<Judgement> {
  const report = await inspect(`fixtures/features/${truth.file}`, { isolate: false });
  return judge(truth, report.feature_info);
}

test.each(truths)('$file: the features that PyTorch saw, under their names', async (truth) => {
  const { misses } = await judgementOf(truth);
  expect(misses.filter((miss) => !UNTOLD.has(miss.split(':')[0]))).toEqual([]);
});

test('what is said to be sure is right', async () => {
  const total = summed((await Promise.all(truths.map(judgementOf))).map(({ score }) => score));
  expect(total.sure).toBeGreaterThan(0.5 * total.findable);
  expect(total.sureRight).toBe(total.sure);
});
