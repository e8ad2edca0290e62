import type { Random } from './random.js';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What is put in: values, and keys. */
export interface JsonWords {
  readonly values: readonly Json[];
  readonly keys: readonly string[];
}

const VALUES: readonly Json[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  1e300,
  -0,
  2 ** 31,
  2 ** 53,
  2 ** 53 + 2,
  '',
  'x',
  '*',
  '**',
  '**/*.onnx',
  '[',
  '\\',
  '../../x',
  '/etc',
  '{name}',
  '{dir}/{name}.onnx',
  '{',
  '}',
  '{__proto__}',
  '{rel}/../../{name}',
  '\0',
  '\ud800',
  '__proto__',
  'constructor',
  'a'.repeat(300),
  'dict',
  'list',
  'hook',
  'NCHW',
  'keep',
  'external',
  [],
  {},
  [[]],
  [null],
  ['x', 'x'],
  { module: 'x' },
  { tensor: '*', node: 'x' },
  { num_chs: 1, reduction: 1, module: 'x' },
  { num_chs: -1, reduction: 0, module: null },
  { '': [1, 3, 224, 224] },
];

const KEYS: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '$schema',
  'models',
  'model',
  'output',
  'options',
  'exclude',
  'jobs',
  'timeout_seconds',
  'memory_bytes',
  'fail_fast',
  'check',
  'out',
  'last',
  'select',
  'features',
  'hook_type',
  'input_shape',
  'mode',
  'rewrite',
  'out_map',
  'output_fmt',
  'weights',
  'align',
  'limits',
  'depth',
  'index_bytes',
  'feature_info',
  'module',
  'tensor',
  'node',
  'unknown',
];

const CONFIG_WORDS: JsonWords = { values: VALUES, keys: KEYS };

/** One change somewhere in a JSON value; `words` are those of a config of a batch by default. */
export function mutateJson(value: Json, random: Random, donor: Json, words: JsonWords = CONFIG_WORDS): Json {
  if (typeof value !== 'object' || value === null)
    return random.once(4) ? someOf(donor, random) : random.pick(words.values);
  return Array.isArray(value)
    ? mutateArray(value, random, donor, words)
    : mutateObject(value as { readonly [key: string]: Json }, random, donor, words);
}

function mutateArray(list: readonly Json[], random: Random, donor: Json, words: JsonWords): Json {
  const at = random.below(Math.max(1, list.length));
  const before = list.slice(0, at);
  const after = list.slice(at + 1);
  switch (list.length === 0 ? 0 : random.below(8)) {
    case 0:
      return [...list, random.once(2) ? random.pick(words.values) : someOf(donor, random)];
    case 1:
      return [...before, ...after];
    case 2:
      return [...list, list[at]];
    case 3:
      return random.pick(words.values);
    default:
      return [...before, mutateJson(list[at], random, donor, words), ...after];
  }
}

function mutateObject(record: { readonly [key: string]: Json }, random: Random, donor: Json, words: JsonWords): Json {
  const entries = Object.entries(record);
  const at = random.below(Math.max(1, entries.length));
  switch (entries.length === 0 ? 0 : random.below(8)) {
    case 0:
      return fromEntries([
        ...entries,
        [random.pick(words.keys), random.once(2) ? random.pick(words.values) : someOf(donor, random)],
      ]);
    case 1:
      return fromEntries(entries.filter((_entry, index) => index !== at));
    case 2:
      return fromEntries(entries.map(([key, value], index) => [index === at ? random.pick(words.keys) : key, value]));
    case 3:
      return random.pick(words.values);
    default:
      return fromEntries(
        entries.map(([key, value], index) => [key, index === at ? mutateJson(value, random, donor, words) : value]),
      );
  }
}

/** Own keys, `__proto__` too. */
function fromEntries(entries: readonly (readonly [string, Json])[]): Json {
  return Object.fromEntries(entries);
}

/** A part of a value. */
function someOf(value: Json, random: Random): Json {
  if (typeof value !== 'object' || value === null || random.once(3)) return value;
  const parts: readonly Json[] = Object.values(value);
  return parts.length === 0 ? value : someOf(random.pick(parts), random);
}
