import type { Node } from './onnx/records.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { floats } from './testing/sides.js';
import { bothWays, Judge, seededNote, together, type RunsAtLevels, type Verdict } from './verify-judge.js';
import type { Pair } from './verify-pairs.js';

const PAIR: Pair = { index: 3, tensors: ['y'], output: 'o', layout: null };
const at = (name: string, value: TensorValue): ReadonlyMap<string, TensorValue> => new Map([[name, value]]);
const row = (...values: number[]): TensorValue => floats([1, values.length], ...values);

/** A deviation of 1, so that differences are what they are. */
const PLAIN = row(1, -1, 1, -1);
const off = (by: number): TensorValue => row(1, -1, 1, -1 - by);

/** What the model and its cut gave: without optimisation, and with it the same if nothing else is said. */
const gave = (model: TensorValue, cut: TensorValue, fusedModel = model, fusedCut = cut): RunsAtLevels => ({
  disabled: { reference: at('y', model), result: at('o', cut) },
  all: { reference: at('y', fusedModel), result: at('o', fusedCut) },
});

interface Circumstances {
  readonly pair?: Partial<Pair>;
  readonly tolerance?: number;
  readonly isChain?: boolean;
  readonly beyond?: readonly Node[];
  /** What the model gives when it is run again; the same by default. */
  readonly again?: Partial<Record<'disabled' | 'all', TensorValue>>;
}

/** What is said of runs, and the levels at which the model was run again for it. */
async function judged(
  runs: RunsAtLevels,
  { pair, tolerance, isChain = false, beyond = [], again }: Circumstances = {},
) {
  const levels: string[] = [];
  const sides = {
    isChain,
    random: { seeded: [], beyond },
    reference: async (level: 'disabled' | 'all' | 'basic' | 'extended') => {
      levels.push(level);
      const known = level === 'all' || level === 'disabled' ? level : 'all';
      return at('y', again?.[known] ?? runs[known].reference.get('y') ?? PLAIN);
    },
  };
  const judge = new Judge(sides, tolerance);
  const feature = await judge.feature({ ...PAIR, ...pair }, runs);
  return { feature, warnings: judge.warnings, levels };
}

const SAID = { index: 3, tensor: 'y', output: 'o' };
const drawing = (name: string): Node => ({ index: 7, opType: 'If', name }) as Node;

describe('a feature', () => {
  test('is equal if every bit is, and fusion changes little', async () => {
    const { feature, warnings, levels } = await judged(gave(PLAIN, PLAIN, off(0.0005), PLAIN));
    expect(feature).toStrictEqual({
      ...SAID,
      equal: true,
      bit_equal: true,
      max_difference: expect.closeTo(0.0005, 6),
      tolerance: 0.001,
    });
    expect([warnings, levels]).toEqual([[], []]);
  });

  test('is called by what it is in both', async () => {
    const pair = { index: 1, group: 'neck', tensors: ['y'], leavesAs: 'p3' };
    expect((await judged(gave(PLAIN, PLAIN), { pair })).feature).toStrictEqual({
      index: 1,
      group: 'neck',
      tensor: 'y',
      output: 'p3',
      before: 'o',
      equal: true,
      bit_equal: true,
      max_difference: 0,
      tolerance: 0.001,
    });
  });

  test('is another if one bit is, however near', async () => {
    const { feature, warnings, levels } = await judged(gave(PLAIN, off(1e-7)));
    expect(feature).toStrictEqual({
      ...SAID,
      equal: false,
      bit_equal: false,
      max_difference: expect.closeTo(1e-7, 7),
      tolerance: 0.001,
    });
    expect([warnings, levels]).toEqual([[], ['disabled']]);
  });

  test('is another if fusion makes it so in the cut alone', async () => {
    // The model itself changes with fusion, but by less than is allowed.
    const { feature, warnings, levels } = await judged(gave(PLAIN, PLAIN, off(0.0005), off(0.5)));
    expect(feature).toMatchObject({ equal: false, bit_equal: true, max_difference: expect.closeTo(0.4994, 4) });
    expect(feature).not.toHaveProperty('reason');
    expect([warnings, levels]).toEqual([[], ['all']]);
  });

  test.each<readonly [string, TensorValue, TensorValue]>([
    ['dtype', row(1, 2), { dtype: 'float64', shape: [1, 2], data: Float64Array.of(1, 2) }],
    ['size', row(1, 2), row(1, 2, 3)],
    ['value that is not finite', row(1, 2), row(1, NaN)],
  ])('of another %s has no distance', async (_what, model, cut) => {
    const { feature, warnings } = await judged(gave(model, cut));
    expect(feature).toMatchObject({ equal: false, bit_equal: false, max_difference: null });
    expect(warnings).toEqual([]);
  });
});

