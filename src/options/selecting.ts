import { HOOK_TYPES, NAMES_BY } from './choices.js';
import { EMBEDDING, ENTRIES, INDICES, SELECTORS, SHAPES } from './feature-kinds.js';
import { BOOLEAN, choice, count, NAME } from './kinds.js';
import { GROUPS, IN_MEMORY, PAGES, type Rows } from './row.js';

const group = GROUPS.selecting;
const EVERYWHERE = ['inspect', 'extract', 'run', ...PAGES, 'cut', 'net', 'hookNet', ...IN_MEMORY] as const;
const BY_INDEX = ['inspect', 'extract', 'run', ...PAGES, 'cut', ...IN_MEMORY] as const;
const OUT_INDICES = { net: { words: 'outIndices' }, hookNet: { words: 'outIndices' } } as const;
const MODULES = [...EVERYWHERE, 'split'] as const;
const SELECTING_COMMANDS = ['inspect', 'extract', 'run', ...PAGES, 'batch'] as const;

/** Which features; what `module`, `tensor` and `node` say goes to `select`, in the order of the command line. */
export const SELECTING = {
  /**
   * Indices into the FeatureInfo, negatives from the end, and in text also of groups: `[1, 2]`, `'2,neck:0-2'`; the
   * model's own `outIndices` if left out.
   */
  out: {
    kind: INDICES,
    in: BY_INDEX,
    flag: '--out <indices>',
    elsewhere: ['--out-indices', '--out_indices', '--indices', '--index', '--feature'],
    help: 'out_indices into the FeatureInfo: 1,2,3 or 0-3 or -1; of a group beside it: neck:0-2; repeatable',
    group,
    selects: 'index',
    per: OUT_INDICES,
    config: 'out',
    description:
      'out_indices into the FeatureInfo; negatives count from the end; in text also of groups: "2,neck:0-2". Default: all',
  },
  /** The last n. */
  last: {
    kind: count(1),
    in: BY_INDEX,
    flag: '--last <n>',
    help: 'the last N features',
    group,
    selects: 'last',
    per: OUT_INDICES,
    config: 'last',
    description: 'The last n features, instead of out',
  },
  /** Use this FeatureInfo instead of recovering one. */
  features: {
    kind: ENTRIES,
    in: MODULES,
    flag: '--features <file>',
    help: "use this FeatureInfo (timm's list as JSON) instead of recovering one",
    group,
    config: 'features',
    description: "timm's FeatureInfo, or a path of one, to use instead of recovering one",
  },
  /**
   * What to take, in the order wanted; behind `out` and `last`, in front of `embedding`. The model's own `outIndices`
   * where nothing is asked for.
   */
  select: {
    kind: SELECTORS,
    in: EVERYWHERE,
    config: 'select',
    description: 'Features in this order, behind those of out and last: by name, by index, of groups, embeddings',
  },
  module: {
    kind: NAME,
    in: [],
    cli: SELECTING_COMMANDS,
    flag: '--module <path>',
    elsewhere: ['--modules', '--layers', '--layer', '--return-nodes', '--backbone'],
    help: 'a module by path or glob; layer#1 its second output, layer@2 its second call; repeatable',
    group,
    selects: 'module',
    words: "select: [{ by: 'module', name }]",
  },
  tensor: {
    kind: NAME,
    in: [],
    cli: SELECTING_COMMANDS,
    flag: '--tensor <name>',
    elsewhere: ['--tensors', '--outputs', '--output-names', '--output-name', '--end'],
    help: 'a tensor by name or glob; repeatable',
    group,
    selects: 'tensor',
    words: "select: [{ by: 'tensor', name }]",
  },
  node: {
    kind: NAME,
    in: [],
    cli: SELECTING_COMMANDS,
    flag: '--node <name>',
    elsewhere: ['--nodes', '--node-names'],
    help: 'a node by name or glob; repeatable',
    group,
    selects: 'node',
    words: "select: [{ by: 'node', name }]",
  },
  /** What is taken of a module where its entry does not say: its output (default) or its input. */
  hookType: {
    kind: choice(HOOK_TYPES),
    in: BY_INDEX,
    flag: '--hook-type <type>',
    help: "a module's output or its input",
    group,
    config: 'hook_type',
    per: { hookNet: { words: 'defaultHookType' } },
    description: "A module's output (default) or its input",
  },
  /** Also the embedding, or the one of a role; alone where nothing else is selected. */
  embedding: {
    kind: EMBEDDING,
    in: EVERYWHERE,
    flag: '--embedding [role]',
    help: 'the embedding: the vector that stands for a whole entry, or the one of a role: pooled, projected, output or class-token',
    group,
    selects: 'embedding',
    config: 'embedding',
    description:
      'Also the embedding; true, or the role of the one that is wanted. Alone where nothing else is selected',
  },
  /** Numbers for symbolic input dims, by input name; `''` names the only input. */
  inputShapes: {
    kind: SHAPES,
    in: ['inspect', 'extract', 'split', 'run', ...PAGES, 'verify', 'cut', 'net', 'hookNet', ...IN_MEMORY],
    flag: '--input-shape <shape>',
    elsewhere: ['--shape', '--shapes', '--input-shapes', '--input-size', '--dim'],
    help: 'numbers for symbolic input dims: [NAME:]1,3,224,224; repeatable',
    group,
    config: 'input_shape',
    description: 'Numbers for symbolic input dims, by input name; "" names the only input',
    per: { verify: { group: GROUPS.flags } },
  },
  /** Also the unit behind the trunk where the family's FeatureInfo leaves it out. */
  includeHead: {
    kind: BOOLEAN,
    in: MODULES,
    flag: '--include-head',
    help: 'count the unit behind the trunk as a feature too',
    group,
    config: 'include_head',
  },
  /**
   * Quantised codes and blocks of channels as the file has them (true), or as the numbers that they stand for (false).
   * By default tensors and nodes that are named stay as they are.
   */
  codes: {
    kind: BOOLEAN,
    in: EVERYWHERE,
    flag: '--codes',
    help: 'quantised codes as they are, not the numbers that they stand for',
    negated: { flag: '--no-codes', help: 'numbers, also for tensors and nodes that are named' },
    group,
    config: 'codes',
  },
  /** What names the output of a module that was selected by name: its tensor (default; not in `run`), or the module. */
  nameBy: {
    kind: choice(NAMES_BY),
    in: ['extract', 'run', 'cut', 'net', 'hookNet'],
    flag: '--name-by <what>',
    help: 'what names the output of a module that was selected by name (default: tensor)',
    group,
    config: 'name_by',
    per: { run: { help: 'what names the feature of a module that was selected by name (default: module)' } },
  },
  /** Take the value after a fold where the module's own is gone. */
  allowFolded: {
    kind: BOOLEAN,
    in: MODULES,
    flag: '--allow-folded',
    help: 'accept the value after a module that the exporter folded away',
    group,
    config: 'allow_folded',
  },
  /** Module names with the first Sequential level flattened: `features_1`. */
  flattenSequential: {
    kind: BOOLEAN,
    in: MODULES,
    flag: '--flatten-sequential',
    help: 'module names with the first Sequential level flattened: features_1',
    group,
    config: 'flatten_sequential',
  },
} as const satisfies Rows;
