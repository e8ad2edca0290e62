import { inputVerdict } from './input-check.js';
import type { InputCheckRecord, PageReport } from './page-records.js';
import { pageText } from './page-text.js';
import { PLAIN } from './style.js';

const checked = (name: string, silent: number | null, isUsed = false): InputCheckRecord => ({
  name,
  mean: [0],
  std: [1],
  silent_channels: silent,
  is_used: isUsed,
});

test.each<readonly [string, readonly InputCheckRecord[], RegExp, boolean]>([
  ['few are silent', [checked('ImageNet', 5, true), checked('0 to 1', 4)], /^nothing speaks against ImageNet/, false],
  [
    'many are',
    [checked('ImageNet', 50, true), checked('0 to 1', 4)],
    /^values from 0 to 1 suit .* than ImageNet$/,
    true,
  ],
  ['another was used', [checked('ImageNet', 5), checked('0 to 1', 4)], /none of these; 0 to 1 .* \(4\)$/, false],
  ['one vector', [checked('ImageNet', null, true), checked('0 to 1', null)], /one vector/, false],
  ['no picture', [], /nothing to compare/, false],
])('a check of normalisations ends in a verdict: %s', (_case, check, text, warns) => {
  const verdict = inputVerdict(check);
  expect(verdict.text).toMatch(text);
  expect(verdict.warning !== null).toBe(warns);
});

test('the words of the table are explained, and the verdict is one line', () => {
  const feature = { index: 0, module: 'a', tensor: 'a', output: '0', channels: 8, height: 2, width: 2, reduction: 2 };
  const report: PageReport = {
    schema: 1,
    command: 'report',
    featx: '',
    model: 'm.onnx',
    output: 'm.report.html',
    provider: 'cpu',
    inputs: ['a.png'],
    entries: 1,
    preprocessing: [],
    features: [{ ...feature, silent_channels: 1, zeros_share: 0.5, min: 0, max: 1, explained: [0.4, 0.2, 0.1] }],
    input_check: [checked('ImageNet', 1, true), checked('0 to 1', 2)],
    size_bytes: 1000,
    pictures: [],
    warnings: [],
    elapsed_ms: 1,
  };
  const lines = pageText(report, PLAIN).trimEnd().split('\n');
  expect(lines[2]).toMatch(/^silent: .*; zeros: .*; explained: per cent of the variance/);
  expect(lines.slice(3)).toEqual([
    '  ImageNet (used): 1 silent channel in the last feature',
    '  0 to 1: 2 silent channels in the last feature',
    expect.stringMatching(/^input check: nothing speaks against ImageNet/),
    'wrote m.report.html  1.0 KB, 1 entry',
  ]);
  const vector = { ...report, input_check: [checked('ImageNet', null, true), checked('0 to 1', null)] };
  expect(pageText(vector, PLAIN).match(/one vector/g)).toHaveLength(1);
  expect(pageText({ ...report, input_check: null }, PLAIN)).not.toContain('input check');
});
