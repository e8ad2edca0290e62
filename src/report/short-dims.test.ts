import { shortDims } from './short-dims.js';

test('names in formulas and long names get letters, and what is rounded up is said', () => {
  const maps = [
    ['batch', 64, 'ceil(height/2)', 'ceil(width/2)'],
    ['batch', 64, '4*ceil(height/32)', 'floor(width/2) + 1'],
  ];
  const short = shortDims(maps);
  expect(maps.map(short.shapeText)).toEqual(['[batch, 64, H/2, W/2]', '[batch, 64, 4*(H/32), floor(W/2) + 1]']);
  expect(short.legend).toBe('H = height, W = width; divisions are rounded up, but in floor');
});

test('names that begin alike are numbered', () => {
  const shape = ['DynamicDimension.0', 3, 'floor((DynamicDimension.1 + 3)/8)', null];
  const short = shortDims([shape]);
  expect(short.shapeText(shape)).toBe('[D1, 3, floor((D2 + 3)/8), ?]');
  expect(short.legend).toBe('D1 = DynamicDimension.0, D2 = DynamicDimension.1');
});

test('short names alone stay, and nothing is explained', () => {
  const short = shortDims([['N', 3, 'h'], null]);
  expect([short.shapeText(['N', 3, 'h']), short.shapeText(null), short.legend]).toEqual(['[N, 3, h]', '?', '']);
});
