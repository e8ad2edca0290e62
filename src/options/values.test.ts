import { UsageError } from '../errors.js';
import { parseBytes, parseCount, parseIndices, parseInputShape, parseNames, parsePerChannel } from './values.js';

describe('parseIndices', () => {
  test.each([
    ['1,2,3', [1, 2, 3]],
    ['0-3', [0, 1, 2, 3]],
    ['-1', [-1]],
    ['-3--1', [-3, -2, -1]],
    ['4, 0-1 ,-2', [4, 0, 1, -2]],
    ['2-2', [2]],
    ['1,1', [1, 1]],
  ])('%s', (text, indices) => expect(parseIndices('--out', text)).toEqual(indices));

  test.each(['', 'a', '1,,2', '1.5', '3-1', '1--1', '0-4000000', '1e3', '0x1', '--1', '1-'])('%j is refused', (text) =>
    expect(() => parseIndices('--out', text)).toThrow(UsageError),
  );

  test('names every part that is wrong', () =>
    expect(() => parseIndices('--out', '1,x,2,3-1')).toThrow("--out cannot read 'x', '3-1' as indices"));
});

test('parseCount', () => {
  expect(parseCount('--last', '3', 1)).toBe(3);
  for (const text of ['0', '-1', '', '1.5', 'x', '1e3', '99999999999999999999'])
    expect(() => parseCount('--last', text, 1)).toThrow(UsageError);
});

describe('parseBytes', () => {
  test.each([
    ['1048576', 1048576],
    ['64MiB', 64 * 2 ** 20],
    ['2GB', 2e9],
    ['1.5k', 1500],
    ['4 KiB', 4096],
    ['10b', 10],
  ])('%s', (text, bytes) => expect(parseBytes('--align', text)).toBe(bytes));

  test.each(['', '0', '-1', '1x', 'MiB', '1e9', '99999999999TB', 'constructor', '1toString'])('%j is refused', (text) =>
    expect(() => parseBytes('--align', text)).toThrow(UsageError),
  );
});

describe('parseInputShape', () => {
  test.each([
    ['1,3,224,224', { name: '', shape: [1, 3, 224, 224] }],
    ['x:1,3', { name: 'x', shape: [1, 3] }],
    ['image:0:1,3', { name: 'image:0', shape: [1, 3] }],
  ])('%s', (text, parsed) => expect(parseInputShape('--input-shape', text)).toEqual(parsed));

  test.each(['', 'x:', '1,,2', '0,3', '1,-1', 'x', '1,batch'])('%j is refused', (text) =>
    expect(() => parseInputShape('--input-shape', text)).toThrow(UsageError),
  );
});

test('parsePerChannel', () => {
  expect([parsePerChannel('--std', '1e-2'), parsePerChannel('--mean', '0.5, 0, -1')]).toEqual([[0.01], [0.5, 0, -1]]);
  for (const text of ['', '1,2', '1,2,3,4', 'x', '1,,2'])
    expect(() => parsePerChannel('--mean', text)).toThrow(UsageError);
});

test('parseNames', () => {
  expect(parseNames('--out-map', 'p2, p3,p4')).toEqual(['p2', 'p3', 'p4']);
  expect(() => parseNames('--out-map', 'p2,,p4')).toThrow(UsageError);
});
