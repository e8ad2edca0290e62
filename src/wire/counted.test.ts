import { countText, plural } from './counted.js';

test.each([
  [1, 'module', '1 module'],
  [2, 'module', '2 modules'],
  [1, 'entry', '1 entry'],
  [5, 'entry', '5 entries'],
  [0, 'index', '0 indices'],
  [1200, 'key', '1,200 keys'],
])('%d %s: %s', (count, noun, text) => expect(plural(count, noun)).toBe(text));

test('thousands are apart', () => expect([999, 1000, 1234567].map(countText)).toEqual(['999', '1,000', '1,234,567']));
