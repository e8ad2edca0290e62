import { stopwatch } from '../testing/time.js';
import { covers, isPathGlob, literalPath, nameMatcher, splitPattern } from './path-glob.js';

const fits = (part: string, name: string): boolean => nameMatcher(part)(name);

test.each([
  ['*.np?', 'a.b.npy', true],
  ['a*b*c', 'aXbXbXc', true],
  ['a*b', 'a*bc', false],
  ['?', '😀', true],
  ['', '', true],
  ['*', '', true],
  ['img[0-9].png', 'img7.png', true],
  ['img[0-9].png', 'imgx.png', false],
  ['img[!0-9].png', 'imgx.png', true],
  ['img[^0-9].png', 'img3.png', false],
  ['[]x]', ']', true],
  ['[a-]', '-', true],
  ['[abc', '[abc', true],
  ['\\[1\\]\\*', '[1]*', true],
  ['\\[1\\]\\*', '1', false],
  ['a\\', 'a\\', true],
])('%s and %s: %s', (part, name, expected) => {
  expect(fits(part, name)).toBe(expected);
});

test('many stars cost no more than the lengths', () => {
  const clock = stopwatch();
  expect(fits('*a'.repeat(40), `${'a'.repeat(2000)}b`)).toBe(false);
  expect(fits(`${'*a'.repeat(60)}*b`, 'a'.repeat(4000))).toBe(false);
  expect(fits(`${'*[ab]'.repeat(60)}*`, 'ab'.repeat(2000))).toBe(true);
  expect(covers(`${'**/a*/'.repeat(40)}end`, `${'aa/'.repeat(400)}en`)).toBe(false);
  clock.within(1000);
});

test('what is a pattern, and what a path', () => {
  for (const pattern of ['*.onnx', 'a?', '[ab].onnx', '{a,b}', 'x/**']) expect(isPathGlob(pattern)).toBe(true);
  for (const path of ['a.onnx', 'a[.onnx', '{a}.onnx', 'a\\*.onnx', '\\{a,b\\}', 'a]b['])
    expect(isPathGlob(path)).toBe(false);
  expect(literalPath('a\\*\\{b')).toBe('a*{b');
});

test('a pattern falls into the folder before its first wildcard and what is looked for there', () => {
  expect(splitPattern('models/{cnn,vit}/*.onnx')).toEqual({
    base: 'models',
    alternatives: expect.arrayContaining([
      ['cnn', '*.onnx'],
      ['vit', '*.onnx'],
    ]),
  });
  expect(
    splitPattern('m/{a/{x,y},b}.onnx')
      .alternatives.map((parts) => parts.join('/'))
      .sort(),
  ).toEqual(['a/x.onnx', 'a/y.onnx', 'b.onnx']);
  expect(splitPattern('/*.onnx')).toEqual({ base: '/', alternatives: [['*.onnx']] });
  expect(splitPattern('./a//b/[ab]')).toEqual({ base: './a//b', alternatives: [['[ab]']] });
  expect(splitPattern('{a\\,b,c}')).toEqual({ base: '.', alternatives: expect.arrayContaining([['a\\,b'], ['c']]) });
});

test('braces that stand for too much are refused before they take memory', () => {
  expect(() => splitPattern('{a,b}'.repeat(40))).toThrow(/stand for more than 1024 patterns/);
});
