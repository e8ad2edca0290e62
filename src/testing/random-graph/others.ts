import { tensor, type AttributeSpec } from '../model-spec.js';
import { type Attributes, isTensor, type Draft, type Known } from './draft.js';
import type { Step } from './elements.js';

/** Sequences and optionals, words, signals, classical models. */

const int = (number: number): AttributeSpec => ({ int: number });
const one = (draft: Draft, number: number): string => draft.constant(tensor('', [], [number], 'int64'));

/** A sequence of tensors of one dtype. */
function sequence(draft: Draft): { readonly name: string; readonly of: Known } {
  const of = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  const alike = draft.values.filter((known) => known.dtype === of.dtype && known.dims.length === of.dims.length);
  const parts = Array.from({ length: draft.dice.int(1, 3) }, (_empty, at) =>
    at === 0 ? of.name : draft.dice.pick(alike).name,
  );
  return { name: draft.add('SequenceConstruct', parts)[0], of };
}

const sequences: Step = (draft) => {
  const { dice } = draft;
  const { name, of } = sequence(draft);
  const [longer] = dice.chance(0.5) ? draft.add('SequenceInsert', [name, of.name]) : [name];
  if (dice.chance(0.2)) draft.add('SequenceErase', [longer, one(draft, 0)]);
  if (dice.chance(0.3)) draft.add('SequenceLength', [longer]);
  if (dice.chance(0.6)) draft.add('SequenceAt', [longer, one(draft, dice.pick([0, -1]))]);
  else if (dice.chance(0.5))
    draft.add('ConcatFromSequence', [longer], 1, { axis: int(0), ...(dice.chance(0.3) ? { new_axis: int(1) } : {}) });
};

const splitToSequence: Step = (draft) => {
  const { dice } = draft;
  const { name, dims } = draft.pick((known) => isTensor(known) && known.dims.length > 0);
  const axis = dice.int(0, dims.length - 1);
  const keep: Attributes = dice.chance(0.4) ? { keepdims: int(dice.int(0, 1)) } : {};
  const split = dice.chance(0.5) ? [one(draft, dice.int(1, 2))] : [];
  const [parts] = draft.add('SplitToSequence', [name, ...split], 1, { axis: int(axis), ...keep });
  draft.add('SequenceAt', [parts, one(draft, 0)]);
};

const optionals: Step = (draft) => {
  const { name } = draft.dice.chance(0.7) ? draft.pick() : sequence(draft);
  const [held] = draft.add('Optional', [name]);
  draft.add('OptionalHasElement', [held]);
  draft.add('OptionalGetElement', [held]);
};

const words: Step = (draft) => {
  const { dice } = draft;
  const { name, dims } = draft.pick(({ dtype }) => dtype === 'string');
  const op = dice.pick(['StringNormalizer', 'StringSplit', 'RegexFullMatch', 'StringConcat', 'LabelEncoder', 'Equal']);
  if (op === 'StringNormalizer')
    return void draft.add(op, [name], 1, { case_change_action: { string: 'UPPER' }, stopwords: { strings: ['A'] } });
  if (op === 'StringSplit') return void draft.add(op, [name], 2, { delimiter: { string: ' ' } });
  if (op === 'RegexFullMatch') return void draft.add(op, [name], 1, { pattern: { string: 'a.*' } });
  if (op === 'LabelEncoder')
    return void draft.add(
      op,
      [name],
      1,
      { keys_strings: { strings: ['a', 'b'] }, values_int64s: { ints: [4, 5] } },
      ML,
    );
  draft.add(op, [name, draft.shaped(dims, 'string')]);
};

const ML = { domain: 'ai.onnx.ml' };

