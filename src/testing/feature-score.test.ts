import { agrees, judge, summed, type JudgedFeature, type Truth } from './feature-score.js';

const feature = (index: number, num_chs: number, tensors: readonly string[]): Truth['features'][number] => ({
  index,
  module: `layer${index}`,
  num_chs,
  reduction: 2 << index,
  shape: [1, num_chs, 32 >> index, 32 >> index],
  tensors,
  tensors_intermediates: [],
});

const truth: Truth = {
  model: 'net',
  exporter: 'torchscript',
  file: 'net.onnx',
  input_shape: [1, 3, 64, 64],
  features: [feature(0, 8, ['a', 'a_out']), feature(1, 16, []), feature(2, 32, ['c'])],
};

const found = (tensor: string | null, at: number, confidence: JudgedFeature['confidence'] = 'high'): JudgedFeature => ({
  module: `layer${at}`,
  tensor,
  num_chs: 8 << at,
  reduction: 2 << at,
  confidence,
});

test('what is right at its index is exact, and what the graph lost may be null', () => {
  const { score, misses } = judge(truth, [found('a_out', 0), found(null, 1), found('c', 2)]);
  expect(score).toMatchObject({ exact: 1, findable: 2, tensor: 2, aligned: 2, module: 2, channels: 2, reduction: 2 });
  expect(score).toMatchObject({ asked: 3, settled: 3, sure: 2, sureRight: 2, extra: 0, twice: 0 });
  expect(misses).toEqual([]);
});

test('a value in place of one that the graph lost is not settled, and wrong where it is high', () => {
  const { score, misses } = judge(truth, [found('a', 0), found('b', 1), found('c', 2)]);
  expect(score).toMatchObject({ exact: 1, settled: 2, sure: 3, sureRight: 2 });
  expect(misses).toEqual(['high and wrong: b (16@4)']);
});

test('a tensor at another index is found and not aligned; one twice and one too many are counted', () => {
  const { score, misses } = judge(truth, [found('c', 2, 'low'), found('c', 2), found('x', 1, 'low'), found('a', 0)]);
  expect(score).toMatchObject({ exact: 0, tensor: 2, aligned: 0, settled: 0, extra: 1, twice: 1 });
  expect(misses).toEqual(['1 too many']);
});

test('names are invented where an anonymous graph has some', () => {
  const { score, misses } = judge({ ...truth, exporter: 'anonymous' }, [found('a', 0), found(null, 1), found('c', 2)]);
  expect([score.module, misses]).toEqual([0, ['layer0: named layer0', 'layer2: named layer2']]);
});

test('sums are counts over graphs', () => {
  const one = judge(truth, [found('a', 0), found(null, 1), found('c', 2)]).score;
  expect(summed([one, one])).toMatchObject({ graphs: 2, exact: 2, asked: 6, settled: 6 });
});

test.each([
  [['8@2', '16@4'], true],
  [['9@2', '16@4'], true],
  [['16@4'], false],
  [['8@2'], true],
  [['3@1', '8@2', '16@4'], true],
  [['8@2', '16@4', '32@8'], false],
])('places %j agree: %p', (got, is) => {
  expect(agrees(got, { features: ['8@2', '16@4'], alt: { 0: ['9@2'] }, optional: [1], before: ['3@1'] })).toBe(is);
});
