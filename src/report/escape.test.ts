import { decodeText } from '../wire/text.js';
import { escapeHtml, escapeText, jsonLine } from './escape.js';

const HOSTILE = '\x1b]0;owned\x07\x1b[2J\r\n\t\x7f\x9b31m\u202egnp\u2066\u200b\ufeff\u2028\u{e0041}\udc80\ud800';

describe('escapeText', () => {
  test('leaves ordinary text of any script alone', () => {
    for (const text of ['', '/layer1/layer1.0/act1/Relu_output_0', 'größe', '層/出力', '🙂', 'a b\'"\\<>&'])
      expect(escapeText(text)).toBe(text);
  });

  test.each([
    ['\x1b[31m', '\\x1b[31m'],
    ['a\nb\r\tc', 'a\\nb\\r\\tc'],
    ['\x00\x7f', '\\x00\\x7f'],
    ['\x9b31m', '\\u009b31m'],
    ['\u202etxt.exe', '\\u202etxt.exe'],
    ['zero\u200bwidth\ufeff', 'zero\\u200bwidth\\ufeff'],
    ['\u2028\u2029', '\\u2028\\u2029'],
    ['\ud800x', '\\ud800x'],
    ['\u{e0041}', '\\u{e0041}'],
  ])('%j is shown as %s', (text, shown) => expect(escapeText(text)).toBe(shown));

  test('bytes that are not UTF-8 are shown as \\xNN', () => {
    expect(escapeText(decodeText(Uint8Array.of(0x61, 0xff, 0x80, 0x62)))).toBe('a\\xff\\x80b');
  });

  test('no character of any plane that a terminal acts on comes through', () => {
    const acting = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
    for (let point = 0; point <= 0x10ffff; point += point < 0x3000 ? 1 : 257)
      expect(acting.test(escapeText(String.fromCodePoint(point)))).toBe(false);
  });
});

test.each([
  ['::error file=a.js::no', '\\x3a:error file=a.js::no'],
  ['  ::set-output name=x::y', '  \\x3a:set-output name=x::y'],
  ['a ##[error]no', 'a \\x23#[error]no'],
  ['##vso[task.setvariable variable=x]y', '\\x23#vso[task.setvariable variable=x]y'],
])('%j is no command of a CI log', (text, shown) => {
  expect(escapeText(text)).toBe(shown);
  expect(jsonLine([text])).not.toContain('##');
  expect(JSON.parse(jsonLine([text]))).toEqual([text]);
});

test.each(['std::relu:0', 'a ## b', '#[x]', '# ##'])('%j is none', (text) => expect(escapeText(text)).toBe(text));

describe('jsonLine', () => {
  test('is one line of printable text that parses to the same data', () => {
    const data = { name: HOSTILE, list: [HOSTILE, 1, null], ['__proto__x']: { deep: HOSTILE } };
    const line = jsonLine(data);
    expect(JSON.parse(line)).toEqual(data);
    expect(line).toMatch(/^[\x20-\x7e]+$/);
  });
});

test('escapeHtml leaves nothing that ends an element or a quoted attribute', () => {
  expect(escapeHtml('</script><img src=x onerror="a" b=\'`&')).toBe(
    '&#60;/script&#62;&#60;img src=x onerror=&#34;a&#34; b=&#39;&#96;&#38;',
  );
  expect(escapeHtml(HOSTILE)).not.toMatch(/[<>"'`\x00-\x1f\x7f-\x9f\u202e]/);
});
