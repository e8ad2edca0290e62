import { INDEX, INDICES, indexSelectors, oneFeature } from './feature-kinds.js';

const index = (indices: readonly number[], group?: string): unknown =>
  group === undefined ? { by: 'index', indices } : { by: 'index', group, indices };

test.each([
  [[2, -1], [index([2, -1])]],
  [[], [index([])]],
  ['0-2,-1', [index([0, 1, 2, -1])]],
  ['2,neck:0-2,3', [index([2]), index([0, 1, 2], 'neck'), index([3])]],
  [
    [2, 'neck:0', 'neck:2', 1],
    [index([2]), index([0, 2], 'neck'), index([1])],
  ],
  ['tower.a:b:1', [index([1], 'tower.a:b')]],
  ['neck', [index([], 'neck')]],
  ['1,neck,p3:,2,neck:0', [index([1]), index([], 'neck'), index([], 'p3'), index([2]), index([0], 'neck')]],
  [
    [1, 'neck'],
    [index([1]), index([], 'neck')],
  ],
])('%j', (out, selectors) => {
  expect(INDICES.accepts(out)).toBe(true);
  expect(indexSelectors('out', out)).toEqual(selectors);
});

test.each([[''], [[1.5]], [['']], [[null]], [3], [{}], ['neck:x'], [[1, 'neck:x']], ['1-']])(
  '%j is not what `out` may be',
  (out) => expect(INDICES.accepts(out)).toBe(false),
);

test('a config is for many models, and takes no names without indices', () => {
  expect(() => INDICES.fromConfig?.('1,neck,towers')).toThrow(
    expect.objectContaining({
      message: "out cannot read 'neck', 'towers' as indices",
      hint: expect.stringContaining('neck:0-2, towers:0-2'),
    }),
  );
});

test('what is neither an index nor a name is an error', () => {
  expect(() => indexSelectors('--out', '1,neck:x,1.5')).toThrow("--out cannot read 'x', '1.5' as indices");
  expect(() => indexSelectors('--out', '1.5')).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('rising ranges') }),
  );
  expect(() => indexSelectors('--out', ':1')).toThrow("--out names no group in ':1'");
});

test('one feature is an index, or that and its group', () => {
  expect([3, '3', 'neck:-1'].map((said) => oneFeature('explain', said))).toEqual([
    index([3]),
    index([3]),
    index([-1], 'neck'),
  ]);
  expect(['3', 'neck:0'].map((text) => INDEX.parse?.('--explain', text))).toEqual([3, 'neck:0']);
  for (const text of ['1,2', 'neck:0-1', '1,neck:0'])
    expect(() => oneFeature('--explain', text)).toThrow(`--explain takes one index, not '${text}'`);
  expect(() => oneFeature('--explain', 'towers')).toThrow(
    expect.objectContaining({ hint: 'give one, as in 3 or towers:0' }),
  );
});
