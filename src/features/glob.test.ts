import { isGlob, matchesGlob, nearestNames, unescaped } from './glob.js';

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
  const started = performance.now();
  expect(matchesGlob(`${'a*'.repeat(40)}b`, 'a'.repeat(5000))).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
});

test('a glob has an unescaped wildcard', () => {
  expect(['a*', 'a?', 'a\\*', 'a\\\\*', 'abc'].map(isGlob)).toEqual([true, true, false, true, false]);
  expect(unescaped('a\\*\\\\b')).toBe('a*\\b');
});

test('nearest names come nearest first, and nothing far', () => {
  expect(nearestNames('layr1', ['layer2', 'layer1', 'stem', 'layer1.0'])[0]).toBe('layer1');
  expect(nearestNames('zzzzzz', ['layer1'])).toEqual([]);
});
