import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../../batch/config.js';
import { batchOptions, cutOptions, decodeOptions, encodeOptions } from '../../../batch/options.js';
import { UsageError } from '../../../errors.js';
import { extractBytes, inspectBytes } from '../../../in-memory.js';
import { checkOptions } from '../../../options/check.js';
import { SELECTORS, SELECTS } from '../../../options/feature-kinds.js';
import { readText, type CommandName, type OptionSet } from '../../../options/row.js';
import { isRecord } from '../../../options/schema.js';
import { commandsOf, flagFacts, longFlag, optionsOf, ROWS, type OptionKey } from '../../../options/table.js';
import { parseJson } from '../../../wire/json.js';
import { decodeText } from '../../../wire/text.js';
import { mutateJson, type Json, type JsonWords } from '../mutate-json.js';
import type { Random } from '../random.js';
import { codeOf, Violation, type Target } from '../target.js';
import { joined } from '../tree.js';

const encoder = new TextEncoder();

/** What an input is; its first byte says. */
const KINDS = ['flag', 'config', 'library', 'inspect', 'extract'] as const;

/** The sets of options that are looked at with values alone; the others do work as well. */
const SETS: readonly OptionSet[] = [...new Set(ROWS.flatMap(([, row]) => row.in))];

const NUMBERS = [0, 1, -1, 2, 3, 0.5, 1.5, 1e9, 2 ** 31, 2 ** 53, -(2 ** 53), 1e300];
const TEXTS = [
  'x 0 1 -1 0-3 3-0 neck:0-2 1,neck:0,-1 a,b a=b x:1,3,8,8 1,3,8,8 3/8 64MiB 1.5GB 999999999999tb 0.485,0.456,0.406',
  '1e3 imagenet clip auto none cuda,cpu mean mean:mask max cls gem:3 224,256 8 float16 p2 module:layer* input output',
  '* [ __proto__ constructor',
];
const ODD_TEXTS = ['', 'a'.repeat(400), '\ud800', '\0'];
const OTHERS: readonly Json[] = [
  true,
  false,
  [],
  {},
  [0],
  [0, 1],
  [-1],
  ['neck:0', 2],
  ['a', 'b'],
  [0.5],
  [0.1, 0.2, 0.3],
  [8, 8],
  [1, 3, 8, 8],
  [null],
  [[]],
  { x: [1, 3, 8, 8] },
  { '': [1, 3, 8, 8] },
  { a: 'b' },
  { index: 1, count: 2 },
  { N: 1, H: 64 },
  { N: 'batch' },
  [{ by: 'module', name: '*' }],
  [{ by: 'index', indices: [0, -1] }],
  [{ by: 'last', count: 2 }],
  [{ by: 'embedding' }],
  [
    { by: 'tensor', name: 'y' },
    { by: 'node', name: 'n' },
  ],
  [{ module: 'a' }, { out: '0-1' }],
  [{ num_chs: 8, reduction: 2, module: 'layer1' }],
  { weights: [[1, 2]], mean: [0] },
  { preprocess: 'imagenet' },
];

/** Values of every kind, good for some options and wrong for the others. */
const SAMPLES: readonly Json[] = [...NUMBERS, ...TEXTS.flatMap((line) => line.split(' ')), ...ODD_TEXTS, ...OTHERS];

const WORDS: JsonWords = {
  values: [null, ...SAMPLES],
  keys: [...new Set(ROWS.flatMap(([key, { config }]) => [key.split('.').at(-1) ?? key, config ?? key])), '__proto__'],
};

/** Values that JSON has no word for, by a text that stands for them. */
const MARKS: { readonly [mark: string]: unknown } = {
  $undefined: undefined,
  $nan: NaN,
  $infinity: Infinity,
  $bigint: 1n,
  $symbol: Symbol('x'),
  $function: () => undefined,
  $map: new Map<unknown, unknown>([['x', [1, 3, 8, 8]]]),
  $bytes: Uint8Array.of(1, 2, 3),
};

/** The values of the samples that an option takes. */
const GOOD: ReadonlyMap<OptionKey, readonly Json[]> = new Map(
  ROWS.map(([key, { kind }]) => [key, [...SAMPLES, ...(kind.choices ?? [])].filter((value) => kind.accepts(value))]),
);

/**
 * The table of options: what a flag or a config says, the library takes; what is refused is refused with an error that
 * names it; and what is taken can be done with a small network, or is refused by whoever does it.
 */
export function optionsTarget(root: string): Target {
  const models = ['06-plain-backbone', '07-two-outputs', '15-dynamic-shapes', '05-functions'].map(
    (name) => new Uint8Array(readFileSync(join(root, 'fixtures', 'models', `${name}.onnx`))),
  );
  return {
    name: 'options',
    shape: { prefix: 1, type: null },
    deepOnceIn: 4,
    input: (random) => mutatedOptions(random),
    run: async (bytes) => {
      const kind = KINDS[bytes[0] % KINDS.length];
      let said: unknown;
      try {
        said = parseJson(decodeText(bytes.subarray(1)));
      } catch {
        return 'not JSON';
      }
      if (!isRecord(said)) return 'not an object';
      try {
        if (kind === 'flag') return readFlag(said);
        if (kind === 'config') return readConfig(said);
        const { set, model, options } = said;
        const given = marked(options) as object;
        if (kind === 'library') {
          const name = SETS.find((known) => known === set) ?? 'inspect';
          checkOptions(name, given as never);
          if (name === 'cut') decodeOptions(encodeOptions(given));
          return 'ok';
        }
        const network = models[Number(model) % models.length] ?? models[0];
        if (kind === 'inspect') await inspectBytes(network, given);
        else await extractBytes(network, given);
        return 'ok';
      } catch (error) {
        return codeOf(error);
      }
    },
  };
}

