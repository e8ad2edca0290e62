import { UsageError } from '../errors.js';
import { MEASURES } from './choices.js';
import { mapOf, type ByName } from './by-name.js';
import { BOOLEAN, BYTES, choice, count, isByName, isListOf, type Kind } from './kinds.js';
import { GROUPS, type Rows } from './row.js';
import { parseCount, parsePair } from './values.js';

const CUTS = ['extract', 'cut', 'extractBytes'] as const;
const group = GROUPS.ends;
/** More parts than any network has places to cut at. */
const MOST_PARTS = 1_000;

/** Where a cut begins: tensors, `module:layer2`, indices into the FeatureInfo. */
const BEGINNINGS: Kind<readonly (string | number)[]> = {
  allowed: "a list of tensors, of modules as in 'module:layer2', or of indices",
  accepts: isListOf<string | number>((entry) => Number.isInteger(entry) || (typeof entry === 'string' && entry !== '')),
  schema: { type: 'array', minItems: 1, items: { type: ['string', 'integer'], minLength: 1 } },
  parse: (_flag, text) => [text],
  add: (_flag, before, next) => [...before, ...next],
  spell: (list) => list.map(String),
};

/** New names by old ones: `OLD=NEW`. */
const NEW_NAMES: Kind<ByName<string>> = {
  allowed: 'a Map or an object from names to names',
  accepts: isByName((name): name is string => typeof name === 'string' && name !== ''),
  schema: { type: 'object', properties: {}, additionalProperties: { type: 'string', minLength: 1 } },
  parse: (flag, text) => new Map([parsePair(flag, text, 'OLD=NEW')]),
  add: (_flag, before, next) => new Map([...mapOf(before), ...mapOf(next)]),
  spell: (pairs) => [...mapOf(pairs)].map((pair) => pair.join('=')),
};

/** Sizes by symbol, or by input and axis: `batch=1`, `input:2=224`. */
const SIZES: Kind<ByName<number>> = {
  allowed: "a Map or an object from dims ('batch', 'input:2') to whole numbers from 0 on",
  accepts: isByName((size): size is number => Number.isSafeInteger(size) && Number(size) >= 0),
  schema: {
    type: 'object',
    properties: {},
    additionalProperties: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  },
  parse: (flag, text) => {
    const [dim, size] = parsePair(flag, text, 'SYMBOL=N or INPUT:AXIS=N');
    return new Map([[dim, parseCount(flag, size, 0)]]);
  },
  add: (flag, before, next) => {
    const known = mapOf(before);
    for (const dim of mapOf(next).keys())
      if (known.has(dim)) throw new UsageError(`${flag} is given twice for '${dim}'`);
    return new Map([...known, ...mapOf(next)]);
  },
  spell: (sizes) => [...mapOf(sizes)].map((pair) => pair.join('=')),
};

/** Whether the batch is to be free, or its name. */
const FREE_BATCH: Kind<boolean | string> = {
  allowed: 'true, false, or a name',
  accepts: (value): value is boolean | string =>
    typeof value === 'boolean' || (typeof value === 'string' && /^[A-Za-z_]\w*$/.test(value)),
  schema: { type: ['boolean', 'string'], minLength: 1 },
  parse: (flag, text) => {
    if (text === '') return true;
    if (!/^[A-Za-z_]\w*$/.test(text)) throw new UsageError(`${flag} takes a name for the batch, not '${text}'`);
    return text;
  },
};

/** The other end of a cut: where it begins, and what its inputs are. */
export const ENDS = {
  /**
   * Where the cut begins: tensors by name, outputs of modules (`module:layer2`), features by index. They become inputs;
   * without a selection the original outputs remain.
   */
  from: {
    kind: BEGINNINGS,
    in: CUTS,
    flag: '--from <what>',
    elsewhere: ['--input', '--inputs', '--input-names', '--begin', '--start'],
    help: 'begin the cut at a tensor, at the output of a module (module:layer2), or at a feature by index; repeatable; without a selection the original outputs remain',
    group,
    config: 'from',
    description:
      'Where the cut begins: tensors, outputs of modules as in "module:layer2", features by index. Without a selection the original outputs remain',
  },
  /** Inputs of the model may stay beside beginnings that are computed from them. */
  keepInputs: {
    kind: BOOLEAN,
    in: CUTS,
    flag: '--keep-inputs',
    help: 'let inputs of MODEL stay where something goes round the beginnings',
    group,
    config: 'keep_inputs',
  },
  /** New names of inputs of the cut, by their old ones. */
  inMap: {
    kind: NEW_NAMES,
    in: CUTS,
    flag: '--in-map <old=new>',
    help: 'a new name of an input of the cut; repeatable',
    group,
    config: 'in_map',
    description: 'New names of inputs of the cut, by their old ones',
  },
  /** Numbers for symbolic dims of inputs, by symbol or by input and axis (`input:2`), wherever they stand. */
  dims: {
    kind: SIZES,
    in: CUTS,
    flag: '--dim <size>',
    elsewhere: ['--fix-dim', '--dim-param', '--dim-value', '--override-dim'],
    help: 'a number for a symbolic dim, wherever it stands: SYMBOL=N, or INPUT:AXIS=N; repeatable',
    group,
    config: 'dim',
    description: 'Numbers for symbolic dims of inputs: by symbol, or by input and axis as in "input:2"',
  },
  /** Let the cut take any number of entries: true, or the name of that dim (default: batch). */
  freeBatch: {
    kind: FREE_BATCH,
    in: ['extract', 'cut'],
    flag: '--free-batch [name]',
    elsewhere: ['--batch', '--batch-size', '--dynamic-batch'],
    help: 'let the cut take any number of entries, where that is proved and two and three of them give the same (default name: batch)',
    group,
    config: 'free_batch',
    description: 'Let the cut take any number of entries: true, or the name of that dim',
  },
  /** New names of symbolic dims. */
  renameDims: {
    kind: NEW_NAMES,
    in: CUTS,
    flag: '--rename-dim <old=new>',
    help: 'a new name of a symbolic dim, wherever it stands; repeatable',
    group,
    config: 'rename_dim',
    description: 'New names of symbolic dims, by their old ones',
  },
} as const satisfies Rows;

/** Where a model is split into parts. */
export const SPLITTING = {
  /** Places to cut at: tensors by name, outputs of modules, features by index. */
  at: {
    kind: BEGINNINGS,
    in: ['split'],
    flag: '--at <what>',
    help: 'cut at a tensor, at the output of a module (layer2, module:layer2), or at a feature by index; repeatable',
  },
  /** How many parts, about the same size each. */
  parts: {
    kind: count(2, MOST_PARTS),
    in: ['split'],
    flag: '--parts <n>',
    help: 'this many parts of about the same size, where few bytes cross',
  },
  /** Write the trunk that models share, and the head of each. */
  split: {
    kind: BOOLEAN,
    in: ['common'],
    flag: '--split',
    help: 'write what the models share, trunk.onnx, and the rest of each, {name}.head.onnx',
  },
  /** The measure of that size. */
  by: {
    kind: choice(MEASURES),
    in: ['split'],
    flag: '--by <measure>',
    help: 'what is the same in each: bytes of weights, operations, or nodes (default: bytes)',
  },
  /** As few parts as there can be whose weights take so many bytes at most. */
  maxBytes: {
    kind: BYTES,
    in: ['split'],
    flag: '--max-bytes <bytes>',
    help: 'as few parts as there can be whose weights take so many bytes at most',
  },
} as const satisfies Rows;