describe('what fusion may do', () => {
  const HALF: TensorValue = { dtype: 'float16', shape: [1, 2], data: Uint16Array.of(0x3c00, 0xbc00) };
  const fused = (by: number): RunsAtLevels => gave(PLAIN, PLAIN, PLAIN, off(by));

  test.each<readonly [string, RunsAtLevels, number | undefined, boolean, number]>([
    ['0.001 by default', fused(0.0009), undefined, true, 0.001],
    ['and no more', fused(0.0011), undefined, false, 0.001],
    ['0.05 of float16', gave(HALF, HALF), undefined, true, 0.05],
    ['what is asked for', fused(0.4), 0.5, true, 0.5],
    ['that alone', fused(0.6), 0.5, false, 0.5],
    ['exactly that', fused(0.5), 0.5, true, 0.5],
    ['nothing, if that is asked for', fused(0), 0, true, 0],
    ['and then the least is too much', fused(1e-6), 0, false, 0],
  ])('%s', async (_what, runs, tolerance, equal, said) => {
    expect((await judged(runs, { tolerance })).feature).toMatchObject({ equal, bit_equal: true, tolerance: said });
  });

  const NOTE =
    /^(\S+) is equal bit for bit without optimisation, and differs (.*) with it: fusion rounds otherwise where a model is cut, and what turns on the last bits, as behind a threshold, differs$/;

  test.each<readonly [string, RunsAtLevels, Circumstances, string, string]>([
    [
      'the model itself is another with it',
      gave(PLAIN, PLAIN, off(0.5), PLAIN),
      {},
      'o',
      'by 0.44 standard deviations',
    ],
    ['the cut is in parts', fused(0.5), { isChain: true }, 'o', 'by 0.50 standard deviations'],
    [
      'sizes turn on it',
      gave(row(1, 2), row(1, 2), row(1, 2, 3), row(1, 2)),
      { pair: { leavesAs: 'p3' } },
      'p3',
      'in its shape or in what is finite',
    ],
  ])('is anything that says nothing of the cut: %s', async (_what, runs, circumstances, output, far) => {
    const { feature, warnings, levels } = await judged(runs, circumstances);
    expect(feature).toMatchObject({ equal: true, bit_equal: true });
    expect(feature).not.toHaveProperty('reason');
    expect(warnings.map((text) => NOTE.exec(text)?.slice(1))).toEqual([[output, far]]);
    expect(levels).toEqual(['all']);
  });

  test('is nothing for one whose bits differ already', async () => {
    const runs = gave(PLAIN, off(0.1), off(0.5), PLAIN);
    const { feature, warnings } = await judged(runs);
    expect([feature.equal, warnings]).toEqual([false, []]);
  });

  test('more than the tolerance in the model itself, not as much', async () => {
    const runs = gave(PLAIN, PLAIN, off(0.5), off(2));
    expect((await judged(runs, { tolerance: 0.5 })).feature.equal).toBe(false);
  });
});

describe('chance', () => {
  const INSIDE = "node[7] If 'choose' draws random numbers inside, where no seed reaches, and the two differ";

  test('is where no seed reaches', async () => {
    const beyond = [drawing('choose'), drawing('')];
    const { feature, levels } = await judged(gave(PLAIN, off(1)), { beyond });
    expect(feature).toStrictEqual({
      ...SAID,
      equal: null,
      bit_equal: false,
      max_difference: 1,
      tolerance: 0.001,
      reason: INSIDE,
    });
    expect(levels).toEqual([]);
    const unnamed = await judged(gave(PLAIN, off(1)), { beyond: [drawing('')] });
    expect(unnamed.feature.reason).toBe(INSIDE.replace(" 'choose'", ''));
    expect((await judged(gave(PLAIN, PLAIN), { beyond })).feature).toMatchObject({ equal: true });
  });

  test('is not taken for rounding', async () => {
    const beyond = [drawing('choose')];
    const { feature, warnings } = await judged(gave(PLAIN, PLAIN, off(0.5), PLAIN), { beyond });
    expect(feature).toMatchObject({ equal: null, bit_equal: true, reason: INSIDE });
    expect(warnings).toEqual([]);
  });

  test('is what the model does not give twice', async () => {
    const reason = 'the model itself gives other values in every run';
    const plain = await judged(gave(PLAIN, off(1)), { again: { disabled: off(2) } });
    expect(plain.feature).toMatchObject({ equal: null, reason });
    const fused = await judged(gave(PLAIN, PLAIN, PLAIN, off(1)), { again: { all: off(2) } });
    expect(fused.feature).toMatchObject({ equal: null, reason });
  });

  test('is looked for in all that is joined, and once at each level', async () => {
    const runs: RunsAtLevels['all'] = {
      reference: new Map([
        ['a', row(1, -1)],
        ['b', row(1, -1)],
      ]),
      result: at('o', off(1)),
    };
    let count = 0;
    const reference = async () => {
      count++;
      return new Map(runs.reference).set('b', row(1, -2));
    };
    const judge = new Judge({ isChain: false, random: { seeded: [], beyond: [] }, reference }, undefined);
    const feature = (tensors: readonly string[]) =>
      judge.feature({ ...PAIR, tensors }, { disabled: runs, all: runs }).then(({ equal }) => equal);
    expect([await feature(['a', 'b']), await feature(['b']), await feature(['a'])]).toEqual([null, null, false]);
    expect(count).toBe(1);
  });
});