/** What a text behind a flag says, the library takes. */
function readFlag({ key, command, text, again }: { readonly [key: string]: unknown }): string {
  const known = ROWS.find(([name, { flag }]) => name === key && flag !== undefined);
  if (known === undefined || typeof text !== 'string') return 'no flag';
  const [name, row] = known;
  const at = commandsOf(row).find((one) => one === command) ?? commandsOf(row)[0] ?? 'extract';
  const { flag = '', kind } = flagFacts(row, at);
  const long = longFlag(flag);
  if (row.selects !== undefined) {
    const selectors = SELECTS[row.selects](long, text);
    if (!SELECTORS.accepts(selectors)) refused(name, at, text, selectors);
    return 'ok';
  }
  if (kind.parse === undefined) return 'a plain text';
  const value = readText(kind, long, text);
  if (kind.add === undefined || typeof again !== 'string') return 'ok';
  const both = kind.add(long, value as never, readText(kind, long, again) as never);
  if (!kind.accepts(both)) refused(name, at, `${text} ${again}`, both);
  return 'ok';
}

function refused(key: OptionKey, command: CommandName, text: string, value: unknown): never {
  throw new Violation('flag-gives-what-the-library-refuses', `${key} of ${command}: ${JSON.stringify([text, value])}`);
}

/** What a config says of one option and is not refused for, the library takes. */
function readConfig({ key, value }: { readonly [key: string]: unknown }): string {
  const known = ROWS.find(([name, row]) => name === key && row.config !== undefined);
  if (known === undefined) return 'no option of a config';
  const [name, { config = '', in: sets }] = known;
  const [object, inner] = config.split('.');
  const record = { [object]: inner === undefined ? value : { [inner]: value } };
  const isCut = sets.includes('cut');
  const parsed = parseConfig(JSON.stringify({ models: ['a.onnx'], ...(isCut ? { options: record } : record) }));
  try {
    checkOptions('batch', batchOptions(parsed) as object);
    checkOptions('cut', cutOptions(parsed.options ?? {}, undefined) as object);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new Violation('config-gives-what-the-library-refuses', `${name}: ${JSON.stringify(value)}: ${error.message}`);
  }
  return 'ok';
}

/** A JSON value with what its marks stand for. */
function marked(value: unknown): unknown {
  if (typeof value === 'string') return Object.hasOwn(MARKS, value) ? MARKS[value] : value;
  if (Array.isArray(value)) return value.map(marked);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, marked(inner)]));
}

function mutatedOptions(random: Random): Uint8Array {
  const kind = random.below(KINDS.length);
  const name = KINDS[kind];
  const said =
    name === 'flag'
      ? mutatedFlag(random)
      : name === 'config'
        ? mutatedConfig(random)
        : { ...mutatedCall(name === 'library' ? random.pick(SETS) : `${name}Bytes`, random), model: random.below(4) };
  return joined([Uint8Array.of(kind), encoder.encode(JSON.stringify(said))]);
}

function textOf(value: Json): string {
  return Array.isArray(value) ? value.join(',') : typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function mutatedFlag(random: Random): Json {
  const [key, row] = random.pick(ROWS);
  const good = GOOD.get(key) ?? [];
  const one = (): string => {
    let text = textOf(good.length > 0 && random.once(2) ? random.pick(good) : random.pick(SAMPLES));
    for (let count = random.below(3); count > 0; count--) text = mutatedText(text, random);
    return text;
  };
  const commands = commandsOf(row);
  const command = commands.length === 0 ? 'extract' : random.pick(commands);
  return { key, command, text: one(), ...(random.once(2) ? { again: one() } : {}) };
}

const PIECES = [
  ',',
  ':',
  '=',
  '-',
  '/',
  '.',
  ' ',
  '0',
  '9',
  'e',
  '-1',
  '#',
  '@',
  '\t',
  'NaN',
  'Infinity',
  '1e400',
  '"',
];

function mutatedText(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const piece = random.pick(PIECES);
  const more = random.once(2) ? 0 : 1;
  return text.slice(0, at) + (random.once(4) ? '' : piece) + text.slice(at + more);
}

function mutatedConfig(random: Random): Json {
  const [key] = random.pick(ROWS.filter(([, { config }]) => config !== undefined));
  let value = random.pick([...(GOOD.get(key) ?? []), ...SAMPLES]);
  for (let count = random.below(3); count > 0; count--) value = mutateJson(value, random, random.pick(SAMPLES), WORDS);
  return { key, value };
}

/** Options of a call: most of them good, some changed, seldom one that JSON has no word for. */
function mutatedCall(set: string, random: Random): { readonly [key: string]: Json } {
  const rows = optionsOf(SETS.find((known) => known === set) ?? 'inspect');
  const options: { [key: string]: Json } = {};
  for (let count = random.below(5); count > 0; count--) {
    const [key] = random.pick(rows);
    const good = GOOD.get(key) ?? [];
    const value = good.length > 0 && !random.once(6) ? random.pick(good) : random.pick(SAMPLES);
    const [object, inner] = key.split('.');
    const before = options[object];
    options[object] = inner === undefined ? value : { ...(isRecord(before) ? before : {}), [inner]: value };
  }
  let said: Json = options;
  for (let count = random.below(3); count > 0; count--) said = mutateJson(said, random, random.pick(SAMPLES), WORDS);
  if (random.once(12) && isRecord(said))
    said = { ...said, [random.pick(Object.keys(said)) ?? 'out']: random.pick(Object.keys(MARKS)) } as Json;
  return { set, options: said };
}