const classical: Step = (draft) => {
  const { dice } = draft;
  const [rows, columns] = dice.dims(2, 4);
  const name = draft.shaped([rows, columns]);
  const all = (count: number, number: number): AttributeSpec => ({
    floats: Array.from({ length: count }, () => number),
  });
  const classes: AttributeSpec = { ints: [0, 1, 2] };
  switch (
    dice.pick([
      'Scaler',
      'Normalizer',
      'Binarizer',
      'LinearClassifier',
      'LinearRegressor',
      'OneHotEncoder',
      'ArrayFeatureExtractor',
      'Imputer',
      'FeatureVectorizer',
    ])
  ) {
    case 'Scaler':
      return void draft.add('Scaler', [name], 1, { offset: all(columns, 1), scale: all(columns, 2) }, ML);
    case 'Normalizer':
      return void draft.add('Normalizer', [name], 1, { norm: { string: 'L2' } }, ML);
    case 'Binarizer':
      return void draft.add('Binarizer', [name], 1, { threshold: { float: 0.5 } }, ML);
    case 'LinearClassifier':
      return void draft.add(
        'LinearClassifier',
        [name],
        2,
        { coefficients: all(3 * columns, 0.5), intercepts: all(3, 0), classlabels_ints: classes },
        ML,
      );
    case 'LinearRegressor':
      return void draft.add(
        'LinearRegressor',
        [name],
        1,
        { coefficients: all(2 * columns, 0.5), intercepts: all(2, 0), targets: int(2) },
        ML,
      );
    case 'OneHotEncoder':
      return void draft.add('OneHotEncoder', [draft.shaped([rows], 'int64')], 1, { cats_int64s: classes }, ML);
    case 'ArrayFeatureExtractor':
      return void draft.add(
        'ArrayFeatureExtractor',
        [name, draft.constant(tensor('', [1, 2], [0, 0], 'int64'))],
        1,
        {},
        ML,
      );
    case 'Imputer':
      return void draft.add(
        'Imputer',
        [name],
        1,
        { imputed_value_floats: all(1, 1), replaced_value_float: { float: 0 } },
        ML,
      );
    default:
      return void draft.add(
        'FeatureVectorizer',
        [name, name],
        1,
        { inputdimensions: { ints: [columns, columns] } },
        ML,
      );
  }
};

const signals: Step = (draft) => {
  const { dice, opset } = draft;
  const type: Attributes = dice.chance(0.3) ? { output_datatype: int(11) } : {};
  switch (dice.pick(['Window', 'DFT', 'STFT', 'MelWeightMatrix'])) {
    case 'Window':
      return void draft.add(
        dice.pick(['HannWindow', 'HammingWindow', 'BlackmanWindow']),
        [one(draft, dice.int(1, 9))],
        1,
        type,
      );
    case 'DFT': {
      const name = draft.shaped([1, dice.int(2, 8), 1]);
      const length = dice.chance(0.5) ? [one(draft, dice.int(2, 9))] : [];
      const side: Attributes = dice.chance(0.5) ? { onesided: int(1) } : {};
      return void draft.add('DFT', [name, ...length], 1, { ...side, ...(opset < 20 ? { axis: int(1) } : {}) });
    }
    case 'STFT': {
      const name = draft.shaped([1, dice.int(8, 14), 1]);
      return void draft.add(
        'STFT',
        [name, one(draft, dice.int(1, 3)), '', one(draft, 4)],
        1,
        dice.chance(0.5) ? { onesided: int(dice.int(0, 1)) } : {},
      );
    }
    default: {
      const [bins, length, rate] = [3, 8, 16].map((number) => one(draft, number));
      const edges = [0, 8].map((number) => draft.constant(tensor('', [], [number])));
      return void draft.add('MelWeightMatrix', [bins, length, rate, ...edges], 1, type);
    }
  }
};

const random: Step = (draft) => {
  const { dice } = draft;
  const shape: AttributeSpec = { ints: dice.dims(dice.int(0, 3), 4) };
  const op = dice.pick(['RandomNormal', 'RandomUniform', 'Multinomial']);
  if (op !== 'Multinomial')
    return void draft.add(op, [], 1, { shape, seed: { float: 2 }, ...(dice.chance(0.3) ? { dtype: int(11) } : {}) });
  const { name } = draft.pick(({ dtype, dims }) => dtype === 'float32' && dims.length === 2);
  draft.add(op, [name], 1, {
    sample_size: int(dice.int(1, 4)),
    seed: { float: 2 },
    ...(dice.chance(0.5) ? { dtype: int(7) } : {}),
  });
};

/** Steps of the others. */
export const REST: { readonly [op: string]: Step } = {
  Sequences: sequences,
  SplitToSequence: splitToSequence,
  Optionals: optionals,
  Words: words,
  Classical: classical,
  Signals: signals,
  Random: random,
};