describe('what says little is warned of', () => {
  const EMPTY = row();
  const NONE = 'o has no elements for these inputs, as in a branch that is not taken: try other `inputs`';
  const ONE = 'o has one value everywhere, which says little: try other `inputs`';

  test.each<readonly [string, TensorValue, TensorValue, readonly string[]]>([
    ['nothing', EMPTY, EMPTY, [NONE]],
    ['one value', row(2, 2, 2), row(2, 2, 2), [ONE]],
    ['what is not a number', row(NaN, NaN), row(NaN, NaN), [ONE]],
    ['zeros of both signs', row(0, -0), row(0, -0), []],
    ['a single value', row(2), row(2), []],
    ['values of which some are the same', row(2, 2, 3), row(2, 2, 3), []],
    ['nothing, where the cut has something', EMPTY, row(1), []],
    ['one value, where the cut has others', row(2, 2), row(2, 3), []],
  ])('%s', async (_what, model, cut, warnings) => {
    expect((await judged(gave(model, cut))).warnings).toEqual(warnings);
  });
});

test('what draws numbers is named', () => {
  const note = 'gives other values in every run: both models were run with the same seed for it';
  expect(seededNote(drawing('noise'))).toBe(`node[7] If 'noise' ${note}`);
  expect(seededNote(drawing(''))).toBe(`node[7] If ${note}`);
});

describe('several verdicts', () => {
  const [right, wrong] = [{ equal: true }, { equal: false }];
  const open = (reason: string) => ({ equal: null, reason });

  test.each([
    [[], { equal: true, reason: null }],
    [[right, right], { equal: true, reason: null }],
    [[right, wrong], { equal: false, reason: null }],
    [[open('a'), wrong], { equal: false, reason: null }],
    [[right, open('a'), open('b')], { equal: null, reason: 'a' }],
  ])('%j', (verdicts, whole) => {
    expect(together(verdicts)).toEqual(whole);
  });
});

describe('a condition taken both ways', () => {
  type Feature = Verdict['features'][number];
  const feature = (equal: boolean | null, distance: number | null, more: Partial<Feature> = {}): Feature => ({
    index: 0,
    tensor: 'y',
    output: 'o',
    equal,
    bit_equal: equal === true,
    max_difference: distance,
    tolerance: 0.001,
    ...more,
  });
  const verdict = (features: readonly Feature[], warnings: readonly string[] = []): Verdict => ({
    ...together(features),
    preprocessing: [],
    features,
    warnings,
  });
  const RIGHT = feature(true, 0);
  const OPEN = feature(null, 2, { reason: 'chance' });
  const WRONG = feature(false, 1);

  test.each<readonly [string, Feature, Feature, Feature]>([
    ['both equal: the larger distance', feature(true, 1e-5), feature(true, 1e-4), feature(true, 1e-4)],
    ['whichever it is', feature(true, 1e-4), feature(true, 1e-5), feature(true, 1e-4)],
    ['and one of both where the other has none', feature(true, 1e-4), feature(true, null), feature(true, 1e-4)],
    ['but none where the first has none', feature(false, null), feature(true, 1e-4), feature(false, null)],
    ['the second is wrong', RIGHT, WRONG, WRONG],
    ['the first is wrong', WRONG, RIGHT, WRONG],
    ['the second is wrong, the first open', OPEN, WRONG, WRONG],
    ['the first is wrong, the second open', WRONG, OPEN, { ...WRONG, max_difference: 2 }],
    ['the second is open', RIGHT, OPEN, OPEN],
    ['the first is open', OPEN, RIGHT, OPEN],
    ['both are open', OPEN, feature(null, 3, { reason: 'other' }), { ...OPEN, max_difference: 3 }],
  ])('%s', (_what, one, other, both) => {
    expect(bothWays(verdict([one]), verdict([other]))).toEqual(verdict([both]));
  });

  test('feature by feature', () => {
    const [a, b] = [feature(true, 0, { output: 'a' }), feature(true, 0, { output: 'b' })];
    const wrong = { ...b, equal: false };
    expect(bothWays(verdict([a, b]), verdict([a, wrong]))).toEqual(verdict([a, wrong]));
  });

  test('what has elements one way is not said to have none', () => {
    const none = (name: string): string => `${name} has no elements for these inputs, as in a branch`;
    const one = verdict([RIGHT], ['seed', none('then'), none('never')]);
    const other = verdict([RIGHT], ['seed', none('else'), none('never'), 'constant']);
    expect(bothWays(one, other).warnings).toEqual(['seed', none('never'), 'constant']);
  });
});
