import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { declaredPooling } from './pooling-files.js';
import { looksLikeFile, textsOf } from './texts.js';
import { TextTokenizer, type Beside, type TokenizerOptions } from './tokenize.js';

/** Against Python's tokenizers; scripts/tokenizers/oracle.py wrote what it gives. */

const FOLDER = join('fixtures', 'tokenizers');
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
interface Golden {
  readonly strings: readonly string[];
  readonly tokenizers: {
    readonly [name: string]: { readonly ids: number[]; readonly batch: number[]; readonly length: number };
  };
}
const golden: Golden = JSON.parse(read('golden.json'));
const digest = (...ids: readonly (readonly number[])[]): number => crc32(Buffer.from(ids.flat().join(',')));

function load(name: string, change: (definition: Record<string, unknown>) => void, options?: TokenizerOptions) {
  const definition: Record<string, unknown> = JSON.parse(read(`${name}.json`));
  change(definition);
  const beside: Beside = async (file) =>
    file === 'tokenizer.json' ? { path: file, text: JSON.stringify(definition) } : null;
  return TextTokenizer.load(beside, options);
}

describe.each(Object.keys(golden.tokenizers))('%s', (name) => {
  const { ids, batch, length } = golden.tokenizers[name];

  test('makes the tokens of a thousand hard strings', async () => {
    const tokenizer = await load(name, (definition) => {
      definition['truncation'] = null;
      definition['padding'] = null;
    });
    const made = golden.strings.map((text) => digest(tokenizer?.encode([text]).ids[0] ?? []));
    // An empty text without tokens around it is filled up: a network takes no tensor of length 0.
    const wrong = golden.strings.filter((text, at) => made[at] !== ids[at] && text !== '');
    expect(wrong).toEqual([]);
  });

  test('cuts and fills up a batch as its file says', async () => {
    const tokenizer = await load(name, () => undefined);
    const made = tokenizer?.encode(golden.strings.slice(0, batch.length));
    expect([made?.length, made?.ids.map((own, at) => digest(own, made.masks[at]))]).toEqual([length, batch]);
  });
});

test('without a post-processor there are no types, and a token without a number is an error', async () => {
  const plain = await load('wordpiece', (definition) => void (definition['post_processor'] = null), { maxLength: 4 });
  const made = plain?.encode(['a network of features and maps']);
  expect(made?.types).toEqual([Array.from({ length: made?.length ?? 0 }, () => 0)]);
  const holes = await load('wordpiece', (definition) => {
    definition['post_processor'] = null;
    definition['model'] = { type: 'WordLevel', vocab: { a: 0, '[UNK]': 1 }, unk_token: '[UNK]' };
  });
  expect(() => holes?.encode(['a zzz'])).toThrow(/no number for token 1 of the text 'a zzz'/);
});

test('lengths: what is asked for, then what the model fixes', async () => {
  const text = 'features of a network, one after the other, in a long line of words';
  const asked = await load('wordpiece', () => undefined, { maxLength: 8 });
  expect([asked?.encode([text]).length, asked?.truncated]).toEqual([8, 1]);
  const fixed = await load('wordpiece', () => undefined, { fixedLength: 32 });
  expect([fixed?.encode(['a']).length, fixed?.maxLength]).toEqual([32, 16]);
  const endless = await load('wordpiece', () => undefined, { fixedLength: 1e12 });
  expect(() => endless?.encode(['a'])).toThrow('the model fixes 1000000000000 tokens for a text');
});

test.each([
  ['a length that a file fixes', { strategy: { Fixed: 128 } }],
  ['a multiple', { strategy: 'BatchLongest', pad_to_multiple_of: 64 }],
])('%s does not fill up texts beyond the longest of a batch, with transformers as here', async (_what, padding) => {
  const made = await load('wordpiece', (definition) => {
    definition['padding'] = { ...(definition['padding'] as object), direction: 'Left', ...padding };
  });
  const { length, masks } = made?.encode(['a network', 'one two three']) ?? {};
  // What transformers 5.24 makes of that file with padding=True.
  expect(length).toBe(9);
  expect(masks?.map((mask) => mask.at(-1))).toEqual([1, 1]);
});

