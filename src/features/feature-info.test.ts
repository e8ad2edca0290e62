import { ResolveError, UsageError } from '../errors.js';
import type { Feature } from './feature.js';
import { FeatureInfo, takeIndices, type FeatureEntry } from './feature-info.js';

const entries: readonly FeatureEntry[] = [
  { num_chs: 64, reduction: 2, module: 'act1', stage: 0 },
  { num_chs: 256, reduction: 4, module: 'layer1', stage: 1 },
  { num_chs: 512, reduction: 8, module: 'layer2', stage: 2 },
];

describe('construction', () => {
  test('mandatory keys are num_chs, reduction and module; others are carried through', () => {
    expect(new FeatureInfo(entries).at(1)['stage']).toBe(1);
    expect(() => new FeatureInfo([{ reduction: 2 } as unknown as FeatureEntry])).toThrow(
      'entry 0 has no num_chs; entry 0 has no module',
    );
  });

  test.each([0, -3, '64'])('num_chs %p is refused', (num_chs) => {
    expect(() => new FeatureInfo([{ num_chs: num_chs as number, reduction: 2, module: 'a' }])).toThrow(UsageError);
  });

  test('a feature that holds nothing has no channels', () => {
    const feature = { numChs: 0, reduction: 2, module: 'a', index: 0, hookType: 'forward', tensor: 't' } as Feature;
    expect(FeatureInfo.fromFeatures([feature]).channels()).toEqual([null]);
  });

  test('reductions may be equal and may be fractions, from 1 on, and may not fall', () => {
    const of = (...reductions: number[]): FeatureInfo =>
      new FeatureInfo(reductions.map((reduction) => ({ num_chs: 1, reduction, module: 'm' })));
    expect(of(1, 1, 2.5).reduction()).toEqual([1, 1, 2.5]);
    expect(() => of(4, 2)).toThrow('reduction 2 (at least 4');
    expect(() => of(0.5)).toThrow('reduction 0.5 (at least 1');
  });

  test('every wrong entry is in one error', () => {
    expect(
      () =>
        new FeatureInfo([
          { num_chs: 0, reduction: 2, module: 'a' },
          { num_chs: 8, reduction: 1, module: 'b' },
        ]),
    ).toThrow(/entry 0 .*entry 1 /);
  });

  test('indices are checked here, unlike in timm, where (0, 9) fails in channels()', () => {
    expect(() => new FeatureInfo(entries, [0, 9])).toThrow(ResolveError);
  });

  test('a number of indices is the last n', () => {
    expect(new FeatureInfo(entries, 2).outIndices).toEqual([1, 2]);
  });

  test('negative indices stay as given and count from the end', () => {
    const info = new FeatureInfo(entries, [-1, 0]);
    expect([info.outIndices, info.channels()]).toEqual([
      [-1, 0],
      [512, 64],
    ]);
  });

  test('what a graph does not tell is null and passes', () => {
    expect(
      new FeatureInfo([
        { num_chs: null, reduction: 4, module: null },
        { num_chs: 8, reduction: 4, module: 'b' },
      ]).channels(),
    ).toEqual([null, 8]);
  });
});

describe('get', () => {
  const info = new FeatureInfo(entries, [2, 0, 2]);

  test('without an index: over outIndices, in their order, duplicates kept', () => {
    expect(info.get('num_chs')).toEqual([512, 64, 512]);
  });

  test('of a number: that absolute index, whatever outIndices are', () => {
    expect([info.get('num_chs', 1), info.get('num_chs', -1)]).toEqual([256, 512]);
  });

  test('of a list; of none', () => {
    expect([info.get('module', [1, 0]), info.get('module', [])]).toEqual([['layer1', 'act1'], []]);
  });

  test('an unknown key names the keys there are', () => {
    expect(() => info.get('hook_type', 0)).toThrow("feature 0 has no 'hook_type'");
  });

  test('an index out of range names the range', () => {
    expect(() => info.get('num_chs', 3)).toThrow('feature index 3 is out of range: the model has 3 features');
  });
});

