import { createHash } from 'node:crypto';
import { win32 } from 'node:path';
import * as fc from 'fast-check';
import { archiveKeys, headerKeys, safeFileNames } from './file-names.js';

const sha = (text: string, digits: number): string => createHash('sha256').update(text).digest('hex').slice(0, digits);

/**
 * Device names and characters that Windows reserves.
 * @see https://learn.microsoft.com/windows/win32/fileio/naming-a-file
 */
const RESERVED = /[<>:"/\\|?*]|[. ]$|^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|$)/i;

const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc
    .array(
      fc.constantFrom(
        '..',
        '.',
        '/',
        '\\',
        ':',
        'con',
        'NUL',
        'aux.',
        'COM1',
        'lpt\u00b9',
        'a',
        'A',
        ' ',
        '*',
        '?',
        '<',
        '|',
        '"',
        '%',
        '%41',
        '\0',
        '\n',
        '\udcff',
        '-',
        'é',
        '~',
        '$',
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
);

test('a file name made from any tensor name is one name in one directory, on Windows too', () => {
  fc.assert(
    fc.property(fc.uniqueArray(nasty, { maxLength: 12 }), (names) => {
      const files = safeFileNames(names).map((name) => `${name}.pb`);
      for (const file of files) {
        expect(win32.basename(file)).toBe(file);
        expect(win32.dirname(win32.join('C:\\out', file))).toBe('C:\\out');
        expect(win32.normalize(win32.join('C:\\out', file))).toBe(`C:\\out\\${file}`);
        expect(Array.from(file).every((char) => char >= ' ')).toBe(true);
        expect(file).not.toMatch(RESERVED);
        expect(file.slice(0, -3)).not.toMatch(RESERVED);
        expect(file.length).toBeLessThan(220);
      }
      expect(new Set(files.map((file) => file.normalize('NFC').toLowerCase())).size).toBe(names.length);
    }),
    { numRuns: 200 },
  );
});

test.each([
  [
    'names that differ in case, and what becomes of one of them',
    ['A', 'a', `a-${sha('a', 8)}`, `A-${sha('a', 8).toUpperCase()}-2`],
  ],
  ['a long name, and what becomes of it', ['x'.repeat(500), `${'x'.repeat(163)}-${sha('x'.repeat(500), 16)}`]],
  ['a name and its encoding', ['a/b', 'a%2Fb', 'a%252Fb']],
  ['the same name twice', ['a', 'a', 'a', `a-${sha('a', 8)}`]],
])('%s stay apart', (_what, names) => {
  expect(new Set(safeFileNames(names).map((name) => name.toLowerCase())).size).toBe(names.length);
  expect(new Set(archiveKeys(names)).size).toBe(names.length);
});

test('keys of an archive stay apart, whoever chose the names', () => {
  const names = ['a\0', 'a%00', `a%00-${sha('a\0', 8)}`, `a%00-${sha('a%00', 8)}`];
  expect(new Set(archiveKeys(names)).size).toBe(names.length);
  fc.assert(
    fc.property(fc.uniqueArray(nasty, { maxLength: 12 }), (list) =>
      expect(new Set(headerKeys(list, ['__metadata__'])).size).toBe(list.length),
    ),
  );
});

test('keys of an archive do not lead out of the folder that it is unpacked into', () => {
  const names = [
    '../../x',
    'a/../../x',
    '..',
    '..\\x',
    'C:\\x',
    'C:../x',
    'x:0',
    '\\\\host\\x',
    '/layer1/Relu',
    'a..b/c',
    '...',
  ];
  expect(archiveKeys(names)).toEqual([
    '%2E.%2F..%2Fx',
    'a%2F..%2F..%2Fx',
    '%2E%2E',
    '%2E.%5Cx',
    'C%3A%5Cx',
    'C%3A..%2Fx',
    'x:0',
    '%5C%5Chost%5Cx',
    '/layer1/Relu',
    'a..b/c',
    '...',
  ]);
});
