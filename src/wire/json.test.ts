import * as fc from 'fast-check';
import { parseJson } from './json.js';

const nested = (depth: number): string => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`;

test('reads what JSON.parse reads', () => {
  fc.assert(fc.property(fc.json({ maxDepth: 8 }), (text) => expect(parseJson(text)).toEqual(JSON.parse(text))));
  expect(parseJson('"[[[\\"[\\\\"')).toBe('[[["[\\');
  expect(() => parseJson('{"a":1')).toThrow(SyntaxError);
});

test('64 levels are read, 66 are not, brackets in strings are none', () => {
  expect(parseJson(nested(64))).toEqual(JSON.parse(nested(64)));
  expect(() => parseJson(nested(66))).toThrow('nested more than 64 deep, at position');
  expect(parseJson(JSON.stringify(['['.repeat(1000), '\\"['.repeat(100)]))).toHaveLength(2);
});