describe('getDicts', () => {
  const info = new FeatureInfo(entries, [1]);

  test('without keys: the live entries', () => {
    expect(info.getDicts()[0]).toBe(entries[1]);
    expect(info.getDicts(null, 0)).toBe(entries[0]);
  });

  test('with keys: those, in the three modes of an index', () => {
    expect(info.getDicts(['module'])).toEqual([{ module: 'layer1' }]);
    expect(info.getDicts(['module'], 2)).toEqual({ module: 'layer2' });
    expect(info.getDicts(['module', 'stage'], [0, 2])).toEqual([
      { module: 'act1', stage: 0 },
      { module: 'layer2', stage: 2 },
    ]);
  });

  test('a missing key is an error', () => {
    expect(() => info.getDicts(['hook_type'])).toThrow(ResolveError);
  });
});

test('channels, reduction and moduleName are get of num_chs, reduction and module', () => {
  const info = new FeatureInfo(entries, [0, 2]);
  expect([info.channels(), info.channels(1), info.channels([2])]).toEqual([[64, 512], 256, [512]]);
  expect([info.reduction(), info.reduction(-1), info.reduction([1, 1])]).toEqual([[2, 8], 8, [4, 4]]);
  expect([info.moduleName(), info.moduleName(0), info.moduleName([2, 1])]).toEqual([
    ['act1', 'layer2'],
    'act1',
    ['layer2', 'layer1'],
  ]);
});

test('indexing, length and iteration are over all entries, not the selected ones', () => {
  const info = new FeatureInfo(entries, [1]);
  expect([info.length, [...info].map(({ module }) => module), info.at(-1).module]).toEqual([
    3,
    ['act1', 'layer1', 'layer2'],
    'layer2',
  ]);
});

test('the constructor keeps the list, fromOther copies deeply', () => {
  const own = entries.map((entry) => ({ ...entry }));
  const info = new FeatureInfo(own, [1]);
  const copy = FeatureInfo.fromOther(info);
  const moved = FeatureInfo.fromOther(info, [0]);
  (own[1] as { num_chs: number }).num_chs = 1;
  expect([info.channels(), copy.channels(), moved.channels()]).toEqual([[1], [256], [64]]);
});

describe('JSON', () => {
  test('timm reads what toJSON gives, and back', () => {
    const info = new FeatureInfo(entries);
    expect([...FeatureInfo.fromJSON(JSON.stringify(info))]).toEqual(entries);
  });

  test.each([
    ['{', 'is not JSON'],
    ['{}', 'is a list of entries'],
    ['null', 'not null'],
    ['[1, [], {}]', 'entries 0, 1 of the FeatureInfo are not objects'],
  ])('%s is refused', (text, message) => {
    expect(() => FeatureInfo.fromJSON(text)).toThrow(message);
  });

  test('a key named __proto__ is data', () => {
    const info = FeatureInfo.fromJSON('[{"num_chs": 1, "reduction": 1, "module": "a", "__proto__": {"x": 1}}]');
    expect(Object.getPrototypeOf(info.at(0))).toBe(Object.prototype);
  });
});

describe('takeIndices', () => {
  test('all, the last n, a list', () => {
    expect(takeIndices(4)).toEqual({ indices: [0, 1, 2, 3], max: 3 });
    expect(takeIndices(4, 2)).toEqual({ indices: [2, 3], max: 3 });
    expect(takeIndices(4, [2, -4, 2])).toEqual({ indices: [2, 0, 2], max: 2 });
    expect(takeIndices(4, [])).toEqual({ indices: [], max: -1 });
  });

  test.each([0, 5, -1, 1.5])('the last %p of 4 is refused with the range', (count) => {
    expect(() => takeIndices(4, count)).toThrow(
      expect.objectContaining({ name: 'UsageError', hint: 'ask for 1 to 4' }),
    );
  });

  test('every index out of range is in one error, with the range', () => {
    expect(() => takeIndices(4, [0, 4, -5, 1.5])).toThrow(
      expect.objectContaining({
        message: 'feature indices 4, -5, 1.5 are out of range: the model has 4 features',
        hint: 'use 0 to 3, or -4 to -1 from the end',
      }),
    );
  });

  test('a model without features says how to name tensors', () => {
    expect(() => takeIndices(0, [0])).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("by: 'tensor'") }),
    );
  });
});
