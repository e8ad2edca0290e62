import { decodeText } from '../wire/text.js';
import { seededRandom } from './random.js';

const text = (...points: readonly number[]): string => String.fromCodePoint(...points);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const owned = (value: object): string[] => Object.getOwnPropertyNames(value);

const PROTOTYPES = [
  ...owned(Object.prototype),
  ...owned(Function.prototype),
  ...owned(Array.prototype),
  ...owned(Map.prototype),
  '__proto__',
  'prototype',
  'toJSON',
  'then',
  'default',
];
const CONTROLS = [...range(0, 0x1f), ...range(0x7f, 0x9f)].flatMap((point) => [text(point), `a${text(point)}b`]);
const SEQUENCES = [
  '\x1b[31m',
  '\x1b[2J\x1b[H',
  '\x1b]0;owned\x07',
  '\x1b]8;;https://x.test\x1b\\link',
  '\x1bP$q\x1b\\',
  '\x9b31m',
  '\x9d0;t\x9c',
  'a\rb',
  'a\nb',
  'a\r\nb',
  '\b\b\b',
  '\x1b[6n',
  '\x1b[?1049h',
  'x\x00y',
];
const FORMATS = [
  0xad,
  0x61c,
  0x180e,
  0x2060,
  0xfeff,
  0xfff9,
  0xe0001,
  0xe0041,
  0x2028,
  0x2029,
  ...range(0x200b, 0x200f),
  ...range(0x202a, 0x202e),
  ...range(0x2066, 0x2069),
].flatMap((point) => [text(point), `feature${text(point)}gpj.exe`]);
const COMPOSED = Array.from('éèêñöüåçßÉÄÖ각がプ').flatMap((letter) => [
  letter.normalize('NFC'),
  letter.normalize('NFD'),
]);
const LOOKALIKES = [
  'scope',
  'ѕсоре',
  'ｓcope',
  'Ⅰ',
  'l',
  'I',
  '|',
  'ﬁ',
  'fi',
  'K',
  'K',
  'µ',
  'μ',
  ' ',
  '\u00a0',
  '\u3000',
  '\u2003',
];
const PATHS = [
  '/',
  '//',
  '\\',
  '.',
  '..',
  '...',
  '../x',
  '..\\x',
  'a/b',
  'a\\b',
  '/etc/passwd',
  'C:\\x',
  'C:x',
  '\\\\server\\share',
  '\\\\?\\C:\\x',
  '~',
  '~root',
  'file:///x',
  'a/../../b',
  'x.',
  'x ',
  ' x',
  'a:stream',
  'a*b',
  'a?b',
  '*',
  '?',
  '\\*',
  '[ab]',
  '{a,b}',
  '-',
  '--',
  '-o',
  '--help',
  '$HOME',
  '`id`',
  '$(id)',
  'a;b',
  'a|b',
  'a&b',
  'a>b',
  '%41',
  'A',
  'a%2Fb',
  'a%00',
  '%',
];
const DEVICES = [
  'con',
  'CON',
  'prn',
  'aux',
  'nul',
  'NUL.txt',
  'COM¹',
  'lpt0',
  'CONIN$',
  'aux.',
  'nul ',
  ...range(1, 9).flatMap((digit) => [`com${digit}`, `LPT${digit}`]),
];
const MARKUP = [
  '</script>',
  '<script>alert(1)</script>',
  '<!--',
  '-->',
  ']]>',
  '"><img src=x onerror=alert(1)>',
  "'",
  '"',
  '`',
  '&',
  '&amp;',
  '&#60;',
  '<',
  '>',
  '"]',
  '{{7*7}}',
  '${7*7}',
  '%s%n',
  "'; DROP TABLE x;--",
];
const SHEETS = [
  "=cmd|' /C calc'!A0",
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  ' =1',
  '＝1',
  '=HYPERLINK("http://x")',
  'a,b',
  'a"b',
  'a""b',
  'a;b,c',
  ',,,',
];
const ANNOTATIONS = [
  '::error::x',
  '::error file=a,line=1::x',
  '::set-output name=a::b',
  '##[error]x',
  '%0A::error::x',
  '::add-mask::a',
  '::stop-commands::x',
];
const NUMBERS = [
  '0',
  '1',
  '2',
  '-0',
  '1e3',
  '00',
  '1.0',
  'NaN',
  'Infinity',
  'null',
  'undefined',
  'true',
  'false',
  '4294967294',
  '4294967295',
  '9007199254740993',
  '[]',
  '{}',
];

/** Byte strings that are no UTF-8, many of which a lossy decoder takes for one. */
const BROKEN = [
  ...range(0x80, 0xff).map((byte) => [0x6e, byte]),
  ...range(0x80, 0x8f).map((byte) => [byte]),
  [0xc0, 0x80],
  [0xc1, 0xbf],
  [0xe0, 0x80, 0x80],
  [0xe0, 0x9f, 0xbf],
  [0xf0, 0x80, 0x80, 0x80],
  [0xf0, 0x8f, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x98],
  [0x61, 0xe2, 0x82, 0x62],
  [0xed, 0xa0, 0x80],
  [0xed, 0xbf, 0xbf],
  [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80],
  [0xed, 0xb0, 0x80, 0xed, 0xa0, 0x80],
  [0xed, 0xb2, 0x80],
  [0xed, 0xb2, 0xff],
  [0xff, 0xfe, 0x61, 0x00],
  [0xfe, 0xff, 0x00, 0x61],
  [0x61, 0xff],
  [0x61, 0xfe],
  [0x61, 0xff, 0x62],
  [0x61, 0xfe, 0x62],
];

const KIB64 = 64 * 1024;
const LONG = [
  `${'a'.repeat(KIB64 - 1)}1`,
  `${'a'.repeat(KIB64 - 1)}2`,
  'é'.repeat(KIB64 / 2),
  `${'\x1b['.repeat(KIB64 / 2 - 1)}ab`,
  'x'.repeat(256),
  'x'.repeat(257),
  'x'.repeat(181),
  `${'x'.repeat(180)}/`,
];

/** Names of tensors that try every sink: distinct as bytes, never empty; the same every time. */
export function hostileNames(count: number): readonly string[] {
  const broken = BROKEN.map((bytes) => decodeText(Uint8Array.from(bytes)));
  const chosen = [
    ...PROTOTYPES,
    ...CONTROLS,
    ...SEQUENCES,
    ...FORMATS,
    ...COMPOSED,
    ...LOOKALIKES,
    ...PATHS,
    ...DEVICES,
    ...MARKUP,
    ...SHEETS,
    ...ANNOTATIONS,
    ...NUMBERS,
    ...broken,
    ...LONG,
  ];
  const names = new Set(chosen.filter((name) => name !== ''));
  const atoms = chosen.filter((name) => name.length < 12);
  const random = seededRandom(1_000);
  while (names.size < count) {
    const parts = Array.from(
      { length: 2 + Math.floor(random() * 3) },
      () => atoms[Math.floor(random() * atoms.length)],
    );
    names.add(parts.join(''));
  }
  // A half of a pair next to another would be a letter of its own.
  return [...new Set([...names].slice(0, count).map((name) => decodeText(Buffer.from(encodeName(name)))))];
}

/** The bytes of a name, by hand. */
export function encodeName(name: string): Uint8Array {
  const parts = name.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - 0xdc00))),
  );
}

/**
 * What no sink may get: characters that steer a terminal, hide, or turn text around, and halves of pairs. Line ends of
 * the sink itself are for the caller to take out.
 */
export const RAW =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udc7f]/;
