import * as fc from 'fast-check';
import { isGlob, matchesGlob, unescaped } from './glob.js';
import { nearestNames } from '../options/nearest.js';
import { matchesOfGlobs } from './glob-set.js';
import { stopwatch } from '../testing/time.js';

test.each([
  ['layer*', 'layer1', true],
  ['layer*', 'layer1.0.conv1', true],
  ['*Relu*', '/layer1/act1/Relu_output_0', true],
  ['layer?', 'layer1', true],
  ['layer?', 'layer10', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  ['a\\?', 'a?', true],
  ['\\\\', '\\', true],
  ['', '', true],
  ['*', '', true],
  ['**a', 'ba', true],
  ['a.c', 'abc', false],
  ['[ab]', 'a', false],
])('%p against %p: %p', (pattern, name, expected) => {
  expect(matchesGlob(pattern, name)).toBe(expected);
});

test.each([
  ['layer*', 'layer1', true],
  ['layer*', 'layer1.0', false],
  ['blocks.*', 'blocks.11', true],
  ['blocks.*', 'blocks.1.attn', false],
  ['*.act1', 'layer1.act1', true],
  ['*.*.act1', 'layer1.0.act1', true],
  ['layer?act', 'layer.act', false],
])('module pattern %p against %p: %p', (pattern, name, expected) => {
  expect(matchesGlob(pattern, name, '.')).toBe(expected);
});

test('a pattern of many stars takes no exponential time', () => {
  const clock = stopwatch();
  expect(matchesGlob(`${'a*'.repeat(40)}b`, 'a'.repeat(5000))).toBe(false);
  clock.within(1000);
});

test('a glob has an unescaped wildcard', () => {
  expect(['a*', 'a?', 'a\\*', 'a\\\\*', 'abc'].map(isGlob)).toEqual([true, true, false, true, false]);
  expect(unescaped('a\\*\\\\b')).toBe('a*\\b');
});

test('nearest names come nearest first, and nothing far', () => {
  expect(nearestNames('layr1', ['layer2', 'layer1', 'stem', 'layer1.0'])[0]).toBe('layer1');
  expect(nearestNames('zzzzzz', ['layer1'])).toEqual([]);
});

/** By definition: every way to split the name. */
function slowly(pattern: string, name: string, separator: string): boolean {
  if (pattern === '') return name === '';
  const [token] = pattern;
  const wild = name !== '' && (separator === '' || name[0] !== separator);
  if (token === '*')
    return slowly(pattern.slice(1), name, separator) || (wild && slowly(pattern, name.slice(1), separator));
  if (token === '?') return wild && slowly(pattern.slice(1), name.slice(1), separator);
  const length = token === '\\' && pattern.length > 1 ? 2 : 1;
  return name[0] === pattern[length - 1] && slowly(pattern.slice(length), name.slice(1), separator);
}

test('matches what the definition matches', () => {
  const letters = (alphabet: string): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...Array.from(alphabet)), { maxLength: 9 }).map((list) => list.join(''));
  fc.assert(
    fc.property(
      letters('ab.*?\\'),
      letters('ab.'),
      fc.constantFrom('', '.'),
      (pattern, name, separator) => matchesGlob(pattern, name, separator) === slowly(pattern, name, separator),
    ),
    { numRuns: 5000 },
  );
});

test.each([
  ['stars and letters', `${'*a'.repeat(30_000)}*b`],
  ['a long run that ends otherwise', `*${'a'.repeat(30_000)}b*`],
  ['a long run that begins otherwise', `*b${'a'.repeat(30_000)}*`],
])('64 KiB names against %s take linear time', (_what, pattern) => {
  const names = Array.from({ length: 30 }, (_none, index) => 'a'.repeat(65_000 + index));
  const clock = stopwatch();
  expect(names.filter((name) => matchesGlob(pattern, name))).toEqual([]);
  clock.within(2_000);
});

describe('many globs at once', () => {
  test('each matches what it matches alone', () => {
    const names = Array.from({ length: 500 }, (_, index) => `/layer${index % 7}/conv${index}/Relu_output_0`);
    const patterns = [
      '*',
      'x',
      '/layer1*',
      '*conv12?/*',
      '*Relu_output_0',
      '?',
      '*/conv4*_0',
      '\\*',
      '*conv7/*',
      '*é*',
    ];
    const found = matchesOfGlobs(patterns, names);
    for (const pattern of patterns)
      expect(found.get(pattern)).toEqual(names.filter((name) => matchesGlob(pattern, name)));
    expect(found.get('*conv12?/*')).toHaveLength(10);
  });

  test('a million names and a thousand patterns', () => {
    const names = Array.from({ length: 1_000_000 }, (_, index) => `/layer${index % 9}/conv${index}/Relu`);
    const patterns = Array.from({ length: 1000 }, (_, index) => `*/conv${index * 997}/*`);
    const started = process.cpuUsage();
    const found = matchesOfGlobs(patterns, names);
    const { user } = process.cpuUsage(started);
    expect([...found.values()].filter((matches) => matches.length === 1)).toHaveLength(1000);
    expect(user / 1e6).toBeLessThan(5);
  });
});
