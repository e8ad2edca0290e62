import { extract } from '../../extract.js';
import { Evaluation } from '../../shapes/evaluate.js';
import { tensorInfo } from '../../shapes/info.js';
import { checkGraph, newGraphTally } from '../shapes/graph-check.js';
import { faultOf } from '../shapes/truth.js';
import { checkCuts, newCutTally } from './cut-check.js';
import { checkEnds, newEndsTally } from './ends-check.js';
import { randomGraph } from './random-graph.js';

/** Short forms of `npm run check:shapes`, `npm run check:cuts` and `npm run check:ends`. */

test('random graphs: what is inferred is what a run of ONNX Runtime gives, at their sizes and at others', async () => {
  const tally = newGraphTally();
  for (let seed = 1; seed <= 16; seed++) await checkGraph(seed, tally);
  const { differences, graphs, values, numeric, formulas, sizes } = tally;
  expect(differences).toEqual([]);
  expect(graphs).toBeGreaterThan(13);
  expect(numeric / values).toBeGreaterThan(0.85);
  expect(formulas / values).toBeGreaterThan(0.85);
  expect(sizes).toBeGreaterThan(4);
});

test('random graphs: every output of a cut is what the whole graph gives, bit for bit', async () => {
  const tally = newCutTally();
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8, 1520]) await checkCuts(seed, tally);
  expect(tally.differences).toEqual([]);
  expect(tally.cuts).toBeGreaterThanOrEqual(35);
  expect(Object.keys(tally.ways)).toHaveLength(20);
});

test('random graphs: parts, beginnings and sizes compute what the whole graph does, bit for bit', async () => {
  const tally = newEndsTally();
  for (const seed of [21, 39, 40, 44]) await checkEnds(seed, tally);
  expect(tally.differences).toEqual([]);
  expect(tally.trips).toEqual({ 'split: right': 4, 'from: right': 4, 'dim: right': 4 });
});

test('a cut whose outputs are exchanged is found', async () => {
  const tally = newCutTally();
  await checkCuts(1, tally, async (...given) => {
    const report = await extract(...given);
    const tensors = report.features.map(({ tensor }) => tensor);
    const features = report.features.map((feature, at) => ({ ...feature, tensor: tensors[(at + 1) % tensors.length] }));
    return { ...report, features };
  });
  expect(tally.differences).toHaveLength(5);
});

test('what is wrong about an inference is said', () => {
  const seen = { dtype: 'float32', dims: [2, 3] } as const;
  expect(faultOf(tensorInfo(1, [2, 3]), seen, null)).toBeNull();
  expect(faultOf(tensorInfo(1, null), seen, null)).toBeNull();
  expect(faultOf(tensorInfo(1, [2, 4]), seen, null)).toBe('[2,4] instead of [2,3]');
  expect(faultOf(tensorInfo(1, [2]), seen, new Evaluation(new Map()))).toBe('[2] instead of [2,3]');
  expect(faultOf(tensorInfo(7, [2, 3]), seen, null)).toBe('int64 instead of float32');
  expect(faultOf({ kind: 'sequence', element: null }, seen, null)).toBe('sequence, but it is a tensor');
  expect(faultOf(tensorInfo(1, [2, 3]), 'not a tensor', null)).toBe('a tensor, which it is not');
});

test('a graph follows from its seed alone', () => {
  expect(randomGraph(12).spec).toEqual(randomGraph(12).spec);
  expect(randomGraph(12).spec).not.toEqual(randomGraph(13).spec);
});
