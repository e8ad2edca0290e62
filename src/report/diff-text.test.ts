import type { DiffReport } from './diff-records.js';
import { diffText } from './diff-text.js';
import { PLAIN } from './style.js';

test('why features are not compared stands under the table, once for all that it holds for', () => {
  const numbers = { cosine: null, cka: null, relative_error: null, largest_difference: null };
  const feature = (a: string, reason?: string): object => ({
    a,
    b: a,
    ...numbers,
    ...(reason === undefined ? {} : { reason }),
  });
  const why = '[1, 8, 4, 4] and [1, 8, 2, 2] are not of one shape';
  const report = {
    nodes: { a: 1, b: 1, operators: {}, same_graph: false, only_a: [], only_b: [] },
    weights: { a: 0, b: 0, equal: 0, differences: [] },
    feature_info: [{ index: 0, equal: true }],
    features: [feature('0'), feature('1', why), feature('2', why)],
    output: null,
    equal: false,
    says: ['another graph'],
  } as unknown as DiffReport;
  for (const width of [null, 80]) {
    const lines = diffText(report, { ...PLAIN, width })
      .trimEnd()
      .split('\n');
    expect(lines.slice(-2)).toEqual([`1, 2: ${why}`, 'another graph']);
    expect(lines).toContain('features 1 index, 0 with another module, channels or stride');
    expect(lines.find((line) => line.startsWith('feature '))).toMatch(
      /^feature +cosine +CKA +relative error +largest difference$/,
    );
  }
});