test.each<readonly [string, object, RegExp]>([
  [
    'what the package notices only when it is asked for tokens',
    { post_processor: { type: 'TemplateProcessing' } },
    /^tokenizer.json is not a tokenizer that can be run: /,
  ],
])('%s is an error', async (_what, parts, message) => {
  const made = load('wordpiece', (definition) => void Object.assign(definition, parts));
  const error: unknown = await made.then((tokenizer) => tokenizer?.encode(['a'])).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'ModelFormatError', code: 'FEATX_TOKENIZER', path: 'tokenizer.json' });
  expect((error as Error).message).toMatch(message);
});

test('a token without a type is an error', async () => {
  const made = await load('wordpiece', (definition) => {
    definition['post_processor'] = { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '[CLS]' } }] };
  });
  expect(() => made?.encode(['a'])).toThrow(/no type for token 0 of the text 'a'/);
});

test.each([
  ['1_Pooling/config.json', { '1_Pooling/config.json': '{"pooling' }],
  ['modules.json', { '1_Pooling/config.json': '{"pooling_mode":"mean"}', 'modules.json': '[' }],
])('%s that is not JSON is an error that names it', async (path, files: { readonly [name: string]: string }) => {
  const beside: Beside = async (name) => (Object.hasOwn(files, name) ? { path: name, text: files[name] } : null);
  await expect(declaredPooling(beside)).rejects.toMatchObject({
    code: 'FEATX_POOLING',
    path,
    message: expect.stringContaining('it is not JSON'),
  });
});

describe('texts', () => {
  const files: { readonly [path: string]: string } = {
    'a.txt': '\ufeffone\r\n\ntwo\n',
    'b.jsonl': '{"t":"x\\ny"}\n{"t":"","u":1}\n',
    'c.csv': 'id,t\n1,"a ""q"", b"\n2,plain\n',
  };
  const of = (spec: string): Promise<unknown> =>
    textsOf(spec, {
      read: async (path) => files[path] ?? Promise.reject(new Error(`no ${path}`)),
      kindOf: async (path) => (path === 'folder' ? 'folder' : path in files || path === 'd.tsv' ? 'file' : null),
    });

  test.each([
    ['a.txt', ['one', '', 'two']],
    ['b.jsonl:t', ['x\ny', '']],
    ['c.csv:t', ['a "q", b', 'plain']],
    ['a text: of its own', ['a text: of its own']],
    ['node.js', ['node.js']],
    ['e.g. this', ['e.g. this']],
  ])('%s', async (spec, texts) => {
    expect(await of(spec)).toMatchObject(texts.map((text, index) => ({ text, index })));
  });

  test.each([
    ['b.jsonl', 'does not say which field'],
    ['b.jsonl:u', "line 1 of b.jsonl has no text under 'u'; it has t"],
    ['c.csv:x', "c.csv has no column 'x'; it has id, t"],
    ['no.txt', 'no no.txt'],
    ['d.tsv', 'd.tsv is a file, and texts are not read from such a one'],
    ['d.tsv:title', 'd.tsv is a file'],
    ['folder', 'folder is a folder'],
  ])('%s is refused', async (spec, message) => {
    await expect(of(spec)).rejects.toThrow(message);
  });

  test.each([
    ['qoutes.md', true],
    ['data/quotes.parquet', true],
    ['table.tsv:title', true],
    ['node.js', true],
    ['e.g.', false],
    ['e.g. this', false],
    ['see quotes.md', false],
    ['3.14', false],
    ['v1.2', false],
    ['word', false],
    ['and/or', false],
    ['…', false],
  ])('%s reads as the name of a file: %s', (text, isName) => {
    expect(looksLikeFile({ file: null, index: 0, text })).toBe(isName);
    expect(looksLikeFile({ file: 'lines.txt', index: 0, text })).toBe(false);
  });
});
